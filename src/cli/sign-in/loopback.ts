import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ReauthorizationRequiredError } from '../../errors.ts';
import { sendPage } from './result-page.ts';

const PATH = '/callback';

/** Takes a callback URL. `null`: it is not the awaited one, and nothing was done. Rejects when it is, and failed. */
export type TakeAnswer<T> = (callbackUrl: string) => Promise<T | null>;

/** The redirect URI of a program on this machine (RFC 8252 §7.3): 127.0.0.1 alone, for one answer. */
export class LoopbackCallback {
  readonly redirectUri: string;
  readonly #server: Server;
  readonly #host: string;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.#host = `127.0.0.1:${String(port)}`;
    this.redirectUri = `http://${this.#host}${PATH}`;
  }

  /** @param port 0 for any that is free */
  static async listen(port: number): Promise<LoopbackCallback> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('Expected a port.');
    return new LoopbackCallback(server, address.port);
  }

  /**
   * Waits for the answer and ends listening when it has come.
   *
   * @throws ReauthorizationRequiredError `ERR_AUTHORIZATION_EXPIRED` after `timeoutMs`, or what `take` rejects with
   */
  async awaitAnswer<T>(take: TakeAnswer<T>, timeoutMs: number): Promise<T> {
    const outcome = Promise.withResolvers<T>();
    let isTaken = false;
    this.#server.on('request', (request, response) => {
      if (!this.#isCallback(request) || isTaken) {
        sendPage(response, 'notHere');
        return;
      }
      isTaken = true;
      void this.#offer(request, response, take).then((taken) => {
        isTaken = taken !== null;
        if (taken !== null) outcome.resolve(taken);
      }, outcome.reject);
    });
    const timer = setTimeout(() => {
      outcome.reject(
        new ReauthorizationRequiredError(
          'ERR_AUTHORIZATION_EXPIRED',
          'Nobody signed in within the time that was given.',
        ),
      );
    }, timeoutMs);
    try {
      return await outcome.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    await closed;
  }

  /** The name in `Host` too: a page elsewhere may have its own name lead here (DNS rebinding). */
  #isCallback({ method, headers, url = '' }: IncomingMessage): boolean {
    return method === 'GET' && headers.host === this.#host && URL.parse(url, this.redirectUri)?.pathname === PATH;
  }

  async #offer<T>({ url = '' }: IncomingMessage, response: ServerResponse, take: TakeAnswer<T>): Promise<T | null> {
    try {
      const taken = await take(new URL(url, this.redirectUri).href);
      sendPage(response, taken === null ? 'foreign' : 'done');
      return taken;
    } catch (error) {
      sendPage(response, 'failed');
      throw error;
    }
  }
}
