import { z } from 'zod/v4';
import { isJsonObject, type JsonObject } from '../json.ts';
import { requireId, requireText, TEXT_LIMITS } from '../storage/texts.ts';
import { decodeBody, encodeBody } from './body.ts';
import type { AuthRow, AuthRows } from './rows.ts';
import { Shelf, type ShelfOptions, type StoreOptions } from './shelf.ts';

export interface NewSession {
  /** Names the session; what a browser holds is a secret of its own and belongs into a token. */
  readonly sessionId: string;
  readonly userId: string;
  /** The session's own expiry. */
  readonly expiresAt: Date | null;
  readonly ipAddress: string | null;
  readonly userAgent: string | null;
  readonly data: JsonObject;
}

export interface StoredSession extends NewSession {
  readonly startedAt: Date;
  readonly lastActivityAt: Date;
  /** The earlier of its time to live and its own expiry. */
  readonly endsAt: Date | null;
}

/** Sessions by id and by user. */
export class SessionShelf {
  readonly #shelf: Shelf;
  readonly #rows: AuthRows;

  constructor(options: ShelfOptions) {
    this.#shelf = new Shelf('session', 'session.expired', options);
    this.#rows = options.rows;
  }

  /** Starts a session (a login), in the place of the one with its id. @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
  async start(session: NewSession, options: StoreOptions = {}): Promise<void> {
    requireId('sessionId', session.sessionId);
    requireText('userId', session.userId, TEXT_LIMITS.ownerId);
    const now = this.#shelf.now();
    const body = encodeBody({ ...session, lastActivityAt: now });
    const { sessionId: id, userId } = session;
    const expiresAt = this.#shelf.endOf(options, session.expiresAt);
    const row: AuthRow = { kind: 'session', id, userId, accessHash: null, createdAt: now, expiresAt, body };
    await this.#shelf.put('session.started', row);
  }

  /** Reads a session. That is access, not a login, and no activity of its user: see `touch`. */
  async get(sessionId: string): Promise<StoredSession | null> {
    const row = await this.#shelf.get(sessionId);
    if (row === null) return null;
    this.#shelf.tell('session.read', row);
    return sessionOf(row);
  }

  /** Notes activity of the user, and prolongs the session when a time to live is given. False when there is none. */
  async touch(sessionId: string, options: StoreOptions = {}): Promise<boolean> {
    const changed = await this.#change(sessionId, (session) => session, options);
    return changed !== null;
  }

  /** Replaces the session's data; two writers are put in order. False when there is none. */
  async update(sessionId: string, change: (data: JsonObject) => JsonObject): Promise<boolean> {
    const changed = await this.#change(sessionId, (session) => ({ ...session, data: change(session.data) }), {});
    if (changed) this.#shelf.tell('session.updated', changed);
    return changed !== null;
  }

  /** Ends a session (a logout). False when there is none. */
  async end(sessionId: string): Promise<boolean> {
    return this.#shelf.delete('session.ended', sessionId);
  }

  /** By id. */
  async listByUser(userId: string): Promise<StoredSession[]> {
    return (await this.#shelf.listByUser(userId)).map(sessionOf);
  }

  async countActive(): Promise<number> {
    return (await this.#rows.count('session', { now: this.#shelf.now() })).rows;
  }

  async cleanUp(stepSize: number): Promise<number> {
    return this.#shelf.cleanUp(stepSize);
  }

  async #change(sessionId: string, change: (body: Body) => Body, options: StoreOptions): Promise<AuthRow | null> {
    for (;;) {
      const before = await this.#shelf.get(sessionId);
      if (before === null) return null;
      const lastActivityAt = this.#shelf.now();
      const next = { ...change(decodeBody(bodySchema, before.body)), lastActivityAt };
      const expiresAt = options.ttlMs === undefined ? before.expiresAt : this.#shelf.endOf(options, next.expiresAt);
      const row = { ...before, expiresAt, body: encodeBody(next) };
      if (await this.#shelf.replace(row, before.body)) return row;
    }
  }
}

function sessionOf(row: AuthRow): StoredSession {
  return { ...decodeBody(bodySchema, row.body), startedAt: row.createdAt, endsAt: row.expiresAt };
}

const instant = z.iso.datetime().transform((text) => new Date(text));
const json = z.custom<JsonObject>(isJsonObject);
const bodySchema = z.strictObject({
  sessionId: z.string(),
  userId: z.string(),
  expiresAt: instant.nullable(),
  ipAddress: z.string().nullable(),
  userAgent: z.string().nullable(),
  data: json,
  lastActivityAt: instant,
});
type Body = z.infer<typeof bodySchema>;
