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
import { pageOf, parseListing } from './listing.ts';
import { MemoryDocuments } from './memory-documents.ts';
import { matchingKey, sortRows, type ListedRow } from './memory-list.ts';
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

/** A record as text, so that nobody can change what is stored by changing what he was given. */
interface Row {
  text: string;
  claim: { owner: string | null; fence: number; untilMs: number };
}

/** Records, journal, claims, events and access keys in maps: the reference. Every list looks at every record. */
export class MemoryRecordStore extends DocumentLedger implements RecordStore {
  protected readonly documents = new MemoryDocuments((id) => this.#rows.has(id));
  readonly #clock: Clock;
  readonly #rows = new Map<CredentialId, Row>();
  readonly #attempts = new Map<CredentialId, Map<number, string>>();
  #events: { readonly seq: number; readonly text: string }[] = [];
  #newestEvent = 0;
  #prunedThrough = 0;
  readonly #accessKeys = new Map<string, AccessKeyRecord>();
  readonly #encryptions = new Map<string, number>();
  #keyRing: string | null = null;
  #restoredAt: Date | null = null;
  #seal: RecordSeal | null = null;
  #sealed: string | null = null;
  #writes = 0;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  async insert(record: CredentialRecord, events: readonly CredentialEvent[]): Promise<void> {
    requireStorable(record);
    if (this.#rows.has(record.id)) {
      throw new StorageError('ERR_STORE_DUPLICATE', 'A credential with this id exists.', { credentialId: record.id });
    }
    this.#writes += 1;
    this.#writeSeal(null, record);
    this.#rows.set(record.id, { text: encodeRecord(record), claim: { owner: null, fence: 0, untilMs: 0 } });
    this.#append(events);
  }

  async get(id: CredentialId): Promise<CredentialRecord | null> {
    const row = this.#rows.get(id);
    return row ? parseRecord(row.text) : null;
  }

  async compareAndSet(change: RecordChange): Promise<boolean> {
    const { record, expectedRevision, claim, leaseMs, release, attempt, events = [] } = change;
    if (record.revision !== expectedRevision + 1) throw new TypeError('Expected the revision after expectedRevision.');
    requireStorable(record);
    const row = this.#rows.get(record.id);
    if (!row || parseRecord(row.text).revision !== expectedRevision) return false;
    if (claim && claim.fence !== row.claim.fence) return false;
    if (leaseMs !== undefined && row.claim.owner === null) return false;
    this.#writes += 1;
    this.#writeSeal(parseRecord(row.text), record);
    row.text = encodeRecord(record);
    if (leaseMs !== undefined) row.claim.untilMs = this.#clock.hostTime().ms + leaseMs;
    if (release?.fence === row.claim.fence) row.claim.owner = null;
    if (attempt) this.#putAttempt(attempt);
    this.#append(events);
    return true;
  }

  async delete(id: CredentialId, expectedRevision: number, events: readonly CredentialEvent[] = []): Promise<boolean> {
    const row = this.#rows.get(id);
    if (!row || parseRecord(row.text).revision !== expectedRevision) return false;
    this.#writes += 1;
    this.#writeSeal(parseRecord(row.text), null);
    this.#rows.delete(id);
    this.#rows.delete(id);
    this.#attempts.delete(id);
    for (const kind of KINDS_OF_A_CREDENTIAL) this.documents.deleteSubject(kind, id);
    this.#append(events);
    return true;
  }

  async list(filter: RecordFilter): Promise<RecordPage> {
    const listing = parseListing(filter);
    const rows: ListedRow[] = [];
    for (const record of this.#records()) {
      const key = matchingKey({ ...record, dueAt: dueAtOf(record) }, listing);
      if (key !== null) rows.push({ record, key });
    }
    return pageOf(listing, sortRows(rows, listing.after).slice(0, listing.limit + 1));
  }

  async listIds(after: CredentialId | null, limit: number): Promise<CredentialId[]> {
    const later = [...this.#rows.keys()].filter((id) => after === null || compareTexts(id, after) > 0);
    return later.sort(compareTexts).slice(0, limit);
  }

  async countByState(): Promise<StateCounts> {
    const counts = { pending: 0, valid: 0, refreshing: 0, expired: 0, revoked: 0 };
    for (const record of this.#records()) counts[lifecycleStateOf(record.state)] += 1;
    return counts;
  }

  async claim(id: CredentialId, owner: string, leaseMs: number): Promise<Claim | null> {
    const row = this.#rows.get(id);
    const { ms } = this.#clock.hostTime();
    if (!row || !isFree(row, ms)) return null;
    this.#writes += 1;
    row.claim = { owner, fence: row.claim.fence + 1, untilMs: ms + leaseMs };
    return { credentialId: id, owner, fence: row.claim.fence };
  }

  async claimDue(options: Parameters<RecordStore['claimDue']>[0]): Promise<Claim[]> {
    const { now, except = [], among } = options;
    const { ms } = this.#clock.hostTime();
    const asked = among?.map((id) => this.#rows.get(id)).filter((row) => row !== undefined);
    const records = asked?.map((row) => parseRecord(row.text)) ?? this.#records();
    const found = records
      .map((record) => ({
        id: record.id,
        dueAt: dueAtOf(record),
        rank: lifecycleStateOf(record.state) === 'refreshing' ? 0 : 1,
      }))
      .filter(({ id, dueAt }) => dueAt !== null && dueAt <= now && !except.includes(id) && this.#isFree(id, ms));
    const inOrder = among
      ? found
      : found.sort((a, b) => a.rank - b.rank || Number(a.dueAt) - Number(b.dueAt) || compareTexts(a.id, b.id));
    const due = inOrder.slice(0, options.limit);
    const claims = await Promise.all(due.map(({ id }) => this.claim(id, options.owner, options.leaseMs)));
    return claims.filter((claim) => claim !== null);
  }

  async renewClaim(claim: Claim, leaseMs: number): Promise<boolean> {
    const row = this.#rows.get(claim.credentialId);
    if (!row || row.claim.fence !== claim.fence || row.claim.owner === null) return false;
    this.#writes += 1;
    row.claim.untilMs = this.#clock.hostTime().ms + leaseMs;
    return true;
  }

  async releaseClaim(claim: Claim): Promise<void> {
    const row = this.#rows.get(claim.credentialId);
    if (row?.claim.fence === claim.fence) row.claim.owner = null;
  }

  async listDue(options: Parameters<RecordStore['listDue']>[0]): Promise<DueRecord[]> {
    const { now, limit, exceptEndpoints } = options;
    const { ms } = this.#clock.hostTime();
    return this.#records()
      .filter((record) => isListedDue(record, now, exceptEndpoints))
      .filter((record) => lifecycleStateOf(record.state) !== 'refreshing' || this.#isFree(record.id, ms))
      .map((record) => ({ record, urgency: urgencyOf(record, now) }))
      .sort((a, b) => compareTexts(a.urgency, b.urgency))
      .slice(0, limit)
      .map(({ record }) => ({
        credentialId: record.id,
        endpoint: dueEndpointOf(record),
        isInterrupted: lifecycleStateOf(record.state) === 'refreshing',
      }));
  }

  async countAtEndpoint(endpoint: string): Promise<number> {
    return this.#records().filter((record) => dueEndpointOf(record) === endpoint).length;
  }

  async nextDueAt(after?: Date): Promise<Date | null> {
    const all = this.#records().flatMap((record) => dueAtOf(record)?.getTime() ?? []);
    const due = after === undefined ? all : all.filter((ms) => ms > after.getTime());
    return due.length === 0 ? null : new Date(due.reduce((a, b) => Math.min(a, b)));
  }

  async lastAttempt(id: CredentialId): Promise<Attempt | null> {
    const attempts = this.#attempts.get(id);
    const text = attempts?.get([...attempts.keys()].reduce((a, b) => Math.max(a, b), 0));
    return text === undefined ? null : parseAttempt(text);
  }

  async attempts(id: CredentialId, limit: number): Promise<Attempt[]> {
    const newestFirst = [...(this.#attempts.get(id) ?? [])].sort(([a], [b]) => b - a);
    return newestFirst.slice(0, limit).map(([, text]) => parseAttempt(text));
  }

  async readEvents(cursor: number, limit: number): Promise<{ events: readonly CredentialEvent[]; cursor: number }> {
    const found = this.#events.filter(({ seq }) => seq > cursor).slice(0, limit);
    return { events: found.map(({ text }) => parseEvent(text)), cursor: found.at(-1)?.seq ?? cursor };
  }

  async lastEvent(id: CredentialId): Promise<CredentialEvent | null> {
    return this.#events.map(({ text }) => parseEvent(text)).findLast((event) => event.credentialId === id) ?? null;
  }

  async appendEvents(events: readonly CredentialEvent[]): Promise<void> {
    this.#writes += 1;
    this.#append(events);
  }

  async eventRange(): Promise<{ newest: number; prunedThrough: number }> {
    return { newest: this.#newestEvent, prunedThrough: this.#prunedThrough };
  }

  async pruneEvents(through: number, limit: number): Promise<number> {
    this.#prunedThrough = Math.max(this.#prunedThrough, Math.min(through, this.#newestEvent));
    const last = new Map(this.#events.map(({ seq, text }) => [parseEvent(text).credentialId, seq]));
    const doomed = this.#events.filter(({ seq, text }) => {
      const { credentialId } = parseEvent(text);
      const isLast = credentialId !== null && this.#rows.has(credentialId) && last.get(credentialId) === seq;
      return seq <= through && !isLast;
    });
    const pruned = new Set(doomed.slice(0, limit));
    this.#events = this.#events.filter((event) => !pruned.has(event));
    return pruned.size;
  }

  async pruneAttempts(keep: number, limit: number): Promise<number> {
    let pruned = 0;
    for (const attempts of this.#attempts.values()) {
      const old = [...attempts.keys()].sort((a, b) => b - a).slice(Math.max(keep, 1));
      for (const fence of old.slice(0, limit - pruned)) {
        attempts.delete(fence);
        pruned += 1;
      }
    }
    return pruned;
  }

  async putAccessKey(key: AccessKeyRecord): Promise<void> {
    this.#writes += 1;
    this.#accessKeys.set(key.keyId, structuredCopy(key));
  }

  async getAccessKey(keyId: string): Promise<AccessKeyRecord | null> {
    const key = this.#accessKeys.get(keyId);
    return key ? structuredCopy(key) : null;
  }

  async getRestoredAt(): Promise<Date | null> {
    return this.#restoredAt;
  }

  async markRestored(at: Date): Promise<void> {
    this.#restoredAt = at;
  }

  async getKeyRing(): Promise<string | null> {
    return this.#keyRing;
  }

  async compareAndSetKeyRing(next: string, expected: string | null): Promise<boolean> {
    if (this.#keyRing !== expected) return false;
    this.#writes += 1;
    this.#keyRing = next;
    return true;
  }

  async reserveEncryptions(keyId: string, count: number): Promise<number> {
    const sum = (this.#encryptions.get(keyId) ?? 0) + count;
    if (count > 0) this.#encryptions.set(keyId, sum);
    return sum;
  }

  sealWith(seal: RecordSeal): void {
    this.#seal = seal;
  }

  async getSeal(): Promise<string | null> {
    return this.#sealed;
  }

  changeMark(): number {
    return this.#writes;
  }

  async close(): Promise<void> {
    this.#rows.clear();
  }

  #writeSeal(before: CredentialRecord | null, after: CredentialRecord | null): void {
    this.#sealed = this.#seal?.next(this.#sealed, before, after) ?? this.#sealed;
  }

  #records(): CredentialRecord[] {
    return [...this.#rows.values()].map((row) => parseRecord(row.text));
  }

  #isFree(id: CredentialId, ms: number): boolean {
    const row = this.#rows.get(id);
    return row !== undefined && isFree(row, ms);
  }

  #putAttempt(attempt: Attempt): void {
    const attempts = this.#attempts.get(attempt.credentialId) ?? new Map<number, string>();
    attempts.set(attempt.fence, JSON.stringify(attempt));
    this.#attempts.set(attempt.credentialId, attempts);
  }

  #append(events: readonly CredentialEvent[]): void {
    for (const event of events) {
      this.#newestEvent += 1;
      this.#events.push({ seq: this.#newestEvent, text: JSON.stringify(event) });
    }
  }
}

function isListedDue(record: CredentialRecord, now: Date, exceptEndpoints: readonly string[]): boolean {
  const dueAt = dueAtOf(record);
  if (dueAt === null || dueAt > now) return false;
  const endpoint = dueEndpointOf(record);
  if (endpoint === null || !exceptEndpoints.includes(endpoint)) return true;
  return lifecycleStateOf(record.state) === 'valid' && record.expiresAt !== null && record.expiresAt <= now;
}

/** Sorts as `listDue` says. */
function urgencyOf(record: CredentialRecord, now: Date): string {
  const { expiresAt } = record;
  const isDead = expiresAt === null || expiresAt <= now;
  const isDying = !isDead && expiresAt.getTime() <= now.getTime() + DYING_MS;
  const end = expiresAt ?? dueAtOf(record);
  const isInterrupted = lifecycleStateOf(record.state) === 'refreshing';
  return `${isInterrupted ? '!' : isDying ? '0' : isDead ? '1' : '2'} ${end?.toISOString() ?? ''} ${record.id}`;
}

function isFree({ claim }: Row, ms: number): boolean {
  return claim.owner === null || claim.untilMs <= ms;
}

function structuredCopy(key: AccessKeyRecord): AccessKeyRecord {
  return { ...key, hash: Buffer.from(key.hash), scopes: [...key.scopes] };
}
