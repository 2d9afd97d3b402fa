import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HostileRequest {
  /** What follows the case's own path, for example `/token`. */
  readonly path: string;
  readonly method: string;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
  /** Where this case lives: its issuer. */
  readonly issuer: string;
}

/** One attack: what it answers to each request. */
export type HostileCase = (request: HostileRequest, response: ServerResponse) => void;

/** An authorization server that does harm: one handler for each case, each an issuer of its own. */
export class HostileServer {
  readonly origin: string;
  /** Every request, by the name of the case. */
  readonly requests: (HostileRequest & { readonly name: string })[] = [];
  readonly #server: Server;
  readonly #cases = new Map<string, HostileCase>();

  private constructor(server: Server) {
    this.#server = server;
    this.origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  }

  static async start(): Promise<HostileServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const hostile = new HostileServer(server);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void hostile.#serve(request, response);
    });
    return hostile;
  }

  get port(): number {
    return Number(new URL(this.origin).port);
  }

  /** Adds a case and returns its issuer. */
  add(name: string, handler: HostileCase): string {
    this.#cases.set(name, handler);
    return `${this.origin}/${name}`;
  }

  requestsOf(name: string, path?: string): HostileRequest[] {
    return this.requests.filter((request) => request.name === name && (path === undefined || request.path === path));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const [, name = '', ...rest] = (message.url ?? '').split('/');
    const request: HostileRequest = {
      path: `/${rest.join('/')}`,
      method: message.method ?? '',
      body: Buffer.concat(chunks).toString(),
      headers: message.headers,
      issuer: `${this.origin}/${name}`,
    };
    this.requests.push({ ...request, name });
    const handler = this.#cases.get(name);
    if (handler) handler(request, response);
    else response.writeHead(404).end();
  }
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

/** A case with honest metadata, or with some of it exchanged, and a token endpoint of its own. */
export function caseOf(token: HostileCase, metadata: (issuer: string) => object = () => ({})): HostileCase {
  return (request, response) => {
    if (!request.path.startsWith('/.well-known/')) {
      token(request, response);
      return;
    }
    const honest = { issuer: request.issuer, token_endpoint: `${request.issuer}/token` };
    sendJson(response, 200, { ...honest, ...metadata(request.issuer) });
  };
}
