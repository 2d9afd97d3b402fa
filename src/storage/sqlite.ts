import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import type { Clock } from '../ports.ts';
import { backupSqlite } from './sqlite-backup.ts';
import { translated } from './sqlite-errors.ts';
import { SqliteHolders } from './sqlite-holders.ts';
import { BLOCKING_MS } from './sqlite-patience.ts';
import { SqliteRecordStore } from './sqlite-records.ts';
import { migrate, requireOurs } from './sqlite-schema.ts';
import { SqliteSecretStore } from './sqlite-secrets.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import type { Stores } from './stores.ts';

export type { Stores } from './stores.ts';

const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens a SQLite database (WAL, so that several processes share it), creating the file with mode 0600 if it is missing.
 * Its folder must exist. `'memory'` is a database that ends with the process.
 *
 * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_FOREIGN`, `ERR_STORE_SCHEMA_TOO_NEW`
 */
export function openSqlite(path: string, clock: Clock): Stores {
  const db = openSqliteDatabase(path);
  // From here on writes wait without holding up everything else; a refresh in flight has 4 s of claim at a time.
  db.pragma(`busy_timeout = ${String(BLOCKING_MS)}`);
  const writer = new SqliteWriter(db, clock);
  const holders = path === 'memory' ? {} : { holders: new SqliteHolders(path) };
  return {
    records: new SqliteRecordStore(db, clock, { writer, ...holders }),
    secrets: new SqliteSecretStore(db, clock, writer),
    backup: (file) => backupSqlite(db, file),
  };
}

/** One connection with the current schema. For leases and the auth storage, which may share the file with the records. */
export function openSqliteDatabase(path: string): Database.Database {
  return translated(path, () => {
    if (path !== 'memory') closeSync(openSync(path, 'a', 0o600));
    const db = new Database(path === 'memory' ? ':memory:' : path, { timeout: BUSY_TIMEOUT_MS });
    try {
      // Before anything is changed: the file may be another program's, or a later version's.
      requireOurs(db, path);
      db.pragma('journal_mode = WAL');
      // FULL for every commit, not only for the journal's: with NORMAL a power cut takes back the last commits of a WAL, and each
      // kind of commit here is one that must not be taken back. A refresh: a lost grant. A claim: its fence number is given out
      // twice. A consumed key: a replay. The price is in docs/storage.md.
      db.pragma('synchronous = FULL');
      migrate(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  });
}
