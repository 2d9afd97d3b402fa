import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A service that wants one token, as n8n's own credential types know services, and counts who asks. */
export class GuardedService {
  readonly #server: Server;
  /** Whoever brings another one gets 401. */
  token = 'right-token';
  requests = 0;
  refused = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      const isGood = request.headers.authorization === `Bearer ${this.token}`;
      this.requests += 1;
      this.refused += isGood ? 0 : 1;
      // What a careless server does: it shows the caller what he sent.
      const body = isGood ? [] : { message: `wrong: ${request.headers.authorization ?? ''}` };
      response.writeHead(isGood ? 200 : 401, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  }

  static async start(): Promise<GuardedService> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new GuardedService(server);
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
