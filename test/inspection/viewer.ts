import { once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';
import { inspectionMessageSchema, type InspectionMessage } from '../../src/inspection/messages.ts';
import { eventually } from '../support/eventually.ts';

/** What watches a relay: a client that speaks the protocol and keeps every byte that it was sent. */
export class Viewer {
  readonly texts: string[] = [];
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('Expected a text message.');
      this.texts.push(data.toString());
    });
  }

  static async connect(viewerUrl: string): Promise<Viewer> {
    const socket = new WebSocket(viewerUrl.replace(/^http:/, 'ws:'));
    const viewer = new Viewer(socket);
    await once(socket, 'open');
    return viewer;
  }

  get messages(): InspectionMessage[] {
    return this.texts.map((text) => inspectionMessageSchema.parse(JSON.parse(text)));
  }

  /** Waits until as many roots as named have been seen to end. */
  async untilEnded(roots: number): Promise<InspectionMessage[]> {
    await eventually(() => {
      const ended = this.messages.filter(
        (message) =>
          message.type === '@xstate.snapshot' &&
          message.sessionId === message.rootId &&
          message.snapshot.status === 'stopped',
      );
      return ended.length >= roots;
    });
    return this.messages;
  }

  async close(): Promise<void> {
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    const closed = once(this.#socket, 'close');
    this.#socket.close();
    await closed;
  }
}

/** How a connection ends that asks to become a WebSocket: the status that refuses it, the code that closes it, or `open`. */
export async function attempt(url: string, options: ClientOptions = {}): Promise<string> {
  const socket = new WebSocket(url, options);
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('unexpected-response', (_request, response) => {
    resolve(String(response.statusCode));
    socket.terminate();
  });
  socket.on('error', (error) => {
    resolve('code' in error ? String(error.code) : error.message);
  });
  socket.on('open', () => {
    resolve('open');
    socket.terminate();
  });
  return promise;
}
