import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const BIND_RESPONSE = 0x61;
const RESULT_CODE = Buffer.from([0x0a, 0x01]);
/** The result code of a bind response, right behind its tag and length. */
const INVALID_CREDENTIALS = Buffer.from([0x0a, 0x01, 49]);

/** Stands before a server and counts how many connections are open at once. */
export class CountingProxy {
  open = 0;
  most = 0;
  total = 0;
  /** Binds that passed by, as far as they were not encrypted. */
  binds = 0;
  /** Those of them that were refused. */
  refusedBinds = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect({ host: '127.0.0.1', port });
      this.total += 1;
      this.open += 1;
      this.most = Math.max(this.most, this.open);
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(one);
        one.pipe(other);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
      }
      client.on('close', () => (this.open -= 1));
      server.on('data', (chunk: Buffer) => {
        for (let at = chunk.indexOf(INVALID_CREDENTIALS); at >= 0; at = chunk.indexOf(INVALID_CREDENTIALS, at + 1)) {
          if (chunk[at - 2] === BIND_RESPONSE) this.refusedBinds += 1;
        }
        for (let at = chunk.indexOf(RESULT_CODE); at >= 0; at = chunk.indexOf(RESULT_CODE, at + 1)) {
          if (chunk[at - 2] === BIND_RESPONSE) this.binds += 1;
        }
      });
    });
  }

  static async start(port: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
