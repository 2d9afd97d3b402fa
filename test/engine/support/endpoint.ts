import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly path: string;
  readonly body: string;
  readonly authorization: string | undefined;
}

export type Answer = (response: ServerResponse, request: SeenRequest) => void;

/** A small HTTP server of a test's own, for what no real authorization server would do. */
export class Endpoint {
  readonly url: string;
  readonly tokenEndpoint: string;
  readonly requests: SeenRequest[] = [];
  answer: Answer;
  readonly #server: Server;

  private constructor(server: Server, answer: Answer) {
    this.#server = server;
    this.answer = answer;
    this.url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    this.tokenEndpoint = `${this.url}/token`;
  }

  static async start(answer: Answer): Promise<Endpoint> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = new Endpoint(server, answer);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void endpoint.#serve(request, response);
    });
    return endpoint;
  }

  /** Open connections of clients. */
  async connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => {
        if (error) reject(error);
        else resolve(count);
      });
    });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const seen = {
      path: request.url ?? '',
      body: Buffer.concat(chunks).toString(),
      authorization: request.headers.authorization,
    };
    this.requests.push(seen);
    this.answer(response, seen);
  }
}

export function json(status: number, body: object, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}

let issued = 0;
/** A token response; each with tokens of its own. */
export function tokens(overrides: object = {}): Answer {
  return (response, request) => {
    issued += 1;
    const refreshToken = request.body.includes('refresh_token') ? { refresh_token: `refresh-${String(issued)}` } : {};
    const body = { access_token: `access-${String(issued)}`, token_type: 'Bearer', expires_in: 3600, ...refreshToken };
    json(200, { ...body, ...overrides })(response, request);
  };
}

export function endpointEntry(endpoint: Endpoint, overrides: { config?: object; secret?: object } = {}) {
  return {
    protocol: 'oauth2',
    name: 'At an endpoint',
    config: {
      tokenEndpoint: endpoint.tokenEndpoint,
      grantType: 'client_credentials',
      clientId: 'client',
      allowInsecureTransport: true,
      ...overrides.config,
    },
    secret: { clientSecret: 'client-secret', ...overrides.secret },
  };
}

export function rotatingEndpointEntry(endpoint: Endpoint, config: object = {}) {
  return endpointEntry(endpoint, {
    config: { grantType: 'refresh_token', ...config },
    secret: { refreshToken: 'refresh-0' },
  });
}
