import type Database from 'better-sqlite3';
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
import type { Clock, HostTime } from '../ports.ts';
import { DocumentLedger } from './documents.ts';
import { pageOfTexts, parseListing, wordsOf } from './listing.ts';
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
import { SqliteDocuments } from './sqlite-documents.ts';
import { listQuery } from './sqlite-list.ts';
import { prepareStatements, type ClaimRow, type IndexStatements, type Statements } from './sqlite-statements.ts';
import { translated } from './sqlite-errors.ts';
import type { SqliteHolders } from './sqlite-holders.ts';
import { SqliteWriter } from './sqlite-writer.ts';
import { requireStorable } from './texts.ts';

/** Names in the table `meta`. */
const KEY_RING = 'key-ring';
const SEAL = 'seal';
export const RESTORED_AT = 'restored-at';
const ENCRYPTIONS = 'encryptions/';
const PRUNED_THROUGH = 'pruned-through';
/** How often the holders of interrupted refreshes are looked at. */
const HOLDERS_MS = 250;

/** Records, journal, claims, events and access keys in one SQLite database. Leases run on the host's boot-time clock. */
export class SqliteRecordStore extends DocumentLedger implements RecordStore {
  protected readonly documents: SqliteDocuments;
  readonly #db: Database.Database;
  readonly #clock: Clock;
  readonly #sql: Statements;
  readonly #writer: SqliteWriter;
  readonly #holders: SqliteHolders | null;
  #heldLookedAtMs = Number.NEGATIVE_INFINITY;
  #ownWrites = 0;
  #seal: RecordSeal | null = null;

  /**
   * @param parts.writer What all stores on `db` write through.
   * @param parts.holders Which holders of claims live; without it a claim of a dead one lasts as long as its lease.
   */
  constructor(db: Database.Database, clock: Clock, parts: { writer?: SqliteWriter; holders?: SqliteHolders } = {}) {
    super();
    this.#writer = parts.writer ?? new SqliteWriter(db, clock);
    this.#holders = parts.holders ?? null;
    this.documents = new SqliteDocuments(db, this.#writer);
    this.#db = db;
    this.#clock = clock;
    this.#sql = prepareStatements(db);
  }

  async insert(record: CredentialRecord, events: readonly CredentialEvent[]): Promise<void> {
    requireStorable(record);
    await this.#write(() => {
      const { changes } = this.#sql.insert.run({ id: record.id, ...columns(record) });
      if (changes === 0)
        throw new StorageError('ERR_STORE_DUPLICATE', 'A credential with this id exists.', { credentialId: record.id });
      this.#writeIndexes(record);
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
    requireStorable(record);
    const host = change.leaseMs === undefined ? null : this.#clock.hostTime();
    return this.#write(() => {
      const before = this.#seal === null ? undefined : this.#sql.get.get(record.id);
      const { changes } = this.#sql.compareAndSet.run({
        id: record.id,
        expectedRevision,
        fence: claim?.fence ?? null,
        releaseFence: change.release?.fence ?? null,
        epoch: host?.epoch ?? null,
        until: host && host.ms + (change.leaseMs ?? 0),
        ...columns(record),
      });
      if (changes === 0) return false;
      this.#writeIndexes(record);
      if (attempt) this.#sql.putAttempt.run(attempt.credentialId, attempt.fence, JSON.stringify(attempt));
      this.#appendEvents(events);
      if (before !== undefined) this.#writeSeal(parseRecord(before), record);
      return true;
    });
  }

  async delete(id: CredentialId, expectedRevision: number, events: readonly CredentialEvent[] = []): Promise<boolean> {
    return this.#write(() => {
      const before = this.#seal === null ? undefined : this.#sql.get.get(id);
      if (this.#sql.remove.run(id, expectedRevision).changes === 0) return false;
      if (before !== undefined) this.#writeSeal(parseRecord(before), null);
      for (const statement of this.#sql.removeBelongings) statement.run(id);
      this.#appendEvents(events);
      return true;
    });
  }

  async list(filter: RecordFilter): Promise<RecordPage> {
    const listing = parseListing(filter);
    const { sql, parameters } = listQuery(listing);
    type Row = { id: string; record: string; key: string };
    return pageOfTexts(
      listing,
      this.#read(() => this.#db.prepare<unknown[], Row>(sql).all(...parameters)),
    );
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
    this.#holders?.appear(owner);
    await this.#releaseClaimsOfDead();
    return this.#write(() => this.#claimNow(id, owner, leaseMs, this.#clock.hostTime()));
  }

  async claimDue(options: Parameters<RecordStore['claimDue']>[0]): Promise<Claim[]> {
    const { limit, owner, leaseMs, now, except = [], among } = options;
    const findDue = (host: HostTime): string[] => {
      const asked = { now: now.toISOString(), epoch: host.epoch, hostMs: host.ms, except: JSON.stringify(except) };
      if (among) return this.#sql.dueAmong.all({ ...asked, limit, among: JSON.stringify(among) });
      const interrupted = this.#sql.interrupted.all({ ...asked, limit });
      const left = limit - interrupted.length;
      return left > 0 ? [...interrupted, ...this.#sql.due.all({ ...asked, limit: left })] : interrupted;
    };
    this.#holders?.appear(owner);
    // A look without the write lock, which the asker would have to wait for: mostly nothing is due.
    if (this.#read(() => findDue(this.#clock.hostTime())).length === 0) return [];
    return this.#write(() => {
      const host = this.#clock.hostTime();
      return findDue(host)
        .map((id) => this.#claimNow(id, owner, leaseMs, host))
        .filter((claim) => claim !== null);
    });
  }

  async renewClaim(claim: Claim, leaseMs: number): Promise<boolean> {
    const { epoch, ms } = this.#clock.hostTime();
    return this.#write(
      () =>
        this.#sql.renew.run({ id: claim.credentialId, fence: claim.fence, epoch, until: ms + leaseMs }).changes === 1,
    );
  }

  async releaseClaim(claim: Claim): Promise<void> {
    await this.#write(() => this.#sql.release.run(claim.credentialId, claim.fence));
  }

  async listDue(options: Parameters<RecordStore['listDue']>[0]): Promise<DueRecord[]> {
    const { now, limit } = options;
    const dying = new Date(now.getTime() + DYING_MS).toISOString();
    const endpoints = JSON.stringify(options.exceptEndpoints);
    await this.#releaseClaimsOfDead();
    const { epoch, ms: hostMs } = this.#clock.hostTime();
    const asked = { now: now.toISOString(), dying, limit, endpoints, epoch, hostMs };
    const rows = this.#read(() => this.#sql.listDue.all(asked));
    return rows.map(({ id, due_endpoint: endpoint, state }) => {
      return { credentialId: id, endpoint, isInterrupted: state === 'refreshing' };
    });
  }

  async countAtEndpoint(endpoint: string): Promise<number> {
    return this.#read(() => this.#sql.countAtEndpoint.get(endpoint)) ?? 0;
  }

  async nextDueAt(after?: Date): Promise<Date | null> {
    const text = this.#read(() => this.#sql.nextDue.get(after?.toISOString() ?? ''));
    return text === undefined || text === null ? null : new Date(text);
  }

  async lastAttempt(id: CredentialId): Promise<Attempt | null> {
    const text = this.#read(() => this.#sql.lastAttempt.get(id));
    return text === undefined ? null : parseAttempt(text);
  }

  async attempts(id: CredentialId, limit: number): Promise<Attempt[]> {
    return this.#read(() => this.#sql.attempts.all(id, limit)).map(parseAttempt);
  }

  async readEvents(cursor: number, limit: number): Promise<{ events: readonly CredentialEvent[]; cursor: number }> {
    const rows = this.#read(() => this.#sql.readEvents.all(cursor, limit));
    return { events: rows.map((row) => parseEvent(row.event)), cursor: rows.at(-1)?.seq ?? cursor };
  }

  async lastEvent(id: CredentialId): Promise<CredentialEvent | null> {
    const text = this.#read(() => this.#sql.lastEvent.get(id));
    return text === undefined ? null : parseEvent(text);
  }

  async appendEvents(events: readonly CredentialEvent[]): Promise<void> {
    await this.#write(() => {
      this.#appendEvents(events);
    });
  }

  async eventRange(): Promise<{ newest: number; prunedThrough: number }> {
    return this.#read(() => ({
      newest: this.#sql.newestEvent.get() ?? 0,
      prunedThrough: Number(this.#sql.getMeta.get(PRUNED_THROUGH) ?? 0),
    }));
  }

  async pruneEvents(through: number, limit: number): Promise<number> {
    return this.#write(() => {
      const known = Number(this.#sql.getMeta.get(PRUNED_THROUGH) ?? 0);
      const reached = Math.min(through, this.#sql.newestEvent.get() ?? 0);
      if (reached > known) this.#sql.putMeta.run(PRUNED_THROUGH, String(reached));
      return this.#sql.pruneEvents.run(through, limit).changes;
    });
  }

  async pruneAttempts(keep: number, limit: number): Promise<number> {
    return this.#write(() => this.#sql.pruneAttempts.run(Math.max(keep, 1), limit).changes);
  }

  async putAccessKey(key: AccessKeyRecord): Promise<void> {
    await this.#write(() =>
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

  async getRestoredAt(): Promise<Date | null> {
    const text = this.#read(() => this.#sql.getMeta.get(RESTORED_AT));
    return text === undefined ? null : new Date(text);
  }

  async markRestored(at: Date): Promise<void> {
    await this.#write(() => this.#sql.putMeta.run(RESTORED_AT, at.toISOString()));
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
    return Number(await this.#write(() => this.#sql.addToMeta.get(name, String(count))));
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
    this.#writer.flush();
    this.#holders?.close();
    this.#db.close();
  }

  #claimNow(id: CredentialId, owner: string, leaseMs: number, { epoch, ms }: HostTime): Claim | null {
    const row: ClaimRow | undefined = this.#sql.claim.get({ id, owner, epoch, hostMs: ms, until: ms + leaseMs });
    return row ? { credentialId: id, owner, fence: row.claim_fence } : null;
  }

  /** A refresh that its holder's death cut off is taken over at once: a token in doubt has little time. */
  async #releaseClaimsOfDead(): Promise<void> {
    const { epoch, ms: hostMs } = this.#clock.hostTime();
    if (this.#holders === null || hostMs - this.#heldLookedAtMs < HOLDERS_MS) return;
    this.#heldLookedAtMs = hostMs;
    for (const owner of this.#read(() => this.#sql.refreshing.all({ epoch, hostMs }))) {
      await this.#holders.ifDead(owner, async () => {
        await this.#write(() => this.#sql.releaseAll.run(owner));
      });
    }
  }

  #writeIndexes(record: CredentialRecord): void {
    writeIndex(this.#sql.tags, record.id, record.tags);
    writeIndex(this.#sql.words, record.id, wordsOf(record.name));
  }

  #writeSeal(before: CredentialRecord | null, after: CredentialRecord | null): void {
    const next = this.#seal?.next(this.#sql.getMeta.get(SEAL) ?? null, before, after) ?? null;
    if (next !== null) this.#sql.putMeta.run(SEAL, next);
  }

  #appendEvents(events: readonly CredentialEvent[]): void {
    for (const event of events) this.#sql.appendEvent.run(event.credentialId ?? '', JSON.stringify(event));
  }

  #read<T>(operation: () => T): T {
    return translated(this.#db.name, operation);
  }

  #write<T>(operation: () => T): Promise<T> {
    return this.#writer.write(() => {
      // Not before: whoever sees the new mark must find what was written.
      this.#ownWrites += 1;
      return operation();
    });
  }
}

/** Most writes change neither tags nor name, and then write nothing here. */
function writeIndex({ select, insert, remove }: IndexStatements, id: CredentialId, values: readonly string[]): void {
  const before = new Set(select.all(id));
  const after = new Set(values);
  for (const value of after) if (!before.has(value)) insert.run(value, id);
  for (const value of before) if (!after.has(value)) remove.run(value, id);
}

function columns(record: CredentialRecord): Record<string, string | number | null> {
  return {
    revision: record.revision,
    state: lifecycleStateOf(record.state),
    protocol: record.protocol,
    ownerId: record.ownerId,
    scopeId: record.scopeId,
    dueAt: dueAtOf(record)?.toISOString() ?? null,
    dueEndpoint: dueEndpointOf(record),
    expiresAt: record.expiresAt?.toISOString() ?? null,
    record: encodeRecord(record),
  };
}
