import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How slow the token endpoint is: long enough that whoever asks beside another is seen to do so. */
const TOKEN_DELAY_MS = 300;
const FAILURES: ReadonlyMap<string, number> = new Map([
  ['refused', 401],
  ['broken', 500],
]);

interface Client {
  readonly tokens: Set<string>;
  tokenRequests: number;
  apiRequests: number;
}

/**
 * A token endpoint (client credentials) and an API that count their requests by client. Any client id is good, so each case has one
 * of its own. Its name says how the server treats it: `newest-…` holds only the newest token for valid, `refused-…` gets 401 from
 * the token endpoint, `broken-…` gets 500 there.
 */
export class CountingServer {
  readonly #server: Server;
  readonly #clients = new Map<string, Client>();
  #issued = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<CountingServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CountingServer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  get tokenEndpoint(): string {
    return `${this.url}/token`;
  }

  requestsOf(clientId: string): { token: number; api: number } {
    const { tokenRequests, apiRequests } = this.#client(clientId);
    return { token: tokenRequests, api: apiRequests };
  }

  /** From now on every token of the client is refused by the API. */
  revokeTokensOf(clientId: string): void {
    this.#client(clientId).tokens.clear();
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #client(clientId: string): Client {
    const client = this.#clients.get(clientId) ?? { tokens: new Set(), tokenRequests: 0, apiRequests: 0 };
    this.#clients.set(clientId, client);
    return client;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    await consumed(request);
    if (url.pathname === '/token') await this.#token(request, response);
    else this.#api(request, response, url);
  }

  async #token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const clientId = clientIdOf(request);
    const client = this.#client(clientId);
    client.tokenRequests += 1;
    await sleep(TOKEN_DELAY_MS);
    const [kind = ''] = clientId.split('-');
    const failure = FAILURES.get(kind);
    if (failure !== undefined) {
      // What a careless server does: it shows the caller what he sent.
      send(response, failure, { error: 'invalid_client', echo: request.headers });
      return;
    }
    const token = `${clientId}.${String((this.#issued += 1))}`;
    if (kind === 'newest') client.tokens.clear();
    client.tokens.add(token);
    send(response, 200, { access_token: token, token_type: 'Bearer', expires_in: 3_600 });
  }

  #api(request: IncomingMessage, response: ServerResponse, url: URL): void {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const client = this.#client(token.slice(0, token.lastIndexOf('.')));
    client.apiRequests += 1;
    const isGood = client.tokens.has(token);
    send(response, isGood ? Number(url.searchParams.get('status') ?? '200') : 401, { isGood });
  }
}

function clientIdOf(request: IncomingMessage): string {
  const [, encoded = ''] = (request.headers.authorization ?? '').split(' ');
  const [clientId = ''] = Buffer.from(encoded, 'base64').toString().split(':');
  return decodeURIComponent(clientId);
}

async function consumed(request: IncomingMessage): Promise<void> {
  request.resume();
  await new Promise((resolve) => request.once('end', resolve));
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
