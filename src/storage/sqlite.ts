import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { StorageError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import type { RecordStore } from './record-store.ts';
import type { SecretStore } from './secret-store.ts';
import { backupSqlite, type Backup } from './sqlite-backup.ts';
import { translated } from './sqlite-errors.ts';
import { SqliteRecordStore } from './sqlite-records.ts';
import { SqliteSecretStore } from './sqlite-secrets.ts';

/** Records and secrets of one engine. Closing the records closes both. */
export interface Stores {
  readonly records: RecordStore;
  readonly secrets: SecretStore;
  /** Writes a consistent copy while the engine runs; `null` where the database server has its own tools for that. */
  readonly backup: Backup | null;
}

const SCHEMA_VERSION = 1;
/** Marks a database file as ours ("crlf"), so that no other program's file is ever taken over. */
const APPLICATION_ID = 0x63726c66;
const BUSY_TIMEOUT_MS = 5_000;

const SCHEMA = `
  CREATE TABLE records (
    id TEXT PRIMARY KEY, revision INTEGER NOT NULL, state TEXT NOT NULL, protocol TEXT NOT NULL,
    owner_id TEXT, scope_id TEXT, due_at TEXT, expires_at TEXT, record TEXT NOT NULL,
    claim_fence INTEGER NOT NULL DEFAULT 0, claim_owner TEXT, claim_epoch TEXT, claim_until INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX records_due ON records (due_at) WHERE due_at IS NOT NULL;
  CREATE INDEX records_state ON records (state, id);
  CREATE INDEX records_owner ON records (owner_id, id) WHERE owner_id IS NOT NULL;
  CREATE INDEX records_scope ON records (scope_id, id) WHERE scope_id IS NOT NULL;
  CREATE TABLE tags (tag TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (tag, id)) STRICT, WITHOUT ROWID;
  CREATE INDEX tags_id ON tags (id);
  CREATE TABLE attempts (
    credential_id TEXT NOT NULL, fence INTEGER NOT NULL, attempt TEXT NOT NULL, PRIMARY KEY (credential_id, fence)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, credential_id TEXT NOT NULL, event TEXT NOT NULL) STRICT;
  CREATE INDEX events_credential ON events (credential_id, seq);
  CREATE TABLE access_keys (
    key_id TEXT PRIMARY KEY, hash BLOB NOT NULL, credential_id TEXT, scopes TEXT NOT NULL, created_at TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE secrets (
    credential_id TEXT NOT NULL, field TEXT NOT NULL, generation INTEGER NOT NULL, attempt_id TEXT NOT NULL,
    envelope BLOB NOT NULL, PRIMARY KEY (credential_id, field, generation, attempt_id)
  ) STRICT, WITHOUT ROWID;
`;

/**
 * Opens a SQLite database (WAL, so that several processes share it), creating the file with mode 0600 if it is missing.
 * Its folder must exist. `'memory'` is a database that ends with the process.
 *
 * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_FOREIGN`, `ERR_STORE_SCHEMA_TOO_NEW`
 */
export function openSqlite(path: string, clock: Clock): Stores {
  return translated(path, () => {
    if (path !== 'memory') closeSync(openSync(path, 'a', 0o600));
    const db = new Database(path === 'memory' ? ':memory:' : path, { timeout: BUSY_TIMEOUT_MS });
    try {
      prepare(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
    return {
      records: new SqliteRecordStore(db, clock),
      secrets: new SqliteSecretStore(db),
      backup: (file) => backupSqlite(db, file),
    };
  });
}

function prepare(db: Database.Database, path: string): void {
  // Before anything is changed: the file may be another program's, or a later version's.
  const version = requireOurs(db, path);
  db.pragma('journal_mode = WAL');
  // Intent must be on the disk before a request leaves: a lost commit here is a lost grant.
  db.pragma('synchronous = FULL');
  if (version === SCHEMA_VERSION) return;
  db.transaction(() => {
    // Another process may have founded it meanwhile.
    if (requireOurs(db, path) === SCHEMA_VERSION) return;
    db.exec(SCHEMA);
    db.pragma(`application_id = ${String(APPLICATION_ID)}`);
    db.pragma(`user_version = ${String(SCHEMA_VERSION)}`);
  }).immediate();
}

/**
 * The schema version of a database that is ours; 0 for an empty one.
 *
 * @throws StorageError `ERR_STORE_FOREIGN`, `ERR_STORE_SCHEMA_TOO_NEW`
 */
export function requireOurs(db: Database.Database, path: string): number {
  const version = Number(db.pragma('user_version', { simple: true }));
  const isOurs = Number(db.pragma('application_id', { simple: true })) === APPLICATION_ID;
  const tables = db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get() ?? 0;
  if (!isOurs && (tables > 0 || version > 0)) {
    throw new StorageError('ERR_STORE_FOREIGN', `The file ${path} is a database of another program.`);
  }
  if (version <= SCHEMA_VERSION) return version;
  throw new StorageError(
    'ERR_STORE_SCHEMA_TOO_NEW',
    `The database ${path} has schema version ${String(version)}; this version reads ${String(SCHEMA_VERSION)}.`,
  );
}
