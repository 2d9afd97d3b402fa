import { StorageError } from '../errors.ts';
import {
  encodeRecord,
  lifecycleStateOf,
  parseRecord,
  type CredentialId,
  type CredentialRecord,
  dueAtOf,
  dueEndpointOf,
} from '../lifecycle/credential.ts';
import { parseEvent, type CredentialEvent } from '../lifecycle/events.ts';
import { parseAttempt, type Attempt } from '../lifecycle/journal.ts';
import type { Clock } from '../ports.ts';
import { DocumentLedger, KINDS_OF_A_CREDENTIAL } from './documents.ts';
import { pageOfTexts, parseListing, wordsOf } from './listing.ts';
import type { OpenTransaction, Parameter, PostgresDatabase } from './postgres-database.ts';
import { PostgresDocuments } from './postgres-documents.ts';
import { PostgresHolders } from './postgres-holders.ts';
import { postgresListQuery } from './postgres-list.ts';
import {
  dueRecords,
  eventsAppended,
  indexed,
  IS_FREE,
  leasedFor,
  RECORD_WRITTEN,
  SEAL_LOCK,
} from './postgres-statements.ts';
import {
  DYING_MS,
  type AccessKeyRecord,
  type Claim,
  type DueRecord,
  type RecordChange,
  type RecordFilter,
  type RecordPage,
  type RecordSeal,
  type RecordStore,
  type StateCounts,
} from './record-store.ts';
import { compareTexts, requireStorable } from './texts.ts';

/** Names in the table `meta`. */
const KEY_RING = 'key-ring';
const SEAL = 'seal';
const RESTORED_AT = 'restored-at';
const ENCRYPTIONS = 'encryptions/';
const PRUNED_THROUGH = 'pruned-through';
/** The setting of a transaction that carries its events to its end. */
const WRITTEN_EVENTS = 'credlife.events';

interface ClaimRow {
  readonly id: string;
  readonly claim_fence: string;
  readonly due_at: string;
  readonly state: string;
}
interface AccessKeyRow {
  readonly key_id: string;
  readonly hash: Buffer;
  readonly credential_id: string | null;
  readonly scopes: string;
  readonly created_at: string;
}

/** Records, journal, claims, events and access keys in PostgreSQL. Leases run on the server's clock. */
export class PostgresRecordStore extends DocumentLedger implements RecordStore {
  protected readonly documents: PostgresDocuments;
  readonly #database: PostgresDatabase;
  readonly #holders: PostgresHolders;
  #seal: RecordSeal | null = null;

  /** @param clock Says how often the holders of claims are looked at; leases run on the server's. */
  constructor(database: PostgresDatabase, clock: Clock) {
    super();
    this.documents = new PostgresDocuments(database);
    this.#database = database;
    this.#holders = new PostgresHolders(database, clock);
  }

  async insert(record: CredentialRecord, events: readonly CredentialEvent[]): Promise<void> {
    requireStorable(record);
    await this.#database.transaction(async (tx) => {
      const inserted = await tx.run(
        `WITH written AS (
           INSERT INTO records (id, revision, state, protocol, owner_id, scope_id, due_at, expires_at, record, due_endpoint)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id),
         ${indexed('$11', '$12')}
         SELECT id FROM written`,
        [record.id, ...columns(record), record.tags, wordsOf(record.name)],
      );
      if (inserted === 0) {
        throw new StorageError('ERR_STORE_DUPLICATE', 'A credential with this id exists.', { credentialId: record.id });
      }
      await this.#writeSeal(tx, null, record);
      await this.#finish(tx, events);
    });
  }

  async get(id: CredentialId): Promise<CredentialRecord | null> {
    const text = await this.#text('SELECT record AS text FROM records WHERE id = $1', [id]);
    return text === null ? null : parseRecord(text);
  }

  async compareAndSet(change: RecordChange): Promise<boolean> {
    const { record, expectedRevision, claim, release, attempt, events = [] } = change;
    if (record.revision !== expectedRevision + 1) throw new TypeError('Expected the revision after expectedRevision.');
    requireStorable(record);
    // A revision of a record never changes, so it may be read before it is locked.
    const before = this.#seal === null ? null : await this.get(record.id);
    if (before !== null && before.revision !== expectedRevision) return false;
    const parameters = [
      ...[record.id, ...columns(record), expectedRevision, claim?.fence ?? null, release?.fence ?? null],
      ...[record.tags, wordsOf(record.name), attempt?.fence ?? null, attempt ? JSON.stringify(attempt) : null],
    ];
    if (before === null || this.#seal?.concerns(before, record) !== true) {
      const ctes = `${RECORD_WRITTEN}, ${eventsAppended('$18')}`;
      const end = `SELECT ${this.#database.announcement} FROM written`;
      return (await this.#database.runAtOnce(ctes, end, [...parameters, rowsOf(events)])) === 1;
    }
    return this.#database.transaction(async (tx) => {
      if ((await tx.run(`WITH durable AS (SELECT), ${RECORD_WRITTEN} SELECT id FROM written`, parameters)) === 0)
        return false;
      await this.#writeSeal(tx, before, record);
      await this.#finish(tx, events);
      return true;
    });
  }

  async delete(id: CredentialId, expectedRevision: number, events: readonly CredentialEvent[] = []): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      const before = this.#seal === null ? null : await lockedRecord(tx, id);
      const sql = 'DELETE FROM records WHERE id = $1 AND revision = $2 RETURNING id';
      if ((await tx.find(sql, [id, expectedRevision])).length === 0) return false;
      await tx.run('DELETE FROM tags WHERE id = $1', [id]);
      await tx.run('DELETE FROM words WHERE id = $1', [id]);
      await tx.run('DELETE FROM attempts WHERE credential_id = $1', [id]);
      await tx.run('DELETE FROM documents WHERE kind = ANY ($1) AND subject = $2', [KINDS_OF_A_CREDENTIAL, id]);
      if (before) await this.#writeSeal(tx, before, null);
      await this.#finish(tx, events);
      return true;
    });
  }

  async list(filter: RecordFilter): Promise<RecordPage> {
    const listing = parseListing(filter);
    const { sql, parameters } = postgresListQuery(listing);
    return pageOfTexts(
      listing,
      await this.#database.find<{ id: string; record: string; key: string }>(sql, parameters),
    );
  }

  async listIds(after: CredentialId | null, limit: number): Promise<CredentialId[]> {
    const sql = 'SELECT id FROM records WHERE id > $1 ORDER BY id LIMIT $2';
    return (await this.#database.find<{ id: string }>(sql, [after ?? '', limit])).map(({ id }) => id);
  }

  async countByState(): Promise<StateCounts> {
    const sql = 'SELECT state, count(*)::int AS count FROM records GROUP BY state';
    const rows = await this.#database.find<{ state: string; count: number }>(sql, []);
    const count = (state: string): number => rows.find((row) => row.state === state)?.count ?? 0;
    return {
      pending: count('pending'),
      valid: count('valid'),
      refreshing: count('refreshing'),
      expired: count('expired'),
      revoked: count('revoked'),
    };
  }

  async claim(id: CredentialId, owner: string, leaseMs: number): Promise<Claim | null> {
    const isHeld = await this.#holders.appear(owner);
    await this.#holders.releaseClaimsOfDead();
    const [row] = await this.#database.find<ClaimRow>(
      `UPDATE records SET claim_owner = $2, claim_fence = claim_fence + 1, ${leasedFor('$3', '$4')}
       WHERE id = $1 AND ${IS_FREE} RETURNING id, claim_fence, due_at, state`,
      [id, owner, leaseMs, isHeld],
    );
    return row ? claimOf(row, owner) : null;
  }

  async claimDue(options: Parameters<RecordStore['claimDue']>[0]): Promise<Claim[]> {
    if (options.among) return this.#claimAmong(options.among, options);
    const { limit, owner, leaseMs, now, except = [] } = options;
    const isHeld = await this.#holders.appear(owner);
    // Rows that another process is just claiming are passed over. MATERIALIZED: the choice is made once, whatever the plan.
    const rows = await this.#database.find<ClaimRow>(
      `WITH interrupted AS MATERIALIZED (${dueRecords("state = 'refreshing'", '$2')}),
       others AS MATERIALIZED (${dueRecords("state <> 'refreshing'", '$2::bigint - (SELECT count(*) FROM interrupted)')}),
       due AS (SELECT id FROM interrupted UNION ALL SELECT id FROM others)
       UPDATE records r SET claim_owner = $3, claim_fence = claim_fence + 1, ${leasedFor('$4', '$6')}
       FROM due WHERE r.id = due.id RETURNING r.id, r.claim_fence, r.due_at, r.state`,
      [now.toISOString(), limit, owner, leaseMs, except, isHeld],
    );
    return rows.toSorted(compareUrgency).map((row) => claimOf(row, owner));
  }

  async renewClaim(claim: Claim, leaseMs: number): Promise<boolean> {
    const sql = `UPDATE records SET ${leasedFor('$3', '$4')}
      WHERE id = $1 AND claim_fence = $2 AND claim_owner IS NOT NULL`;
    const isHeld = this.#holders.isHeld(claim.owner);
    return (await this.#database.runLightly(sql, [claim.credentialId, claim.fence, leaseMs, isHeld])) === 1;
  }

  async releaseClaim(claim: Claim): Promise<void> {
    const sql = 'UPDATE records SET claim_owner = NULL WHERE id = $1 AND claim_fence = $2';
    await this.#database.runLightly(sql, [claim.credentialId, claim.fence]);
  }

  async listDue(options: Parameters<RecordStore['listDue']>[0]): Promise<DueRecord[]> {
    const { now, limit, exceptEndpoints } = options;
    const dying = new Date(now.getTime() + DYING_MS).toISOString();
    await this.#holders.releaseClaimsOfDead();
    const rows = await this.#database.find<{ id: string; due_endpoint: string | null; state: string }>(
      `SELECT id, due_endpoint, state FROM records
       WHERE due_at <= $1 AND (state <> 'refreshing' OR ${IS_FREE}) AND (due_endpoint IS NULL OR due_endpoint <> ALL ($4::text[])
         OR (expires_at <= $1 AND state = 'valid'))
       ORDER BY CASE WHEN state = 'refreshing' THEN -1 WHEN expires_at > $2 THEN 2 WHEN expires_at > $1 THEN 0 ELSE 1 END, coalesce(expires_at, due_at), id
       LIMIT $3`,
      [now.toISOString(), dying, limit, exceptEndpoints],
    );
    return rows.map(({ id, due_endpoint: endpoint, state }) => {
      return { credentialId: id, endpoint, isInterrupted: state === 'refreshing' };
    });
  }

  async countAtEndpoint(endpoint: string): Promise<number> {
    const sql = 'SELECT count(*)::text AS text FROM records WHERE due_endpoint = $1';
    return Number(await this.#text(sql, [endpoint]));
  }

  async nextDueAt(after?: Date): Promise<Date | null> {
    const sql = 'SELECT min(due_at) AS text FROM records WHERE due_at > $1';
    const text = await this.#text(sql, [after?.toISOString() ?? '']);
    return text === null ? null : new Date(text);
  }

  async lastAttempt(id: CredentialId): Promise<Attempt | null> {
    const sql = 'SELECT attempt AS text FROM attempts WHERE credential_id = $1 ORDER BY fence DESC LIMIT 1';
    const text = await this.#text(sql, [id]);
    return text === null ? null : parseAttempt(text);
  }

  async attempts(id: CredentialId, limit: number): Promise<Attempt[]> {
    const sql = 'SELECT attempt AS text FROM attempts WHERE credential_id = $1 ORDER BY fence DESC LIMIT $2';
    return (await this.#database.find<{ text: string }>(sql, [id, limit])).map(({ text }) => parseAttempt(text));
  }

  async readEvents(cursor: number, limit: number): Promise<{ events: readonly CredentialEvent[]; cursor: number }> {
    const sql = 'SELECT seq, event FROM events WHERE seq > $1 ORDER BY seq LIMIT $2';
    const rows = await this.#database.find<{ seq: string; event: string }>(sql, [cursor, limit]);
    return { events: rows.map((row) => parseEvent(row.event)), cursor: Number(rows.at(-1)?.seq ?? cursor) };
  }

  async lastEvent(id: CredentialId): Promise<CredentialEvent | null> {
    const sql = 'SELECT event AS text FROM events WHERE credential_id = $1 ORDER BY seq DESC LIMIT 1';
    const text = await this.#text(sql, [id]);
    return text === null ? null : parseEvent(text);
  }

  async appendEvents(events: readonly CredentialEvent[]): Promise<void> {
    if (events.length === 0) return;
    const ctes = `written AS (SELECT count(*) FROM durable), ${eventsAppended('$1')}`;
    await this.#database.runAtOnce(ctes, `SELECT ${this.#database.announcement}`, [rowsOf(events)]);
  }

  async eventRange(): Promise<{ newest: number; prunedThrough: number }> {
    const [row] = await this.#database.find<{ newest: string | null; pruned: string | null }>(
      `SELECT (SELECT max(seq) FROM events) AS newest, (SELECT value FROM meta WHERE name = $1) AS pruned`,
      [PRUNED_THROUGH],
    );
    const prunedThrough = Number(row?.pruned ?? 0);
    return { newest: Math.max(Number(row?.newest ?? 0), prunedThrough), prunedThrough };
  }

  async pruneEvents(through: number, limit: number): Promise<number> {
    return this.#database.transaction(async (tx) => {
      await tx.run(
        `INSERT INTO meta SELECT $1, least($2::bigint, max(seq))::text FROM events HAVING max(seq) IS NOT NULL
         ON CONFLICT (name) DO UPDATE SET value = greatest(meta.value::bigint, excluded.value::bigint)::text`,
        [PRUNED_THROUGH, through],
      );
      return tx.run(
        `DELETE FROM events WHERE seq IN (
           SELECT seq FROM events e WHERE seq <= $1
             AND (EXISTS (SELECT 1 FROM events later WHERE later.credential_id = e.credential_id AND later.seq > e.seq)
               OR NOT EXISTS (SELECT 1 FROM records WHERE id = e.credential_id))
           ORDER BY seq LIMIT $2)`,
        [through, limit],
      );
    });
  }

  async pruneAttempts(keep: number, limit: number): Promise<number> {
    return this.#database.transaction((tx) =>
      tx.run(
        `DELETE FROM attempts WHERE (credential_id, fence) IN (
           SELECT credential_id, fence FROM (
             SELECT credential_id, fence, row_number() OVER (PARTITION BY credential_id ORDER BY fence DESC) AS place
             FROM attempts) AS placed
           WHERE place > $1 LIMIT $2)`,
        [Math.max(keep, 1), limit],
      ),
    );
  }

  async putAccessKey(key: AccessKeyRecord): Promise<void> {
    await this.#database.transaction((tx) =>
      tx.run('INSERT INTO access_keys VALUES ($1, $2, $3, $4, $5)', [
        key.keyId,
        key.hash,
        key.credentialId,
        JSON.stringify(key.scopes),
        key.createdAt.toISOString(),
      ]),
    );
  }

  async getAccessKey(keyId: string): Promise<AccessKeyRecord | null> {
    const [row] = await this.#database.find<AccessKeyRow>('SELECT * FROM access_keys WHERE key_id = $1', [keyId]);
    if (!row) return null;
    return {
      keyId: row.key_id,
      hash: row.hash,
      credentialId: row.credential_id,
      scopes: JSON.parse(row.scopes) as string[],
      createdAt: new Date(row.created_at),
    };
  }

  async getRestoredAt(): Promise<Date | null> {
    const text = await this.#text('SELECT value AS text FROM meta WHERE name = $1', [RESTORED_AT]);
    return text === null ? null : new Date(text);
  }

  async markRestored(at: Date): Promise<void> {
    const sql = 'INSERT INTO meta VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2';
    await this.#database.run(sql, [RESTORED_AT, at.toISOString()]);
  }

  async getKeyRing(): Promise<string | null> {
    return this.#text('SELECT value AS text FROM meta WHERE name = $1', [KEY_RING]);
  }

  async compareAndSetKeyRing(next: string, expected: string | null): Promise<boolean> {
    const written = await this.#database.transaction((tx) =>
      expected === null
        ? tx.run('INSERT INTO meta VALUES ($1, $2) ON CONFLICT DO NOTHING', [KEY_RING, next])
        : tx.run('UPDATE meta SET value = $2 WHERE name = $1 AND value = $3', [KEY_RING, next, expected]),
    );
    return written === 1;
  }

  async reserveEncryptions(keyId: string, count: number): Promise<number> {
    const name = `${ENCRYPTIONS}${keyId}`;
    if (count === 0) return Number((await this.#text('SELECT value AS text FROM meta WHERE name = $1', [name])) ?? 0);
    const [row] = await this.#database.find<{ value: string }>(
      `INSERT INTO meta VALUES ($1, $2) ON CONFLICT (name) DO UPDATE
       SET value = (meta.value::bigint + excluded.value::bigint)::text RETURNING value`,
      [name, String(count)],
    );
    return Number(row?.value);
  }

  sealWith(seal: RecordSeal): void {
    this.#seal = seal;
  }

  async getSeal(): Promise<string | null> {
    return this.#text('SELECT value AS text FROM meta WHERE name = $1', [SEAL]);
  }

  changeMark(): number {
    return this.#database.session.changeMark();
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  /** Writers queue for the sealed value, so only those that change what is sealed do: a refresh once, not at each step. */
  async #writeSeal(
    tx: OpenTransaction,
    before: CredentialRecord | null,
    after: CredentialRecord | null,
  ): Promise<void> {
    if (this.#seal?.concerns(before, after) !== true) return;
    await tx.run('SELECT pg_advisory_xact_lock($1, hashtext(current_schema()))', [SEAL_LOCK]);
    const [row] = await tx.find<{ value: string }>('SELECT value FROM meta WHERE name = $1', [SEAL]);
    const next = this.#seal.next(row?.value ?? null, before, after);
    if (next === null) return;
    await tx.run('INSERT INTO meta VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2', [SEAL, next]);
  }

  /** Appends the events and tells other processes. */
  async #finish(tx: OpenTransaction, events: readonly CredentialEvent[]): Promise<void> {
    if (events.length > 0) {
      await tx.find(`SELECT set_config('${WRITTEN_EVENTS}', $1, true)`, [rowsOf(events)]);
      tx.atCommit(`WITH written AS (SELECT), ${eventsAppended(`current_setting('${WRITTEN_EVENTS}')`)} SELECT`);
    }
    tx.atCommit(`SELECT ${this.#database.announcement}`);
  }

  async #claimAmong(
    among: readonly CredentialId[],
    { limit, owner, leaseMs, now, except = [] }: Parameters<RecordStore['claimDue']>[0],
  ): Promise<Claim[]> {
    const isHeld = await this.#holders.appear(owner);
    const rows = await this.#database.find<ClaimRow>(
      `WITH due AS MATERIALIZED (
         SELECT id FROM records WHERE id = ANY ($6::text[]) AND due_at <= $1 AND ${IS_FREE} AND id <> ALL ($5::text[])
         ORDER BY array_position($6::text[], id) LIMIT $2 FOR UPDATE SKIP LOCKED)
       UPDATE records r SET claim_owner = $3, claim_fence = claim_fence + 1, ${leasedFor('$4', '$7')}
       FROM due WHERE r.id = due.id RETURNING r.id, r.claim_fence, r.due_at, r.state`,
      [now.toISOString(), limit, owner, leaseMs, except, among, isHeld],
    );
    return rows.toSorted((a, b) => among.indexOf(a.id) - among.indexOf(b.id)).map((row) => claimOf(row, owner));
  }

  async #text(sql: string, parameters: readonly Parameter[]): Promise<string | null> {
    const [row] = await this.#database.find<{ text: string | null }>(sql, parameters);
    return row?.text ?? null;
  }
}

/** The record as it is, held until the transaction ends: what is sealed is the change from this to the next. */
async function lockedRecord(tx: OpenTransaction, id: CredentialId): Promise<CredentialRecord | null> {
  const [row] = await tx.find<{ record: string }>('SELECT record FROM records WHERE id = $1 FOR UPDATE', [id]);
  return row ? parseRecord(row.record) : null;
}

/** Interrupted refreshes first, then the longest due. */
function compareUrgency(a: ClaimRow, b: ClaimRow): number {
  const interruptedFirst = Number(b.state === 'refreshing') - Number(a.state === 'refreshing');
  return interruptedFirst || compareTexts(a.due_at, b.due_at) || compareTexts(a.id, b.id);
}

function rowsOf(events: readonly CredentialEvent[]): string {
  return JSON.stringify(events.map((event) => [event.credentialId ?? '', JSON.stringify(event)]));
}

function claimOf(row: ClaimRow, owner: string): Claim {
  return { credentialId: row.id, owner, fence: Number(row.claim_fence) };
}

function columns(record: CredentialRecord): Parameter[] {
  return [
    record.revision,
    lifecycleStateOf(record.state),
    record.protocol,
    record.ownerId,
    record.scopeId,
    dueAtOf(record)?.toISOString() ?? null,
    record.expiresAt?.toISOString() ?? null,
    encodeRecord(record),
    dueEndpointOf(record),
  ];
}
