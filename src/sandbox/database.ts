import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS model (
    kind TEXT NOT NULL, id TEXT NOT NULL, grant_id TEXT, uid TEXT, user_code TEXT, payload TEXT NOT NULL,
    expires_at INTEGER, consumed_at INTEGER, revoked_at INTEGER, PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS model_by_grant ON model (grant_id) WHERE grant_id IS NOT NULL;
  CREATE TABLE IF NOT EXISTS scheduled_revocation (grant_id TEXT PRIMARY KEY, due_at INTEGER NOT NULL, done_at INTEGER) STRICT;
  CREATE TABLE IF NOT EXISTS request (
    sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, endpoint TEXT NOT NULL, client_id TEXT, grant_type TEXT,
    outcome TEXT NOT NULL, status INTEGER NOT NULL, error TEXT, grace_reuse INTEGER NOT NULL, spent_token_presented INTEGER NOT NULL
  ) STRICT;
`;

/** Opens the sandbox's own database, readable by its owner only, and makes the folder and tables that are missing. */
export function openSandboxDatabase(folder: string): Database.Database {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'authorization-server.db');
  const database = new Database(file);
  chmodSync(file, 0o600);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  database.exec(SCHEMA);
  return database;
}
