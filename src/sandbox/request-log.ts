import { AsyncLocalStorage } from 'node:async_hooks';
import type Database from 'better-sqlite3';
import { z } from 'zod/v4';
import type { Clock } from '../ports.ts';
import type { SandboxStatistics } from './statistics.ts';

export const ENDPOINTS = ['token', 'introspection', 'revocation', 'userinfo', 'resource', 'other'] as const;
export type Endpoint = (typeof ENDPOINTS)[number];

export const serverRequestSchema = z.strictObject({
  at: z.iso.datetime().transform((text) => new Date(text)),
  endpoint: z.enum(ENDPOINTS),
  clientId: z.string().nullable(),
  grantType: z.string().nullable(),
  /** `issued` and `answered` are successes; `dropped` ones were carried out, but their answer never left. */
  outcome: z.enum(['issued', 'answered', 'refused', 'failed', 'dropped']),
  status: z.int(),
  error: z.string().nullable(),
  /** A refresh token that was spent already, within the grace window: it gave a sibling token. */
  graceReuse: z.boolean(),
  /** A refresh token that was spent already, outside the grace window: what a client must never do. */
  spentTokenPresented: z.boolean(),
});

/** One request as the server saw it. */
export type ServerRequest = z.output<typeof serverRequestSchema>;
type RequestOnWire = z.input<typeof serverRequestSchema>;

/** What is learned about a request while it is worked on. */
export interface RequestObservation {
  graceReuse: boolean;
  spentTokenPresented: boolean;
  /** Carry the request out, then drop the connection instead of answering. */
  readonly dropAnswer: boolean;
}

/** The observation of the request that is being worked on. */
export const currentObservation = new AsyncLocalStorage<RequestObservation>();

interface RequestRow {
  readonly at: number;
  readonly endpoint: Endpoint;
  readonly client_id: string | null;
  readonly grant_type: string | null;
  readonly outcome: ServerRequest['outcome'];
  readonly status: number;
  readonly error: string | null;
  readonly grace_reuse: number;
  readonly spent_token_presented: number;
}

/** The server's own durable record of what it was asked: the judge of every client. Token requests are in it before they are answered. */
export class RequestLog {
  readonly #database: Database.Database;
  readonly #clock: Clock;

  constructor(database: Database.Database, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  write(request: Omit<ServerRequest, 'at' | 'graceReuse' | 'spentTokenPresented'>): void {
    const seen = request.endpoint === 'token' ? currentObservation.getStore() : undefined;
    this.#database
      .prepare(
        `INSERT INTO request (at, endpoint, client_id, grant_type, outcome, status, error, grace_reuse, spent_token_presented)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        this.#clock.now().getTime(),
        request.endpoint,
        request.clientId,
        request.grantType,
        request.outcome,
        request.status,
        request.error,
        Number(seen?.graceReuse ?? false),
        Number(seen?.spentTokenPresented ?? false),
      );
  }

  /** All requests in their order, in the form that `serverRequestSchema` reads. */
  readAll(): RequestOnWire[] {
    const rows = this.#database.prepare<[], RequestRow>('SELECT * FROM request ORDER BY sequence').all();
    return rows.map(toWire);
  }

  statistics(): SandboxStatistics {
    const totals = this.#database
      .prepare<[], Omit<SandboxStatistics, 'refreshes'>>(
        `SELECT count(*) AS requests, count(*) FILTER (WHERE endpoint = 'token') AS tokenRequests,
         count(*) FILTER (WHERE spent_token_presented = 1) AS spentTokensPresented,
         count(*) FILTER (WHERE grace_reuse = 1) AS graceReuses FROM request`,
      )
      .get();
    const refreshes = this.#database
      .prepare<[], { clientId: string; count: number }>(
        `SELECT client_id AS clientId, count(*) AS count FROM request
         WHERE outcome = 'issued' AND grant_type = 'refresh_token' AND client_id IS NOT NULL GROUP BY client_id`,
      )
      .all();
    const none = { requests: 0, tokenRequests: 0, spentTokensPresented: 0, graceReuses: 0 };
    return { ...(totals ?? none), refreshes: Object.fromEntries(refreshes.map((row) => [row.clientId, row.count])) };
  }
}

function toWire(row: RequestRow): RequestOnWire {
  return {
    at: new Date(row.at).toISOString(),
    endpoint: row.endpoint,
    clientId: row.client_id,
    grantType: row.grant_type,
    outcome: row.outcome,
    status: row.status,
    error: row.error,
    graceReuse: row.grace_reuse === 1,
    spentTokenPresented: row.spent_token_presented === 1,
  };
}
