import type Database from 'better-sqlite3';
import { StorageError } from '../errors.ts';
import {
  encodeRecord,
  lifecycleStateOf,
  parseRecord,
  type CredentialId,
  type CredentialRecord,
} from '../lifecycle/credential.ts';
import { parseEvent, type CredentialEvent } from '../lifecycle/events.ts';
import { parseAttempt, type Attempt } from '../lifecycle/journal.ts';
import type { Clock, HostTime } from '../ports.ts';
import type {
  AccessKeyRecord,
  Claim,
  RecordChange,
  RecordFilter,
  RecordPage,
  RecordSeal,
  RecordStore,
  StateCounts,
} from './record-store.ts';
import { listQuery } from './sqlite-list.ts';
import { prepareStatements, type ClaimRow, type Statements } from './sqlite-statements.ts';
import { translated } from './sqlite-errors.ts';

/** Names in the table `meta`. */
const KEY_RING = 'key-ring';
const SEAL = 'seal';
const ENCRYPTIONS = 'encryptions/';

/** Records, journal, claims, events and access keys in one SQLite database. Leases run on the host's boot-time clock. */
export class SqliteRecordStore implements RecordStore {
  readonly #db: Database.Database;
  readonly #clock: Clock;
  readonly #sql: Statements;
  #ownWrites = 0;
  #seal: RecordSeal | null = null;

  constructor(db: Database.Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#sql = prepareStatements(db);
  }

  async insert(record: CredentialRecord, events: readonly CredentialEvent[]): Promise<void> {
    this.#write(() => {
      const { changes } = this.#sql.insert.run({ id: record.id, ...columns(record) });
      if (changes === 0)
        throw new StorageError('ERR_STORE_DUPLICATE', 'A credential with this id exists.', { credentialId: record.id });
      this.#writeTags(record);
      this.#appendEvents(events);
      this.#writeSeal(null, record);
    });
  }

  async get(id: CredentialId): Promise<CredentialRecord | null> {
    const text = this.#read(() => this.#sql.get.get(id));
    return text === undefined ? null : parseRecord(text);
  }

  async compareAndSet(change: RecordChange): Promise<boolean> {
    const { record, expectedRevision, claim, attempt, events = [] } = change;
    if (record.revision !== expectedRevision + 1) throw new TypeError('Expected the revision after expectedRevision.');
    return this.#write(() => {
      const before = this.#seal === null ? undefined : this.#sql.get.get(record.id);
      const { changes } = this.#sql.compareAndSet.run({
        id: record.id,
        expectedRevision,
        fence: claim?.fence ?? null,
        releaseFence: change.release?.fence ?? null,
        ...columns(record),
      });
      if (changes === 0) return false;
      this.#writeTags(record);
      if (attempt) this.#sql.putAttempt.run(attempt.credentialId, attempt.fence, JSON.stringify(attempt));
      this.#appendEvents(events);
      if (before !== undefined) this.#writeSeal(parseRecord(before), record);
      return true;
    });
  }

  async list(filter: RecordFilter): Promise<RecordPage> {
    const { sql, parameters, limit } = listQuery(filter);
    const rows = this.#read(() =>
      this.#db
        .prepare<unknown[], string>(sql)
        .pluck()
        .all(...parameters),
    );
    const records = rows.slice(0, limit).map(parseRecord);
    const last = records.at(-1);
    return {
      records,
      nextCursor: rows.length > limit && last ? Buffer.from(last.id, 'utf8').toString('base64url') : null,
    };
  }

  async listIds(after: CredentialId | null, limit: number): Promise<CredentialId[]> {
    return this.#read(() => this.#sql.listIds.all(after ?? '', limit));
  }

  async countByState(): Promise<StateCounts> {
    const rows = this.#read(() => this.#sql.countByState.all());
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
    return this.#write(() => this.#claimNow(id, owner, leaseMs, this.#clock.hostTime()));
  }

  async claimDue(options: { limit: number; owner: string; leaseMs: number; now: Date }): Promise<Claim[]> {
    const host = this.#clock.hostTime();
    return this.#write(() =>
      this.#sql.due
        .all({ now: options.now.toISOString(), epoch: host.epoch, hostMs: host.ms, limit: options.limit })
        .map((id) => this.#claimNow(id, options.owner, options.leaseMs, host))
        .filter((claim) => claim !== null),
    );
  }

  async renewClaim(claim: Claim, leaseMs: number): Promise<boolean> {
    const { epoch, ms } = this.#clock.hostTime();
    return this.#write(
      () =>
        this.#sql.renew.run({ id: claim.credentialId, fence: claim.fence, epoch, until: ms + leaseMs }).changes === 1,
    );
  }

  async releaseClaim(claim: Claim): Promise<void> {
    this.#write(() => this.#sql.release.run(claim.credentialId, claim.fence));
  }

  async nextDueAt(): Promise<Date | null> {
    const text = this.#read(() => this.#sql.nextDue.get());
    return text === undefined || text === null ? null : new Date(text);
  }

  async lastAttempt(id: CredentialId): Promise<Attempt | null> {
    const text = this.#read(() => this.#sql.lastAttempt.get(id));
    return text === undefined ? null : parseAttempt(text);
  }

  async readEvents(cursor: number, limit: number): Promise<{ events: readonly CredentialEvent[]; cursor: number }> {
    const rows = this.#read(() => this.#sql.readEvents.all(cursor, limit));
    return { events: rows.map((row) => parseEvent(row.event)), cursor: rows.at(-1)?.seq ?? cursor };
  }

  async lastEvent(id: CredentialId): Promise<CredentialEvent | null> {
    const text = this.#read(() => this.#sql.lastEvent.get(id));
    return text === undefined ? null : parseEvent(text);
  }

  async putAccessKey(key: AccessKeyRecord): Promise<void> {
    this.#write(() =>
      this.#sql.putAccessKey.run(
        key.keyId,
        key.hash,
        key.credentialId,
        JSON.stringify(key.scopes),
        key.createdAt.toISOString(),
      ),
    );
  }

  async getAccessKey(keyId: string): Promise<AccessKeyRecord | null> {
    const row = this.#read(() => this.#sql.getAccessKey.get(keyId));
    if (!row) return null;
    return {
      keyId: row.key_id,
      hash: row.hash,
      credentialId: row.credential_id,
      scopes: JSON.parse(row.scopes) as string[],
      createdAt: new Date(row.created_at),
    };
  }

  async getKeyRing(): Promise<string | null> {
    return this.#read(() => this.#sql.getMeta.get(KEY_RING)) ?? null;
  }

  async compareAndSetKeyRing(next: string, expected: string | null): Promise<boolean> {
    return this.#write(() =>
      expected === null
        ? this.#sql.insertMeta.run(KEY_RING, next).changes === 1
        : this.#sql.replaceMeta.run(next, KEY_RING, expected).changes === 1,
    );
  }

  async reserveEncryptions(keyId: string, count: number): Promise<number> {
    const name = `${ENCRYPTIONS}${keyId}`;
    if (count === 0) return Number(this.#read(() => this.#sql.getMeta.get(name)) ?? 0);
    return Number(this.#write(() => this.#sql.addToMeta.get(name, String(count))));
  }

  sealWith(seal: RecordSeal): void {
    this.#seal = seal;
  }

  async getSeal(): Promise<string | null> {
    return this.#read(() => this.#sql.getMeta.get(SEAL)) ?? null;
  }

  changeMark(): number {
    return (this.#sql.dataVersion.get() ?? 0) + this.#ownWrites;
  }

  async close(): Promise<void> {
    this.#db.close();
  }

  #claimNow(id: CredentialId, owner: string, leaseMs: number, { epoch, ms }: HostTime): Claim | null {
    const row: ClaimRow | undefined = this.#sql.claim.get({ id, owner, epoch, hostMs: ms, until: ms + leaseMs });
    return row ? { credentialId: id, owner, fence: row.claim_fence } : null;
  }

  #writeTags(record: CredentialRecord): void {
    this.#sql.deleteTags.run(record.id);
    for (const tag of new Set(record.tags)) this.#sql.insertTag.run(tag, record.id);
  }

  #writeSeal(before: CredentialRecord | null, after: CredentialRecord): void {
    const next = this.#seal?.next(this.#sql.getMeta.get(SEAL) ?? null, before, after) ?? null;
    if (next !== null) this.#sql.putMeta.run(SEAL, next);
  }

  #appendEvents(events: readonly CredentialEvent[]): void {
    for (const event of events) this.#sql.appendEvent.run(event.credentialId, JSON.stringify(event));
  }

  #read<T>(operation: () => T): T {
    return translated(this.#db.name, operation);
  }

  #write<T>(operation: () => T): T {
    this.#ownWrites += 1;
    return translated(this.#db.name, () => this.#db.transaction(operation).immediate());
  }
}

function columns(record: CredentialRecord): Record<string, string | number | null> {
  return {
    revision: record.revision,
    state: lifecycleStateOf(record.state),
    protocol: record.protocol,
    ownerId: record.ownerId,
    scopeId: record.scopeId,
    dueAt: record.dueAt?.toISOString() ?? null,
    expiresAt: record.expiresAt?.toISOString() ?? null,
    record: encodeRecord(record),
  };
}
