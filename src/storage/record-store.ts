import type { CredentialId, CredentialRecord, LifecycleState } from '../lifecycle/credential.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import type { Attempt } from '../lifecycle/journal.ts';

export interface RecordFilter {
  readonly ownerId?: string;
  readonly protocol?: string;
  readonly state?: LifecycleState;
  readonly scopeId?: string;
  /** Records that carry all of these. */
  readonly tags?: readonly string[];
  /** Records whose next action is due before this instant. */
  readonly dueBefore?: Date;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
}

export interface RecordPage {
  /** In the order of their ids. */
  readonly records: readonly CredentialRecord[];
  readonly nextCursor: string | null;
}

/** The right to act on a record for a short time. The fence grows with each claim: a late holder's writes are refused. */
export interface Claim {
  readonly credentialId: CredentialId;
  readonly owner: string;
  readonly fence: number;
}

/** One atomic write: the record's next revision, and what belongs to it. */
export interface RecordChange {
  /** `revision` is the one after `expectedRevision`. */
  readonly record: CredentialRecord;
  readonly expectedRevision: number;
  /** When given, the write also needs this claim to be the latest one. */
  readonly claim?: Claim;
  /** Ends this claim with the write, if it is still the latest one. */
  readonly release?: Claim;
  readonly attempt?: Attempt;
  readonly events?: readonly CredentialEvent[];
}

/** An access key as stored: its keyed hash, never the key. */
export interface AccessKeyRecord {
  readonly keyId: string;
  readonly hash: Buffer;
  /** `null`: valid for every credential. */
  readonly credentialId: CredentialId | null;
  readonly scopes: readonly string[];
  readonly createdAt: Date;
}

/**
 * Keeps one sealed value in step with the records. The store calls it inside the transaction of each write of a record, so
 * it is synchronous, and stores what it answers in the same transaction.
 */
export interface RecordSeal {
  /**
   * @param stored the sealed value as it is, `null` before the first one
   * @param before the record as it was; `null` for an insert
   * @param after the record as written; `null` for a deletion
   * @returns the next sealed value; `null` leaves the stored one
   */
  next(stored: string | null, before: CredentialRecord | null, after: CredentialRecord | null): string | null;
}

/** What a monitoring page asks first. */
export type StateCounts = Readonly<Record<LifecycleState, number>>;

/**
 * Keeps records, journal, claims, events and access keys. Two writers are told apart by compare-and-set on `revision`;
 * claims run on the store's own clock, so that two hosts whose wall clocks differ never take a live claim.
 *
 * Errors: `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_SCHEMA_TOO_NEW`, `ERR_STORE_RECORD_INVALID`.
 */
export interface RecordStore {
  /** @throws StorageError `ERR_STORE_DUPLICATE` */
  insert(record: CredentialRecord, events: readonly CredentialEvent[]): Promise<void>;
  get(id: CredentialId): Promise<CredentialRecord | null>;
  /** Writes durably and atomically, or returns false and writes nothing. */
  compareAndSet(change: RecordChange): Promise<boolean>;
  list(filter: RecordFilter): Promise<RecordPage>;
  /** Up to `limit` ids after `after` (`null` for the first ones), in order; also those of records that do not parse. */
  listIds(after: CredentialId | null, limit: number): Promise<CredentialId[]>;
  countByState(): Promise<StateCounts>;

  /** Takes a record for `leaseMs` on the store's clock; `null` while another holder's lease runs. */
  claim(id: CredentialId, owner: string, leaseMs: number): Promise<Claim | null>;
  /** Claims up to `limit` records that are due and free, most urgent first. */
  claimDue(options: { limit: number; owner: string; leaseMs: number; now: Date }): Promise<Claim[]>;
  /** Prolongs a claim; false when it is no longer the latest. */
  renewClaim(claim: Claim, leaseMs: number): Promise<boolean>;
  releaseClaim(claim: Claim): Promise<void>;
  /** Earliest due time of all records, claimed ones too; `null` when nothing is due ever. */
  nextDueAt(): Promise<Date | null>;

  lastAttempt(id: CredentialId): Promise<Attempt | null>;

  /** Events after `cursor` (0 for all), oldest first. */
  readEvents(cursor: number, limit: number): Promise<{ events: readonly CredentialEvent[]; cursor: number }>;
  lastEvent(id: CredentialId): Promise<CredentialEvent | null>;

  putAccessKey(key: AccessKeyRecord): Promise<void>;
  getAccessKey(keyId: string): Promise<AccessKeyRecord | null>;

  /** The sealed key ring as text; `null` before the first one was written. */
  getKeyRing(): Promise<string | null>;
  /** Replaces the key ring if it is still `expected`; false otherwise. */
  compareAndSetKeyRing(next: string, expected: string | null): Promise<boolean>;

  /**
   * Reserves `count` encryptions under a data key, durably and for all processes, and returns the sum of all reservations.
   * The sum only grows; it stays when the key is removed. A count of 0 asks and writes nothing.
   */
  reserveEncryptions(keyId: string, count: number): Promise<number>;

  /** Has each later write of a record of this connection call `seal` in its transaction. */
  sealWith(seal: RecordSeal): void;
  /** The sealed value that belongs to the records as they are; `null` before the first one. */
  getSeal(): Promise<string | null>;

  /** Changes when another process may have written. Cheap and synchronous, for the hot path. */
  changeMark(): number;
  close(): Promise<void>;
}
