/**
 * The right to do something alone for a while. A lease spares work; it never makes a write correct: a holder that stalls past
 * its lease does not know it. Whoever writes on the strength of a lease also compares and sets, with the fence of his claim on the
 * record (`RecordStore.claim`), and a late write is refused there.
 */
export interface Lease {
  readonly name: string;
  /** Tells this holder from all others, also from an earlier one of the same process. */
  readonly owner: string;
  /** Grows with every holder, as far as the store remembers: Redis forgets when it loses its data. */
  readonly fence: number;
}

/**
 * Gives out leases that run on the store's own clock.
 *
 * Natively: PostgreSQL and SQLite by compare-and-set on a row, Redis by `SET NX PX` and a script that deletes only the owner's
 * value. AWS (DynamoDB), Vault and Azure (blob leases) have leases elsewhere than in their secret stores, so none serves here.
 *
 * Errors: `ERR_STORE_UNAVAILABLE`; `ERR_CONFIG_MALFORMED` for a name that is empty, longer than 512 characters or holds NUL.
 */
export interface LeaseStore {
  /** `null` while another holder's lease runs. `ttlMs`: 1 to 86,400,000. */
  acquire(name: string, ttlMs: number): Promise<Lease | null>;
  /** Prolongs a lease from now on; false when it has run out or belongs to another. Then it is lost. */
  renew(lease: Lease, ttlMs: number): Promise<boolean>;
  /** Ends a lease; false when it was no longer this holder's, and then nothing has changed. */
  release(lease: Lease): Promise<boolean>;
  close(): Promise<void>;
}
