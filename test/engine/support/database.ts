import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

export interface SeenAttempt {
  readonly phase: string;
  readonly healing: boolean;
  readonly sentAt: string | null;
  readonly spentAt: string | null;
}

/** An engine's database, seen from outside. */
export interface SeenDatabase {
  /** Stored generation of each credential, by id. */
  generations(): number[];
  /** Credentials whose last attempt was sent and has no outcome. */
  openAttempts(): number;
  lastAttempt(id: string): SeenAttempt | null;
  /** The whole record as stored. */
  recordOf(id: string): Record<string, unknown>;
  /** The record's settings as stored. */
  configOf(id: string): object;
  /** The record as stored. */
  record(id: string): object;
  secretsOf(id: string): { field: string; generation: number }[];
  /** Runs a statement that changes it behind the engine's back. */
  execute(sql: string, ...parameters: unknown[]): void;
  count(table: string): number;
  close(): void;
}

export function openDatabase(folder: string): SeenDatabase {
  const db = new Database(join(folder, 'credentials.db'));
  const pluck = (sql: string) => db.prepare<unknown[], string>(sql).pluck();
  return {
    generations: () => db.prepare<[], number>(`SELECT record ->> 'generation' FROM records ORDER BY id`).pluck().all(),
    openAttempts: () =>
      pluck('SELECT attempt, max(fence) FROM attempts GROUP BY credential_id')
        .all()
        .filter((text) => (JSON.parse(text) as { phase: string }).phase === 'sent').length,
    lastAttempt: (id) => {
      const text = pluck('SELECT attempt FROM attempts WHERE credential_id = ? ORDER BY fence DESC LIMIT 1').get(id);
      return text === undefined ? null : (JSON.parse(text) as SeenAttempt);
    },
    recordOf: (id) =>
      JSON.parse(pluck('SELECT record FROM records WHERE id = ?').get(id) ?? '{}') as Record<string, unknown>,
    configOf: (id) =>
      JSON.parse(pluck(`SELECT record ->> 'config' FROM records WHERE id = ?`).get(id) ?? '{}') as object,
    record: (id) => JSON.parse(pluck('SELECT record FROM records WHERE id = ?').get(id) ?? '{}') as object,
    secretsOf: (id) =>
      db
        .prepare<unknown[], { field: string; generation: number }>(
          'SELECT field, generation FROM secrets WHERE credential_id = ? ORDER BY field, generation',
        )
        .all(id),
    execute: (sql, ...parameters) => {
      db.prepare(sql).run(...parameters);
    },
    count: (table) => db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get() ?? 0,
    close: () => {
      db.close();
    },
  };
}

/** Every byte that the engine keeps in its folder: database, write-ahead log and shared memory. */
export function bytesOf(folder: string): Buffer {
  return Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))));
}
