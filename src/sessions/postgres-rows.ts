import type { Parameter, PostgresDatabase } from '../storage/postgres-database.ts';
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

const COLUMNS = 'kind, id, user_id, access_hash, created_at, expires_at, body';
const IS_LIVE = (now: string): string => `(expires_at IS NULL OR expires_at > ${now})`;
const CHANGED = 'user_id = $3, access_hash = $4, created_at = $5, expires_at = $6, body = $7';
const UNIQUE_VIOLATION = '23505';

/** Rows in the table `auth_rows`. */
export class PostgresAuthRows implements AuthRows {
  readonly #database: PostgresDatabase;

  constructor(database: PostgresDatabase) {
    this.#database = database;
  }

  async put(row: AuthRow): Promise<void> {
    await this.#write(
      `INSERT INTO auth_rows (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, id) DO UPDATE SET ${CHANGED}`,
      valuesOf(row),
    );
  }

  async replace(row: AuthRow, expected: Buffer): Promise<boolean> {
    const sql = `UPDATE auth_rows SET ${CHANGED} WHERE kind = $1 AND id = $2 AND body = $8`;
    return (await this.#write(sql, [...valuesOf(row), expected])) === 1;
  }

  async get(kind: AuthKind, id: string): Promise<AuthRow | null> {
    const [row] = await this.#find(`SELECT ${COLUMNS} FROM auth_rows WHERE kind = $1 AND id = $2`, [kind, id]);
    return row ?? null;
  }

  async getByAccessHash(hash: Buffer): Promise<AuthRow | null> {
    const [row] = await this.#find(`SELECT ${COLUMNS} FROM auth_rows WHERE access_hash = $1`, [hash]);
    return row ?? null;
  }

  async delete(kind: AuthKind, id: string): Promise<AuthRow | null> {
    const sql = `DELETE FROM auth_rows WHERE kind = $1 AND id = $2 RETURNING ${COLUMNS}`;
    const [row] = await this.#find(sql, [kind, id]);
    return row ?? null;
  }

  async deleteExpired(kind: AuthKind, options: { now: Date; limit: number; id?: string }): Promise<AuthRow[]> {
    const parameters: Parameter[] = [kind, options.now.toISOString(), options.limit];
    const which = options.id === undefined ? '' : `AND id = $${parameters.push(options.id)}`;
    return this.#find(
      `WITH expired AS MATERIALIZED (
         SELECT id FROM auth_rows WHERE kind = $1 AND expires_at <= $2 ${which} ORDER BY expires_at, id LIMIT $3
         FOR UPDATE SKIP LOCKED)
       DELETE FROM auth_rows r USING expired WHERE r.kind = $1 AND r.id = expired.id
       RETURNING r.kind, r.id, r.user_id, r.access_hash, r.created_at, r.expires_at, r.body`,
      parameters,
    );
  }

  async listByUser(kind: AuthKind, userId: string, now: Date): Promise<AuthRow[]> {
    const sql = `SELECT ${COLUMNS} FROM auth_rows WHERE kind = $1 AND user_id = $2 AND ${IS_LIVE('$3')} ORDER BY id`;
    return this.#find(sql, [kind, userId, now.toISOString()]);
  }

  async listIds(
    kind: AuthKind,
    { prefix, after, limit, now }: { prefix: string; after: string; limit: number; now: Date },
  ): Promise<string[]> {
    const parameters: Parameter[] = [kind, prefix, after, now.toISOString(), limit];
    const end = successorOf(prefix);
    const bound = end === null ? '' : `AND id < $${parameters.push(end)}`;
    const rows = await this.#find(
      `SELECT ${COLUMNS} FROM auth_rows WHERE kind = $1 AND id >= $2 AND id > $3 ${bound} AND ${IS_LIVE('$4')}
       ORDER BY id LIMIT $5`,
      parameters,
    );
    return rows.map(({ id }) => id);
  }

  async listOldest(kind: AuthKind, { limit, now }: { limit: number; now: Date }): Promise<AuthRowAge[]> {
    const sql = `SELECT ${COLUMNS} FROM auth_rows WHERE kind = $1 AND ${IS_LIVE('$2')} ORDER BY created_at, id LIMIT $3`;
    const rows = await this.#find(sql, [kind, now.toISOString(), limit]);
    return rows.map(({ id, userId, createdAt }) => ({ id, userId, createdAt }));
  }

  async count(
    kind: AuthKind,
    { now, createdBefore }: { now: Date; createdBefore?: Date },
  ): Promise<{ rows: number; users: number }> {
    const parameters: Parameter[] = [kind, now.toISOString()];
    const created = createdBefore ? `AND created_at < $${parameters.push(createdBefore.toISOString())}` : '';
    const [found] = await this.#database.find<{ rows: number; users: number }>(
      `SELECT count(*)::int AS rows, count(DISTINCT user_id)::int AS users FROM auth_rows
       WHERE kind = $1 AND ${IS_LIVE('$2')} ${created}`,
      parameters,
    );
    return found ?? { rows: 0, users: 0 };
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  async #find(sql: string, parameters: readonly Parameter[]): Promise<AuthRow[]> {
    return (await this.#database.find<Row>(sql, parameters)).map(rowOf);
  }

  async #write(sql: string, parameters: readonly Parameter[]): Promise<number> {
    try {
      return await this.#database.transaction((tx) => tx.run(sql, parameters));
    } catch (error) {
      if (Error.isError(error) && 'code' in error && error.code === UNIQUE_VIOLATION) throw duplicateAccessToken();
      throw error;
    }
  }
}

function valuesOf(row: AuthRow): Parameter[] {
  const { kind, id, userId, accessHash, createdAt, expiresAt, body } = row;
  return [kind, id, userId, accessHash, createdAt.toISOString(), expiresAt?.toISOString() ?? null, body];
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
