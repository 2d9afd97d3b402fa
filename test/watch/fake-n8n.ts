import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret } from '../../src/secret.ts';
import type { N8nConnection } from '../../src/protocols/n8n/config.ts';

export const API_KEY = 'the-api-key-of-n8n-4711';

export interface FakeCredential {
  readonly id: string;
  name: string;
  readonly type: string;
  updatedAt: string;
  /** What n8n answers to its test. */
  test: { readonly status: string; readonly message?: string };
}

/** The part of n8n's public API that watching asks, with as many credentials as a test wants. */
export class FakeN8n {
  readonly #server: Server;
  readonly credentials: FakeCredential[] = [];
  /** `METHOD /path` of each request that brought the right key. */
  readonly requests: string[] = [];
  /** Answers every request with this instead. */
  answerAll: { readonly status: number; readonly body: string; readonly headers?: Record<string, string> } | null =
    null;
  /** Never ends its tests while this is true. */
  holdsTests = false;
  atOnce = 0;
  mostAtOnce = 0;
  readonly #held: ServerResponse[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('request', (request, response) => {
      this.#answer(request, response);
    });
  }

  static async start(): Promise<FakeN8n> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FakeN8n(server);
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  get connection(): N8nConnection {
    return { url: this.url, apiKey: () => Secret.of(API_KEY) };
  }

  add(name: string, changes: Partial<FakeCredential> = {}): FakeCredential {
    const credential = {
      id: `id${String(this.credentials.length)}`,
      name,
      type: 'grafanaApi',
      updatedAt: '2026-01-01T00:00:00.000Z',
      test: { status: 'OK', message: 'Connection successful!' },
      ...changes,
    };
    this.credentials.push(credential);
    return credential;
  }

  /** How often n8n was asked to test that credential. */
  testsOf({ id }: FakeCredential): number {
    return this.requests.filter((request) => request === `POST /api/v1/credentials/${id}/test`).length;
  }

  get tests(): number {
    return this.requests.filter((request) => request.startsWith('POST ')).length;
  }

  /** Nobody answers at the address any more. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async restart(port: number): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  release(): void {
    this.holdsTests = false;
    for (const response of this.#held.splice(0)) this.#send(response, 200, { status: 'OK' });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    if (this.answerAll) {
      const { status, headers, body } = this.answerAll;
      this.requests.push(`${request.method ?? ''} ${pathname}`);
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
      return;
    }
    if (request.headers['x-n8n-api-key'] !== API_KEY) {
      this.#send(response, 401, { message: 'unauthorized' });
      return;
    }
    this.requests.push(`${request.method ?? ''} ${pathname}`);
    const [, id, verb] = /^\/api\/v1\/credentials\/([\w-]+)(\/test)?$/.exec(pathname) ?? [];
    if (id === undefined) {
      this.#list(response, searchParams);
      return;
    }
    const found = this.credentials.find((credential) => credential.id === id);
    if (!found) {
      this.#send(response, 404, { message: 'Not Found' });
      return;
    }
    if (verb === undefined) {
      this.#send(response, 200, found);
      return;
    }
    this.#test(response, found);
  }

  #list(response: ServerResponse, query: URLSearchParams): void {
    const offset = Number(query.get('cursor') ?? '0');
    const limit = Number(query.get('limit'));
    const data = this.credentials.slice(offset, offset + limit).map(({ test: _test, ...listed }) => listed);
    const next = offset + limit;
    this.#send(response, 200, { data, nextCursor: next < this.credentials.length ? String(next) : null });
  }

  #test(response: ServerResponse, { test }: FakeCredential): void {
    this.atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.atOnce);
    response.once('close', () => (this.atOnce -= 1));
    if (this.holdsTests) this.#held.push(response);
    else this.#send(response, 200, test);
  }

  #send(response: ServerResponse, status: number, body: object): void {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }
}
