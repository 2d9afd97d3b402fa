import { Socket } from 'node:net';
import { MalformedBerError } from './ber.ts';
import { MessageReader } from './message.ts';

export interface ReceiveBounds {
  /** Largest message that is read. */
  readonly maxMessageBytes: number;
  /** Most bytes that may come after a request, before the next one is sent. */
  readonly maxAnswerBytes: number;
}

export const RECEIVE_BOUNDS: ReceiveBounds = { maxMessageBytes: 16_777_216, maxAnswerBytes: 67_108_864 };

/**
 * An open connection, as the LDAP library gets it: what comes from the other side passes in whole, well-formed messages of
 * bounded size, and one that is not ends the connection at once.
 */
export class GuardedSocket extends Socket {
  readonly #inner: Socket;
  readonly #reader: MessageReader;
  readonly #bounds: ReceiveBounds;
  #receivedBytes = 0;
  #violation: string | null = null;

  constructor(inner: Socket, bounds: ReceiveBounds) {
    super();
    this.#inner = inner;
    this.#bounds = bounds;
    this.#reader = new MessageReader(bounds.maxMessageBytes);
    inner.on('data', (chunk: Buffer) => {
      this.#receive(chunk);
    });
    inner.on('drain', () => this.emit('drain'));
    inner.on('end', () => this.push(null));
    // An end is an end: what went wrong is in `violation`, and an error that nobody listens to any more would be everybody's.
    inner.on('error', () => this.destroy());
    inner.on('close', () => {
      this.destroy();
      // A socket tells of its close by itself, and this one has no handle that would do it.
      this.emit('close', false);
    });
  }

  /** What the other side did that no server may do. */
  get violation(): string | null {
    return this.#violation;
  }

  override ref(): this {
    this.#inner.ref();
    return this;
  }

  override unref(): this {
    this.#inner.unref();
    return this;
  }

  override _read(): void {
    if (this.#inner.isPaused()) this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#receivedBytes = 0;
    this.#inner.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#inner.destroy();
    done(error);
  }

  #receive(chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    try {
      if (this.#receivedBytes > this.#bounds.maxAnswerBytes)
        throw new MalformedBerError('An answer that is too large.');
      for (const message of this.#reader.read(chunk)) {
        if (!this.push(message)) this.#inner.pause();
      }
    } catch (error) {
      if (!(error instanceof MalformedBerError)) throw error;
      this.#violation = error.message;
      this.destroy();
    }
  }
}
