import type Database from 'better-sqlite3';
import { translated } from '../storage/sqlite-errors.ts';
import { successorOf } from '../storage/texts.ts';
import { duplicateAccessToken } from './memory-rows.ts';
import type { AuthKind, AuthRow, AuthRowAge, AuthRows } from './rows.ts';

interface Row {
  readonly kind: AuthKind;
  readonly id: string;
  readonly user_id: string | null;
  readonly access_hash: Buffer | null;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly body: Buffer;
}
type Named = Record<string, string | number | Buffer | null>;

const COLUMNS = 'kind, id, user_id, access_hash, created_at, expires_at, body';
const IS_LIVE = '(expires_at IS NULL OR expires_at > @now)';
const CHANGED = `user_id = @userId, access_hash = @accessHash, created_at = @createdAt, expires_at = @expiresAt, body = @body`;

/** Rows in the table `auth_rows`. */
export class SqliteAuthRows implements AuthRows {
  readonly #db: Database.Database;
  readonly #statements = new Map<string, Database.Statement<[Named], Row>>();

  constructor(db: Database.Database) {
    this.#db = db;
  }

  async put(row: AuthRow): Promise<void> {
    this.#run(
      `INSERT INTO auth_rows (${COLUMNS}) VALUES (@kind, @id, @userId, @accessHash, @createdAt, @expiresAt, @body)
       ON CONFLICT (kind, id) DO UPDATE SET ${CHANGED}`,
      valuesOf(row),
    );
  }

  async replace(row: AuthRow, expected: Buffer): Promise<boolean> {
    const sql = `UPDATE auth_rows SET ${CHANGED} WHERE kind = @kind AND id = @id AND body = @expected`;
    return this.#run(sql, { ...valuesOf(row), expected }) === 1;
  }

  async get(kind: AuthKind, id: string): Promise<AuthRow | null> {
    return this.#all(`SELECT ${COLUMNS} FROM auth_rows WHERE kind = @kind AND id = @id`, { kind, id })[0] ?? null;
  }

  async getByAccessHash(hash: Buffer): Promise<AuthRow | null> {
    return this.#all(`SELECT ${COLUMNS} FROM auth_rows WHERE access_hash = @hash`, { hash })[0] ?? null;
  }

  async delete(kind: AuthKind, id: string): Promise<AuthRow | null> {
    const sql = `DELETE FROM auth_rows WHERE kind = @kind AND id = @id RETURNING ${COLUMNS}`;
    return this.#all(sql, { kind, id })[0] ?? null;
  }

  async deleteExpired(kind: AuthKind, options: { now: Date; limit: number; id?: string }): Promise<AuthRow[]> {
    const { limit, id = null } = options;
    const which = id === null ? '' : 'AND id = @id';
    return this.#all(
      `DELETE FROM auth_rows WHERE kind = @kind AND id IN (
         SELECT id FROM auth_rows WHERE kind = @kind AND expires_at <= @now ${which} ORDER BY expires_at LIMIT @limit
       ) RETURNING ${COLUMNS}`,
      { kind, now: options.now.toISOString(), limit, ...(id !== null && { id }) },
    );
  }

  async listByUser(kind: AuthKind, userId: string, now: Date): Promise<AuthRow[]> {
    const sql = `SELECT ${COLUMNS} FROM auth_rows WHERE kind = @kind AND user_id = @userId AND ${IS_LIVE} ORDER BY id`;
    return this.#all(sql, { kind, userId, now: now.toISOString() });
  }

  async listIds(
    kind: AuthKind,
    { prefix, after, limit, now }: { prefix: string; after: string; limit: number; now: Date },
  ): Promise<string[]> {
    // A range of the primary key.
    const end = successorOf(prefix);
    const rows = this.#all(
      `SELECT ${COLUMNS} FROM auth_rows WHERE kind = @kind AND id >= @prefix ${end === null ? '' : 'AND id < @end'}
         AND id > @after AND ${IS_LIVE} ORDER BY id LIMIT @limit`,
      { kind, prefix, after, limit, now: now.toISOString(), ...(end !== null && { end }) },
    );
    return rows.map(({ id }) => id);
  }

  async listOldest(kind: AuthKind, { limit, now }: { limit: number; now: Date }): Promise<AuthRowAge[]> {
    const sql = `SELECT ${COLUMNS} FROM auth_rows WHERE kind = @kind AND ${IS_LIVE} ORDER BY created_at, id LIMIT @limit`;
    const rows = this.#all(sql, { kind, limit, now: now.toISOString() });
    return rows.map(({ id, userId, createdAt }) => ({ id, userId, createdAt }));
  }

  async count(
    kind: AuthKind,
    { now, createdBefore }: { now: Date; createdBefore?: Date },
  ): Promise<{ rows: number; users: number }> {
    const created = createdBefore ? 'AND created_at < @createdBefore' : '';
    const sql = `SELECT count(*) AS rows, count(DISTINCT user_id) AS users FROM auth_rows WHERE kind = @kind AND ${IS_LIVE} ${created}`;
    const parameters = {
      kind,
      now: now.toISOString(),
      ...(createdBefore && { createdBefore: createdBefore.toISOString() }),
    };
    return translated(this.#db.name, () => {
      const found = this.#db.prepare<[Named], { rows: number; users: number }>(sql).get(parameters);
      return found ?? { rows: 0, users: 0 };
    });
  }

  async close(): Promise<void> {
    this.#db.close();
  }

  #all(sql: string, parameters: Named): AuthRow[] {
    return translated(this.#db.name, () => this.#statement(sql).all(parameters)).map(rowOf);
  }

  #run(sql: string, parameters: Named): number {
    return translated(this.#db.name, () => {
      try {
        return this.#statement(sql).run(parameters).changes;
      } catch (error) {
        throw Error.isError(error) && 'code' in error && error.code === 'SQLITE_CONSTRAINT_UNIQUE'
          ? duplicateAccessToken()
          : error;
      }
    });
  }

  #statement(sql: string): Database.Statement<[Named], Row> {
    const known = this.#statements.get(sql);
    if (known) return known;
    const prepared = this.#db.prepare<[Named], Row>(sql);
    this.#statements.set(sql, prepared);
    return prepared;
  }
}

function valuesOf(row: AuthRow): Named {
  const { kind, id, userId, accessHash, body } = row;
  const createdAt = row.createdAt.toISOString();
  return { kind, id, userId, accessHash, createdAt, expiresAt: row.expiresAt?.toISOString() ?? null, body };
}

function rowOf(row: Row): AuthRow {
  return {
    kind: row.kind,
    id: row.id,
    userId: row.user_id,
    accessHash: row.access_hash,
    createdAt: new Date(row.created_at),
    expiresAt: row.expires_at === null ? null : new Date(row.expires_at),
    body: row.body,
  };
}
