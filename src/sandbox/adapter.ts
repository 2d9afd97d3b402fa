import type Database from 'better-sqlite3';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import { z } from 'zod/v4';
import { isPlainObject } from '../json.ts';
import type { Clock } from '../ports.ts';
import { currentObservation } from './request-log.ts';

const payloadSchema = z.custom<AdapterPayload>(isPlainObject);

interface ModelRow {
  readonly payload: string;
  readonly consumed_at: number | null;
  readonly revoked_at: number | null;
}

export interface AdapterOptions {
  readonly database: Database.Database;
  readonly clock: Clock;
  /** How long a spent refresh token is shown to the provider as if it were unspent. */
  readonly reuseGraceMs: number;
}

/**
 * Keeps the provider's models in SQLite. Revoked rows stay, hidden, so that a spent token is known as spent for ever.
 *
 * The grace window lives here: within it a spent refresh token is handed out without its mark, so that the provider issues
 * a sibling; after it the mark shows, and the provider revokes the whole grant.
 */
export class SandboxAdapter implements Adapter {
  readonly #kind: string;
  readonly #database: Database.Database;
  readonly #clock: Clock;
  readonly #reuseGraceMs: number;

  constructor(kind: string, options: AdapterOptions) {
    this.#kind = kind;
    this.#database = options.database;
    this.#clock = options.clock;
    this.#reuseGraceMs = options.reuseGraceMs;
  }

  upsert(id: string, payload: AdapterPayload, expiresIn?: number): Promise<void> {
    const expiresAt = expiresIn === undefined ? null : this.#nowMs() + expiresIn * 1_000;
    this.#database
      .prepare(
        `INSERT INTO model (kind, id, grant_id, uid, user_code, payload, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (kind, id) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at`,
      )
      .run(
        this.#kind,
        id,
        payload.grantId ?? null,
        payload.uid ?? null,
        payload.userCode ?? null,
        JSON.stringify(payload),
        expiresAt,
      );
    return Promise.resolve();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#visible(this.#select('id = ?', id)));
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#visible(this.#select('uid = ?', uid)));
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#visible(this.#select('user_code = ?', userCode)));
  }

  consume(id: string): Promise<void> {
    // The first use opens the grace window; reuse within it does not prolong it.
    this.#database
      .prepare('UPDATE model SET consumed_at = ? WHERE kind = ? AND id = ? AND consumed_at IS NULL')
      .run(this.#nowMs(), this.#kind, id);
    return Promise.resolve();
  }

  destroy(id: string): Promise<void> {
    this.#database
      .prepare('UPDATE model SET revoked_at = ? WHERE kind = ? AND id = ? AND revoked_at IS NULL')
      .run(this.#nowMs(), this.#kind, id);
    return Promise.resolve();
  }

  revokeByGrantId(grantId: string): Promise<void> {
    this.#database
      .prepare('UPDATE model SET revoked_at = ? WHERE kind = ? AND grant_id = ? AND revoked_at IS NULL')
      .run(this.#nowMs(), this.#kind, grantId);
    return Promise.resolve();
  }

  #select(condition: string, value: string): ModelRow | undefined {
    return this.#database
      .prepare<[string, string], ModelRow>(
        `SELECT payload, consumed_at, revoked_at FROM model WHERE kind = ? AND ${condition}`,
      )
      .get(this.#kind, value);
  }

  #visible(row: ModelRow | undefined): AdapterPayload | undefined {
    if (!row) return undefined;
    const spent = row.consumed_at !== null && !this.#isReusedInGrace(row.consumed_at);
    if (row.revoked_at !== null) return undefined;
    const payload = payloadSchema.parse(JSON.parse(row.payload));
    return spent ? { ...payload, consumed: true } : payload;
  }

  #isReusedInGrace(consumedAtMs: number): boolean {
    const inGrace = this.#nowMs() - consumedAtMs < this.#reuseGraceMs;
    const observation = currentObservation.getStore();
    if (observation && inGrace) observation.graceReuse = true;
    if (observation && !inGrace) observation.spentTokenPresented = true;
    return inGrace;
  }

  #nowMs(): number {
    return this.#clock.now().getTime();
  }
}
