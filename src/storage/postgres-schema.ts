import { StorageError } from '../errors.ts';
import type { PostgresDatabase, PostgresTransaction } from './postgres-database.ts';

/** One step per schema version, oldest first. Steps are never edited once released. */
const MIGRATIONS: readonly string[] = [
  // Collation "C" sorts texts by their bytes, as SQLite does, whatever the locale of the database.
  `
  CREATE TABLE records (
    id text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL, state text NOT NULL, protocol text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C", scope_id text COLLATE "C", due_at text COLLATE "C", expires_at text COLLATE "C",
    record text NOT NULL,
    claim_fence bigint NOT NULL DEFAULT 0, claim_owner text, claim_until timestamptz NOT NULL DEFAULT '-infinity'
  ) WITH (fillfactor = 80);
  CREATE INDEX records_due ON records (due_at, id) WHERE due_at IS NOT NULL;
  CREATE INDEX records_expires ON records (expires_at, id) WHERE expires_at IS NOT NULL;
  CREATE INDEX records_state ON records (state, id);
  CREATE INDEX records_protocol ON records (protocol, id);
  CREATE INDEX records_owner ON records (owner_id, id) WHERE owner_id IS NOT NULL;
  CREATE INDEX records_scope ON records (scope_id, id) WHERE scope_id IS NOT NULL;
  CREATE TABLE tags (tag text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, PRIMARY KEY (tag, id));
  CREATE INDEX tags_id ON tags (id, tag);
  CREATE TABLE words (word text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, PRIMARY KEY (word, id));
  CREATE INDEX words_id ON words (id, word);
  CREATE TABLE attempts (
    credential_id text COLLATE "C" NOT NULL, fence bigint NOT NULL, attempt text NOT NULL, PRIMARY KEY (credential_id, fence)
  );
  CREATE TABLE events (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, credential_id text COLLATE "C" NOT NULL, event text NOT NULL);
  CREATE INDEX events_credential ON events (credential_id, seq);
  CREATE TABLE access_keys (
    key_id text COLLATE "C" PRIMARY KEY, hash bytea NOT NULL, credential_id text, scopes text NOT NULL, created_at text NOT NULL
  );
  CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);
  CREATE TABLE secrets (
    credential_id text COLLATE "C" NOT NULL, field text COLLATE "C" NOT NULL, generation bigint NOT NULL,
    attempt_id text COLLATE "C" NOT NULL, envelope bytea NOT NULL,
    owner_id text COLLATE "C", scope_id text COLLATE "C", protocol text COLLATE "C", expires_at text COLLATE "C", metadata text,
    PRIMARY KEY (credential_id, field, generation, attempt_id)
  );
  CREATE INDEX secrets_owner ON secrets (owner_id) WHERE owner_id IS NOT NULL;
  CREATE TABLE documents (
    kind text COLLATE "C" NOT NULL, subject text COLLATE "C" NOT NULL, item text COLLATE "C" NOT NULL,
    revision bigint NOT NULL, due_at text COLLATE "C", body text NOT NULL, PRIMARY KEY (kind, subject, item)
  );
  CREATE INDEX documents_due ON documents (kind, due_at) WHERE due_at IS NOT NULL;
  CREATE TABLE leases (
    name text COLLATE "C" PRIMARY KEY, owner text, fence bigint NOT NULL, until timestamptz NOT NULL
  );
  CREATE TABLE auth_rows (
    kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, user_id text COLLATE "C", access_hash bytea,
    created_at text COLLATE "C" NOT NULL, expires_at text COLLATE "C", body bytea NOT NULL, PRIMARY KEY (kind, id)
  );
  CREATE UNIQUE INDEX auth_rows_access ON auth_rows (access_hash) WHERE access_hash IS NOT NULL;
  CREATE INDEX auth_rows_user ON auth_rows (kind, user_id, id) WHERE user_id IS NOT NULL;
  CREATE INDEX auth_rows_expires ON auth_rows (kind, expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX auth_rows_created ON auth_rows (kind, created_at, id);
  `,
  // Interrupted refreshes are looked for ten times a second, however much else is overdue.
  `
  CREATE INDEX records_interrupted ON records (due_at, id) WHERE state = 'refreshing';
  ALTER TABLE records ADD COLUMN due_endpoint text COLLATE "C";
  CREATE INDEX records_due_endpoint ON records (due_endpoint) WHERE due_endpoint IS NOT NULL;
  `,
  // When the claim was last taken or renewed by a holder whose death the server would notice; NULL where it would not.
  `
  ALTER TABLE records ADD COLUMN claim_bound_at timestamptz;
  `,
];

export const POSTGRES_SCHEMA_VERSION = MIGRATIONS.length;
/** Any number; it only has to be the same in every process. */
const MIGRATION_LOCK = 7_236_001;

/**
 * Founds or updates the schema in one transaction, one process at a time.
 *
 * @throws StorageError `ERR_STORE_SCHEMA_TOO_NEW`, `ERR_STORE_UNAVAILABLE`
 */
export async function migratePostgres(database: PostgresDatabase): Promise<void> {
  await database.transaction(async (tx) => {
    await tx.run('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await tx.run(`CREATE SCHEMA IF NOT EXISTS "${database.schema}"`);
    await tx.run('CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)');
    const version = await readVersion(tx);
    if (version > POSTGRES_SCHEMA_VERSION) {
      throw new StorageError(
        'ERR_STORE_SCHEMA_TOO_NEW',
        `The database ${database.place} has schema version ${version}; this version reads ${POSTGRES_SCHEMA_VERSION}.`,
      );
    }
    for (const step of MIGRATIONS.slice(version)) await tx.run(step);
    if (version === 0) await tx.run('INSERT INTO schema_version VALUES ($1)', [POSTGRES_SCHEMA_VERSION]);
    else await tx.run('UPDATE schema_version SET version = $1', [POSTGRES_SCHEMA_VERSION]);
  });
}

async function readVersion(tx: PostgresTransaction): Promise<number> {
  const [row] = await tx.find<{ version: number }>('SELECT version FROM schema_version', []);
  return row?.version ?? 0;
}
