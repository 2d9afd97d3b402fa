import type { ErrorCode } from '../errors.ts';
import type { CredentialId, CredentialRecord, LifecycleState } from '../lifecycle/credential.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import type { Attempt } from '../lifecycle/journal.ts';
import type { LedgerStore } from './ledger.ts';

export interface RecordFilter {
  readonly ownerId?: string;
  readonly protocol?: string;
  readonly state?: LifecycleState;
  readonly scopeId?: string;
  /** Records that carry all of these. */
  readonly tags?: readonly string[];
  /** Records whose next action is due before this instant, most urgent first. */
  readonly dueBefore?: Date;
  /** Records whose grant ends before this instant, the earliest end first. */
  readonly expiringBefore?: Date;
  /**
   * Records whose name holds, for each word of this text, a word that begins with it. Case and accents do not count: `git prod`
   * finds "GitHub (Production)". Sorted by the word that was found.
   */
  readonly name?: string;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
}

/** A stored record that does not parse, or was written by a later version. */
export interface UnreadableRecord {
  readonly id: CredentialId;
  /** `null` when not even that can be read. */
  readonly name: string | null;
  readonly code: ErrorCode;
}

export interface RecordPage {
  /**
   * In the order of `dueAt`, `expiresAt` or the word found, whichever filter of these comes first in `RecordFilter`; then, and
   * without such a filter, in the order of their ids. Texts are ordered by their code points.
   */
  readonly records: readonly CredentialRecord[];
  /** Records of this page that cannot be read: they are named and left as they are, and the others are listed. */
  readonly unreadable: readonly UnreadableRecord[];
  readonly nextCursor: string | null;
}

/** The right to act on a record for a short time. The fence grows with each claim: a late holder's writes are refused. */
export interface Claim {
  readonly credentialId: CredentialId;
  readonly owner: string;
  readonly fence: number;
}

/** A record that is due, and the endpoint that its duty asks (`dueEndpointOf`). */
export interface DueRecord {
  readonly credentialId: CredentialId;
  readonly endpoint: string | null;
  /** A refresh that somebody began and did not end. */
  readonly isInterrupted: boolean;
}

/** A living credential that ends within this time is the most urgent of all. */
export const DYING_MS = 60_000;

/** One atomic write: the record's next revision, and what belongs to it. */
export interface RecordChange {
  /** `revision` is the one after `expectedRevision`. */
  readonly record: CredentialRecord;
  readonly expectedRevision: number;
  /** When given, the write also needs this claim to be the latest one. */
  readonly claim?: Claim;
  /** Prolongs `claim` to so many milliseconds from now with the write, which then also needs that nobody has ended it. */
  readonly leaseMs?: number;
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
  /** Whether a write changes what is sealed: a store whose writers would queue for the sealed value asks this first. */
  concerns(before: CredentialRecord | null, after: CredentialRecord | null): boolean;
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
 * Keeps records, journal, claims, events, access keys and (`LedgerStore`) what else must outlive a process. Two writers are told apart by compare-and-set on `revision`;
 * claims run on the store's own clock, so that two hosts whose wall clocks differ never take a live claim.
 *
 * A driver stores texts faithfully or refuses the whole write: ids, owner, scope, protocol, name and tags must be well-formed
 * Unicode without NUL and within `TEXT_LIMITS`, instants within the years 0000 to 9999 (`ERR_CONFIG_MALFORMED`).
 *
 * It must compare and set, and read by index in order. AWS Secrets Manager, HashiCorp Vault KV and Azure Key Vault have neither
 * ordered indexes nor (AWS, Azure) a compare-and-set on a value, so they keep secrets (`SecretStore`) and never records.
 *
 * Errors: `ERR_CONFIG_MALFORMED` for a refused text, filter or cursor; `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_SCHEMA_TOO_NEW`, `ERR_STORE_RECORD_INVALID`.
 */
export interface RecordStore extends LedgerStore {
  /** @throws StorageError `ERR_STORE_DUPLICATE` */
  insert(record: CredentialRecord, events: readonly CredentialEvent[]): Promise<void>;
  get(id: CredentialId): Promise<CredentialRecord | null>;
  /** Writes durably and atomically, or returns false and writes nothing. */
  compareAndSet(change: RecordChange): Promise<boolean>;
  /**
   * Removes a record and all that belongs to it (tags, attempts, last test, notices); its events stay. False when it is not at
   * `expectedRevision` any more: then nothing was removed.
   */
  delete(id: CredentialId, expectedRevision: number, events?: readonly CredentialEvent[]): Promise<boolean>;
  list(filter: RecordFilter): Promise<RecordPage>;
  /** Up to `limit` ids after `after` (`null` for the first ones), in order; also those of records that do not parse. */
  listIds(after: CredentialId | null, limit: number): Promise<CredentialId[]>;
  countByState(): Promise<StateCounts>;

  /** Takes a record for `leaseMs` on the store's clock; `null` while another holder's lease runs. */
  claim(id: CredentialId, owner: string, leaseMs: number): Promise<Claim | null>;
  /**
   * Claims up to `limit` records that are due and free: first those whose refresh was interrupted (`refreshing`), because
   * their token may be in doubt and the window in which it can be saved is short, then the others; of each the longest due first.
   * Writes nothing when there is nothing to claim: it is asked ten times a second while anybody refreshes.
   */
  claimDue(options: {
    limit: number;
    owner: string;
    leaseMs: number;
    now: Date;
    /** Ids that the asker works on already, whatever became of its claims on them. */
    except?: readonly CredentialId[];
    /** Only those of these ids, at most 1,000, that are still due and free; claimed in this order. */
    among?: readonly CredentialId[];
  }): Promise<Claim[]>;
  /**
   * Up to `limit` records that are due, in the order in which they should be served: first interrupted refreshes that are
   * free, then, claimed or not, the living that end
   * within `DYING_MS`, then those whose life has ended or is not known, then the other living; within each the earliest end
   * first. Leaves out those whose duty asks one of `exceptEndpoints`, but for those whose life has ended while they counted as valid:
   * their end has to be told.
   */
  listDue(options: { now: Date; limit: number; exceptEndpoints: readonly string[] }): Promise<readonly DueRecord[]>;
  /** Records whose duty asks this endpoint. */
  countAtEndpoint(endpoint: string): Promise<number>;
  /** Prolongs a claim; false when it is no longer the latest. */
  renewClaim(claim: Claim, leaseMs: number): Promise<boolean>;
  releaseClaim(claim: Claim): Promise<void>;
  /** Earliest due time of all records, claimed ones too, or the earliest later than `after`; `null` when there is none. */
  nextDueAt(after?: Date): Promise<Date | null>;

  lastAttempt(id: CredentialId): Promise<Attempt | null>;
  /** The last `limit` attempts, newest first. */
  attempts(id: CredentialId, limit: number): Promise<Attempt[]>;

  /** Events after `cursor` (0 for all), oldest first. */
  readEvents(cursor: number, limit: number): Promise<{ events: readonly CredentialEvent[]; cursor: number }>;
  lastEvent(id: CredentialId): Promise<CredentialEvent | null>;
  /** Appends events that belong to the write of no record. */
  appendEvents(events: readonly CredentialEvent[]): Promise<void>;
  /** Cursor of the newest event (0: there was never one), and the one up to which events were pruned (0: never). */
  eventRange(): Promise<{ readonly newest: number; readonly prunedThrough: number }>;
  /**
   * Deletes up to `limit` events with a cursor of at most `through`, the oldest first. The last event of a credential that
   * exists stays. Returns how many were deleted; 0 when nothing is left to do.
   */
  pruneEvents(through: number, limit: number): Promise<number>;
  /** Deletes up to `limit` attempts but the last `keep` (at least 1) of each credential. Returns how many. */
  pruneAttempts(keep: number, limit: number): Promise<number>;

  putAccessKey(key: AccessKeyRecord): Promise<void>;
  getAccessKey(keyId: string): Promise<AccessKeyRecord | null>;

  /** When the state was written that this store was last put back to by a restore; `null` when it never was. */
  getRestoredAt(): Promise<Date | null>;
  markRestored(at: Date): Promise<void>;

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
