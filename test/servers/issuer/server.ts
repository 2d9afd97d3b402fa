import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod/v4';
import {
  issuerFaultsSchema,
  issuerOptionsSchema,
  type IssuerClient,
  type IssuerFault,
  type IssuerOptions,
  type IssuerSettings,
  type LogEntry,
} from './contract.ts';
import { Faults, isBeforeWork, nameOf } from './faults.ts';
import { TokenLedger, type Answer } from './ledger.ts';
import { bodyOf, readTokenRequest } from './token-request.ts';

export type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Facts = Pick<LogEntry, 'clientId' | 'verdict'> & Partial<LogEntry>;

/**
 * An authorization server that does one thing, strictly: it rotates refresh tokens, counts every use of each, detects
 * reuse, misbehaves on request, and writes down what it saw. Its log is the judge of those who talk to it.
 *
 * `POST /token` is the token endpoint; below `/admin/` are its own verbs (`issuer.ts` is the client for them).
 */
export class IssuerServer {
  readonly #settings: IssuerSettings;
  readonly #ledger = new TokenLedger();
  readonly #faults: Faults;
  readonly #log: Writable<LogEntry>[] = [];
  readonly #server: Server;

  private constructor(settings: IssuerSettings) {
    this.#settings = settings;
    this.#faults = new Faults(settings.seed);
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => {
        // What breaks in here breaks one connection, never the judge.
        request.destroy();
      });
    });
  }

  static async start(options: IssuerOptions): Promise<IssuerServer> {
    const issuer = new IssuerServer(issuerOptionsSchema.parse(options));
    issuer.#server.listen(0, '127.0.0.1');
    await once(issuer.#server, 'listening');
    return issuer;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://issuer');
    const body = await bodyOf(request);
    if (pathname === '/token') await this.#token(request, response, body);
    else this.#administer(pathname, searchParams, body, response);
  }

  async #token(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const fault = this.#faults.take();
    const halfMs = this.#faults.latencyMs() / 2;
    await delay(halfMs);
    const presenter = request.headers['x-presenter'];
    const common = {
      presenter: typeof presenter === 'string' ? presenter : null,
      fault: fault && nameOf(fault),
    };
    const parsed = readTokenRequest(request, body, this.#settings.clients);
    if ('error' in parsed) {
      const verdict = parsed.error === 'invalid_client' ? 'clientRefused' : 'requestRefused';
      const entry = this.#write({ ...common, clientId: parsed.clientId, verdict });
      answer(response, entry, parsed.error === 'invalid_client' ? 401 : 400, { error: parsed.error });
      return;
    }
    const { client, refreshToken } = parsed;
    if (fault && fault.kind !== 'delay' && isBeforeWork(fault)) {
      const whose = this.#ledger.find(refreshToken, client);
      const entry = this.#write({ ...common, clientId: client.clientId, ...whose, verdict: 'turnedAway' });
      misbehave(response, entry, fault);
      return;
    }
    const { answer: tokens, ...presented } = this.#ledger.present(refreshToken, client, new Date());
    const entry = this.#write({ ...common, clientId: client.clientId, ...presented });
    await delay(halfMs);
    if (fault?.kind === 'delay') await delay(fault.ms);
    else if (fault) {
      misbehave(response, entry, fault);
      return;
    }
    answerTokens(response, entry, client, tokens);
  }

  #administer(pathname: string, search: URLSearchParams, body: string, response: ServerResponse): void {
    const verbs: Record<string, () => unknown> = {
      '/admin/log': () => this.#log.slice(Number(search.get('after') ?? 0)),
      '/admin/families': () => this.#ledger.families(),
      '/admin/mint': () => this.#ledger.mint(z.string().parse(JSON.parse(body))),
      '/admin/end': () => {
        this.#ledger.end(z.string().parse(JSON.parse(body)), new Date());
      },
      '/admin/faults': () => {
        this.#faults.set(issuerFaultsSchema.parse(JSON.parse(body)));
      },
    };
    const verb = Object.hasOwn(verbs, pathname) ? verbs[pathname] : undefined;
    response.writeHead(verb ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(verb?.() ?? null));
  }

  #write(facts: Facts): Writable<LogEntry> {
    const entry = {
      seq: this.#log.length + 1,
      at: new Date().toISOString(),
      presenter: null,
      familyId: null,
      tokenId: null,
      use: 0,
      sinceFirstUseMs: null,
      successorWasUsed: false,
      fault: null,
      status: null,
      delivered: false,
      ...facts,
    };
    this.#log.push(entry);
    return entry;
  }
}

function answerTokens(
  response: ServerResponse,
  entry: Writable<LogEntry>,
  client: IssuerClient,
  tokens: Answer | null,
): void {
  if (tokens === null) {
    answer(response, entry, 400, { error: 'invalid_grant' });
    return;
  }
  answer(response, entry, 200, {
    access_token: tokens.accessToken,
    token_type: 'Bearer',
    expires_in: client.accessTokenTtlSeconds,
    refresh_token: tokens.refreshToken,
  });
}

const BODIES = { truncated: '{"access_token":"at_', html: '<html>Please sign in</html>', empty: '' };

/** Meets the client with a fault, after the work that it leaves to be done. */
export function misbehave(
  response: ServerResponse,
  entry: Writable<LogEntry>,
  fault: Exclude<IssuerFault, { kind: 'delay' }>,
): void {
  switch (fault.kind) {
    case 'drop':
      response.destroy();
      break;
    case 'corrupt':
      answer(response, entry, 200, BODIES[fault.how]);
      break;
    case 'status': {
      const { retryAfterSeconds } = fault;
      const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) };
      answer(response, entry, fault.status, { error: 'temporarily_unavailable' }, headers);
    }
  }
}

/** Answers in JSON, and writes down whether the whole answer was taken. */
export function answer(
  response: ServerResponse,
  entry: Writable<LogEntry>,
  status: number,
  body: object | string,
  headers: Record<string, string> = {},
): void {
  entry.status = status;
  response.once('finish', () => {
    entry.delivered = true;
  });
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
