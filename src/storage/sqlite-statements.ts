import type Database from 'better-sqlite3';
import { KINDS_OF_A_CREDENTIAL } from './documents.ts';

export interface ClaimRow {
  readonly claim_fence: number;
}
interface DueRow {
  readonly id: string;
  readonly due_endpoint: string | null;
  readonly state: string;
}
interface AccessKeyRow {
  readonly key_id: string;
  readonly hash: Buffer;
  readonly credential_id: string | null;
  readonly scopes: string;
  readonly created_at: string;
}
/** A table of (value, id) that says which records have a value. */
export interface IndexStatements {
  readonly select: Database.Statement<[string], string>;
  readonly insert: Database.Statement<[string, string]>;
  readonly remove: Database.Statement<[string, string]>;
}
type Named = Record<string, string | number | null>;

export interface Statements {
  readonly insert: Database.Statement<[Named]>;
  readonly get: Database.Statement<[string], string>;
  readonly compareAndSet: Database.Statement<[Named]>;
  readonly listIds: Database.Statement<[string, number], string>;
  readonly countByState: Database.Statement<[], { state: string; count: number }>;
  readonly claim: Database.Statement<[Named], ClaimRow>;
  readonly interrupted: Database.Statement<[Named], string>;
  readonly due: Database.Statement<[Named], string>;
  readonly renew: Database.Statement<[Named]>;
  readonly release: Database.Statement<[string, number]>;
  /** Who holds claims on refreshes under way. */
  readonly refreshing: Database.Statement<[Named], string>;
  readonly releaseAll: Database.Statement<[string]>;
  readonly dueAmong: Database.Statement<[Named], string>;
  readonly listDue: Database.Statement<[Named], DueRow>;
  readonly countAtEndpoint: Database.Statement<[string], number>;
  readonly nextDue: Database.Statement<[string], string | null>;
  readonly putAttempt: Database.Statement<[string, number, string]>;
  readonly lastAttempt: Database.Statement<[string], string>;
  readonly attempts: Database.Statement<[string, number], string>;
  readonly appendEvent: Database.Statement<[string, string]>;
  readonly readEvents: Database.Statement<[number, number], { seq: number; event: string }>;
  readonly lastEvent: Database.Statement<[string], string>;
  readonly newestEvent: Database.Statement<[], number>;
  readonly pruneEvents: Database.Statement<[number, number]>;
  readonly pruneAttempts: Database.Statement<[number, number]>;
  readonly remove: Database.Statement<[string, number]>;
  readonly removeBelongings: readonly Database.Statement<[string]>[];
  readonly tags: IndexStatements;
  readonly words: IndexStatements;
  readonly putAccessKey: Database.Statement<[string, Buffer, string | null, string, string]>;
  readonly getAccessKey: Database.Statement<[string], AccessKeyRow>;
  readonly getMeta: Database.Statement<[string], string>;
  readonly insertMeta: Database.Statement<[string, string]>;
  readonly replaceMeta: Database.Statement<[string, string, string]>;
  readonly putMeta: Database.Statement<[string, string]>;
  readonly addToMeta: Database.Statement<[string, string], string>;
  readonly dataVersion: Database.Statement<[], number>;
}

const IS_FREE = '(claim_owner IS NULL OR claim_epoch <> @epoch OR claim_until <= @hostMs)';

/** Every statement of the record store, prepared once per connection. */
export function prepareStatements(db: Database.Database): Statements {
  const text = (sql: string): Database.Statement<[string], string> => db.prepare<[string], string>(sql).pluck();
  return {
    insert: db.prepare<[Named]>(
      `INSERT INTO records (id, revision, state, protocol, owner_id, scope_id, due_at, due_endpoint, expires_at, record)
       VALUES (@id, @revision, @state, @protocol, @ownerId, @scopeId, @dueAt, @dueEndpoint, @expiresAt, @record) ON CONFLICT DO NOTHING`,
    ),
    get: text('SELECT record FROM records WHERE id = ?'),
    compareAndSet: db.prepare<[Named]>(
      `UPDATE records SET revision = @revision, state = @state, protocol = @protocol, owner_id = @ownerId, scope_id = @scopeId,
         due_at = @dueAt, due_endpoint = @dueEndpoint, expires_at = @expiresAt, record = @record,
         claim_owner = CASE WHEN claim_fence = @releaseFence THEN NULL ELSE claim_owner END,
         claim_epoch = coalesce(@epoch, claim_epoch), claim_until = coalesce(@until, claim_until)
       WHERE id = @id AND revision = @expectedRevision AND (@fence IS NULL OR claim_fence = @fence)
         AND (@until IS NULL OR claim_owner IS NOT NULL)`,
    ),
    listIds: db.prepare<[string, number], string>('SELECT id FROM records WHERE id > ? ORDER BY id LIMIT ?').pluck(),
    countByState: db.prepare<[], { state: string; count: number }>(
      'SELECT state, count(*) AS count FROM records GROUP BY state',
    ),
    claim: db.prepare<[Named], ClaimRow>(
      `UPDATE records SET claim_owner = @owner, claim_fence = claim_fence + 1, claim_epoch = @epoch, claim_until = @until
       WHERE id = @id AND ${IS_FREE} RETURNING claim_fence`,
    ),
    ...dueStatements(db),
    refreshing: db
      .prepare<[Named], string>(
        `SELECT DISTINCT claim_owner FROM records
         WHERE state = 'refreshing' AND claim_owner IS NOT NULL AND claim_epoch = @epoch AND claim_until > @hostMs`,
      )
      .pluck(),
    releaseAll: db.prepare<[string]>(
      "UPDATE records SET claim_owner = NULL WHERE state = 'refreshing' AND claim_owner = ?",
    ),
    interrupted: dueStatement(db, "state = 'refreshing'"),
    due: dueStatement(db, "state <> 'refreshing'"),
    renew: db.prepare<[Named]>(
      `UPDATE records SET claim_epoch = @epoch, claim_until = @until
       WHERE id = @id AND claim_fence = @fence AND claim_owner IS NOT NULL`,
    ),
    release: db.prepare<[string, number]>('UPDATE records SET claim_owner = NULL WHERE id = ? AND claim_fence = ?'),
    putAttempt: db.prepare<[string, number, string]>('INSERT OR REPLACE INTO attempts VALUES (?, ?, ?)'),
    lastAttempt: text('SELECT attempt FROM attempts WHERE credential_id = ? ORDER BY fence DESC LIMIT 1'),
    attempts: db
      .prepare<[string, number], string>(
        'SELECT attempt FROM attempts WHERE credential_id = ? ORDER BY fence DESC LIMIT ?',
      )
      .pluck(),
    appendEvent: db.prepare<[string, string]>('INSERT INTO events (credential_id, event) VALUES (?, ?)'),
    readEvents: db.prepare<[number, number], { seq: number; event: string }>(
      'SELECT seq, event FROM events WHERE seq > ? ORDER BY seq LIMIT ?',
    ),
    lastEvent: text('SELECT event FROM events WHERE credential_id = ? ORDER BY seq DESC LIMIT 1'),
    ...pruneStatements(db),
    remove: db.prepare<[string, number]>('DELETE FROM records WHERE id = ? AND revision = ?'),
    removeBelongings: [
      'DELETE FROM tags WHERE id = ?',
      'DELETE FROM words WHERE id = ?',
      'DELETE FROM attempts WHERE credential_id = ?',
      ...KINDS_OF_A_CREDENTIAL.map((kind) => `DELETE FROM documents WHERE kind = '${kind}' AND subject = ?`),
    ].map((sql) => db.prepare<[string]>(sql)),
    tags: indexStatements(db, 'tags', 'tag'),
    words: indexStatements(db, 'words', 'word'),
    putAccessKey: db.prepare<[string, Buffer, string | null, string, string]>(
      'INSERT INTO access_keys VALUES (?, ?, ?, ?, ?)',
    ),
    getAccessKey: db.prepare<[string], AccessKeyRow>('SELECT * FROM access_keys WHERE key_id = ?'),
    getMeta: text('SELECT value FROM meta WHERE name = ?'),
    insertMeta: db.prepare<[string, string]>('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING'),
    replaceMeta: db.prepare<[string, string, string]>('UPDATE meta SET value = ? WHERE name = ? AND value = ?'),
    putMeta: db.prepare<[string, string]>('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
    addToMeta: db
      .prepare<[string, string], string>(
        `INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE
         SET value = CAST(CAST(value AS INTEGER) + CAST(excluded.value AS INTEGER) AS TEXT) RETURNING value`,
      )
      .pluck(),
    dataVersion: db.prepare<[], number>('PRAGMA data_version').pluck(),
  };
}

/** What the scheduler asks. */
function dueStatements(db: Database.Database) {
  return {
    dueAmong: db
      .prepare<[Named], string>(
        `SELECT r.id FROM json_each(@among) a JOIN records r ON r.id = a.value
         WHERE r.due_at <= @now AND ${IS_FREE} AND r.id NOT IN (SELECT value FROM json_each(@except)) ORDER BY a.key LIMIT @limit`,
      )
      .pluck(),
    // But for who is at an interrupted refresh, all of it is in the index: a backlog is sorted without a look at its records.
    listDue: db.prepare<[Named], DueRow>(
      `SELECT id, due_endpoint, state FROM records INDEXED BY records_urgent
       WHERE due_at <= @now AND (state <> 'refreshing' OR ${IS_FREE})
         AND (due_endpoint IS NULL OR due_endpoint NOT IN (SELECT value FROM json_each(@endpoints))
           OR (expires_at <= @now AND state = 'valid'))
       ORDER BY CASE WHEN state = 'refreshing' THEN -1 WHEN expires_at > @dying THEN 2 WHEN expires_at > @now THEN 0 ELSE 1 END,
         coalesce(expires_at, due_at), id
       LIMIT @limit`,
    ),
    countAtEndpoint: db.prepare<[string], number>('SELECT count(*) FROM records WHERE due_endpoint = ?').pluck(),
    nextDue: db.prepare<[string], string | null>('SELECT min(due_at) FROM records WHERE due_at > ?').pluck(),
  };
}

/** The ids of free records that are due, the longest due first. */
function dueStatement(db: Database.Database, which: string): Database.Statement<[Named], string> {
  return db
    .prepare<[Named], string>(
      `SELECT id FROM records WHERE ${which} AND due_at <= @now AND ${IS_FREE}
         AND id NOT IN (SELECT value FROM json_each(@except)) ORDER BY due_at, id LIMIT @limit`,
    )
    .pluck();
}

function pruneStatements(db: Database.Database): Pick<Statements, 'newestEvent' | 'pruneEvents' | 'pruneAttempts'> {
  return {
    newestEvent: db.prepare<[], number>(`SELECT seq FROM sqlite_sequence WHERE name = 'events'`).pluck(),
    pruneEvents: db.prepare<[number, number]>(
      `DELETE FROM events WHERE seq IN (
         SELECT seq FROM events e WHERE seq <= ?
           AND (EXISTS (SELECT 1 FROM events later WHERE later.credential_id = e.credential_id AND later.seq > e.seq)
             OR NOT EXISTS (SELECT 1 FROM records WHERE id = e.credential_id))
         ORDER BY seq LIMIT ?)`,
    ),
    pruneAttempts: db.prepare<[number, number]>(
      `DELETE FROM attempts WHERE (credential_id, fence) IN (
         SELECT credential_id, fence FROM (
           SELECT credential_id, fence, row_number() OVER (PARTITION BY credential_id ORDER BY fence DESC) AS place
           FROM attempts)
         WHERE place > ? LIMIT ?)`,
    ),
  };
}

function indexStatements(db: Database.Database, table: string, column: string): IndexStatements {
  return {
    select: db.prepare<[string], string>(`SELECT ${column} FROM ${table} WHERE id = ?`).pluck(),
    insert: db.prepare<[string, string]>(`INSERT INTO ${table} VALUES (?, ?)`),
    remove: db.prepare<[string, string]>(`DELETE FROM ${table} WHERE ${column} = ? AND id = ?`),
  };
}
