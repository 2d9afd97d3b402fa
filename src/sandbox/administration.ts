import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json as readJson } from 'node:stream/consumers';
import { z } from 'zod/v4';
import { faultSchema, type TokenEndpointFaults } from './faults.ts';
import { REVOCATIONS, type Grants } from './grants.ts';
import { CLIENT_NAMES } from './options.ts';
import type { RequestLog } from './request-log.ts';

export const ADMINISTRATION_PATH = '/sandbox/';

const clientName = z.enum(CLIENT_NAMES);

/** What the server's owner may ask, by the name in the path. */
export const administrationRequests = {
  log: z.strictObject({}),
  statistics: z.strictObject({}),
  mint: z.strictObject({ client: clientName }),
  revoke: z.strictObject({ what: z.enum(REVOCATIONS), client: clientName.nullable() }),
  fault: z.strictObject({ fault: faultSchema, count: z.int().positive() }),
  latency: z.strictObject({ latencyMs: z.int().nonnegative() }),
  clearFaults: z.strictObject({}),
} as const;
export type AdministrationVerb = keyof typeof administrationRequests;

export interface AdministrationOptions {
  readonly token: string;
  readonly log: RequestLog;
  readonly grants: Grants;
  readonly faults: TokenEndpointFaults;
}

/** The owner's door to the sandbox server: loopback, and only with the token that is kept in the sandbox's folder. */
export class Administration {
  readonly #options: AdministrationOptions;

  constructor(options: AdministrationOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    if (!this.#isAuthorized(request)) {
      answer(response, 401, { error: 'unauthorized' });
      return;
    }
    try {
      answer(response, 200, await this.#carryOut(path.slice(ADMINISTRATION_PATH.length), await readJson(request)));
    } catch (error) {
      answer(response, 400, { error: error instanceof Error ? error.message : 'unknown' });
    }
  }

  async #carryOut(verb: string, body: unknown): Promise<object> {
    const { log, grants, faults } = this.#options;
    switch (verb) {
      case 'log':
        return { requests: log.readAll() };
      case 'statistics':
        return log.statistics();
      case 'mint':
        return { refreshToken: await grants.mintRefreshToken(administrationRequests.mint.parse(body).client) };
      case 'revoke': {
        const { what, client } = administrationRequests.revoke.parse(body);
        grants.revoke(what, client);
        return {};
      }
      case 'fault': {
        const { fault, count } = administrationRequests.fault.parse(body);
        faults.add(fault, count);
        return {};
      }
      case 'latency':
        faults.latencyMs = administrationRequests.latency.parse(body).latencyMs;
        return {};
      case 'clearFaults':
        faults.clear();
        return {};
      default:
        throw new TypeError('no such administration request');
    }
  }

  #isAuthorized(request: IncomingMessage): boolean {
    const given = Buffer.from(request.headers.authorization ?? '');
    const expected = Buffer.from(`Bearer ${this.#options.token}`);
    return given.length === expected.length && timingSafeEqual(given, expected);
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}
