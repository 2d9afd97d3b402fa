import type Database from 'better-sqlite3';
import { StorageError } from '../errors.ts';
import { wordsOf } from './listing.ts';

/**
 * One step per schema version, oldest first; the version is `PRAGMA user_version`. Steps are never edited once released: a
 * change is a new step, with a golden file of the version before it in `test/fixtures/storage`.
 */
const MIGRATIONS: readonly ((db: Database.Database) => void)[] = [found, addSearchLedgerLeasesAndSessions, addUrgency];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Marks a database file as ours ("crlf"), so that no other program's file is ever taken over. */
const APPLICATION_ID = 0x63726c66;

/**
 * Brings a database to the current schema, in one transaction: a process that dies midway leaves the old one.
 *
 * @throws StorageError `ERR_STORE_FOREIGN`, `ERR_STORE_SCHEMA_TOO_NEW`
 */
export function migrate(db: Database.Database, path: string): void {
  if (requireOurs(db, path) === SCHEMA_VERSION) return;
  db.transaction(() => {
    // Another process may have done it meanwhile.
    const version = requireOurs(db, path);
    for (const step of MIGRATIONS.slice(version)) step(db);
    db.pragma(`application_id = ${APPLICATION_ID}`);
    db.pragma(`user_version = ${SCHEMA_VERSION}`);
  }).immediate();
}

/**
 * The schema version of a database that is ours; 0 for an empty one.
 *
 * @throws StorageError `ERR_STORE_FOREIGN`, `ERR_STORE_SCHEMA_TOO_NEW`
 */
export function requireOurs(db: Database.Database, path: string): number {
  // One snapshot: between two reads another process may found the database.
  const { version, isOurs, tables } = db.transaction(() => ({
    version: Number(db.pragma('user_version', { simple: true })),
    isOurs: Number(db.pragma('application_id', { simple: true })) === APPLICATION_ID,
    tables: db.prepare<[], number>('SELECT count(*) FROM sqlite_schema').pluck().get() ?? 0,
  }))();
  if (!isOurs && (tables > 0 || version > 0)) {
    throw new StorageError('ERR_STORE_FOREIGN', `The file ${path} is a database of another program.`);
  }
  if (version <= SCHEMA_VERSION) return version;
  throw new StorageError(
    'ERR_STORE_SCHEMA_TOO_NEW',
    `The database ${path} has schema version ${version}; this version reads ${SCHEMA_VERSION}.`,
  );
}

function found(db: Database.Database): void {
  db.exec(`
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
  `);
}

/** Every filter of a list walks an index of its own in order; `documents` is the ledger, `auth_rows` the auth storage. */
function addSearchLedgerLeasesAndSessions(db: Database.Database): void {
  db.exec(`
    CREATE INDEX records_protocol ON records (protocol, id);
    CREATE INDEX records_expires ON records (expires_at, id) WHERE expires_at IS NOT NULL;
    CREATE TABLE words (word TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (word, id)) STRICT, WITHOUT ROWID;
    CREATE INDEX words_id ON words (id);
    CREATE TABLE documents (
      kind TEXT NOT NULL, subject TEXT NOT NULL, item TEXT NOT NULL, revision INTEGER NOT NULL, due_at TEXT, body TEXT NOT NULL,
      PRIMARY KEY (kind, subject, item)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX documents_due ON documents (kind, due_at) WHERE due_at IS NOT NULL;
    CREATE TABLE leases (
      name TEXT PRIMARY KEY, owner TEXT, fence INTEGER NOT NULL, epoch TEXT NOT NULL, until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    ALTER TABLE secrets ADD COLUMN owner_id TEXT;
    ALTER TABLE secrets ADD COLUMN scope_id TEXT;
    ALTER TABLE secrets ADD COLUMN protocol TEXT;
    ALTER TABLE secrets ADD COLUMN expires_at TEXT;
    ALTER TABLE secrets ADD COLUMN metadata TEXT;
    CREATE INDEX secrets_owner ON secrets (owner_id) WHERE owner_id IS NOT NULL;
    CREATE TABLE auth_rows (
      kind TEXT NOT NULL, id TEXT NOT NULL, user_id TEXT, access_hash BLOB, created_at TEXT NOT NULL, expires_at TEXT,
      body BLOB NOT NULL, PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX auth_rows_access ON auth_rows (access_hash) WHERE access_hash IS NOT NULL;
    CREATE INDEX auth_rows_user ON auth_rows (kind, user_id, id) WHERE user_id IS NOT NULL;
    CREATE INDEX auth_rows_expires ON auth_rows (kind, expires_at) WHERE expires_at IS NOT NULL;
    CREATE INDEX auth_rows_created ON auth_rows (kind, created_at, id);
  `);
  indexNames(db);
}

/** Interrupted refreshes are looked for ten times a second, however much else is overdue; what waits is sorted and told by its endpoint. */
function addUrgency(db: Database.Database): void {
  db.exec(`
    CREATE INDEX records_interrupted ON records (due_at, id) WHERE state = 'refreshing';
    ALTER TABLE records ADD COLUMN due_endpoint TEXT;
    CREATE INDEX records_urgent ON records (due_at, expires_at, due_endpoint, state) WHERE due_at IS NOT NULL;
    CREATE INDEX records_due_endpoint ON records (due_endpoint) WHERE due_endpoint IS NOT NULL;
  `);
}

function indexNames(db: Database.Database): void {
  const insert = db.prepare<[string, string]>('INSERT INTO words VALUES (?, ?)');
  const page = db.prepare<[string], { id: string; name: string | null }>(
    `SELECT id, json_extract(record, '$.name') AS name FROM records WHERE id > ? AND json_valid(record) ORDER BY id LIMIT 1000`,
  );
  for (let rows = page.all(''); rows.length > 0; rows = page.all(rows.at(-1)?.id ?? '')) {
    for (const { id, name } of rows) for (const word of wordsOf(name ?? '')) insert.run(word, id);
  }
}
