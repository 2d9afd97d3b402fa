import type { Clock } from '../ports.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { HOLDER_LOCK, lockName } from './postgres-session.ts';

/** How often the holders of interrupted refreshes are looked at. */
const LOOK_MS = 250;
/**
 * Claims in use are renewed every second. A living holder whose session broke keeps its claims by that: two things have to fail before
 * it is taken for dead, and then the fence refuses its writes, as after the end of a lease.
 */
const SILENT_MS = 1_500;

/** `claim_owner` has no lock: neither a shared connection nor a collision of hashes can make a living holder look dead. */
const IS_GONE = `NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = $1 AND objid::bigint = hashtext($2 || claim_owner)::bigint & 4294967295)`;

/**
 * Tells which holders of claims have died, by the locks of their sessions: the server ends those with the connection, and the
 * system ends the connection with the process, however that dies. Nobody need wait for the leases of the dead. A claim that
 * was made without such a lock lasts as long as its lease, and so does one whose host vanished without a word.
 */
export class PostgresHolders {
  readonly #database: PostgresDatabase;
  readonly #clock: Clock;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(database: PostgresDatabase, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
  }

  /** Before a claim of `owner`. True when its death would be noticed. */
  async appear(owner: string): Promise<boolean> {
    await this.#database.session.hold(owner);
    return this.isHeld(owner);
  }

  isHeld(owner: string): boolean {
    return this.#database.session.isHeld(owner);
  }

  /** A refresh that its holder's death cut off is taken over at once: a token in doubt has little time. */
  async releaseClaimsOfDead(): Promise<void> {
    const { ms } = this.#clock.hostTime();
    if (ms - this.#lookedAtMs < LOOK_MS) return;
    this.#lookedAtMs = ms;
    await this.#database.run(
      `UPDATE records SET claim_owner = NULL WHERE id IN (
         SELECT id FROM records WHERE state = 'refreshing' AND claim_owner IS NOT NULL AND claim_until > clock_timestamp()
           AND claim_bound_at < clock_timestamp() - $3 * interval '1 millisecond' AND ${IS_GONE}
         FOR UPDATE SKIP LOCKED)`,
      [HOLDER_LOCK, lockName(this.#database.schema, ''), SILENT_MS],
    );
  }
}
