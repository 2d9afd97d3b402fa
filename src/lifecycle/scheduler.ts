import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Claim, RecordStore } from '../storage/record-store.ts';
import type { CredentialId } from './credential.ts';
import { LEASE_MS } from './held-claim.ts';

/** Longest sleep without a look at what is due: the wall clock may have been set meanwhile. */
const LONGEST_SLEEP_MS = 15_000;
/**
 * Longest sleep without a look at the store's change mark. Another process may write an earlier due time, above all the intent
 * of a refresh, and then die: its claim runs out after 4 s, and it is to be taken over within 5.
 */
const LOOK_MS = 500;
/** Until a store that could not be read is tried again. */
const STORE_DOWN_MS = 2_000;
/** Shortest sleep: a due record that cannot be claimed now must not make the loop spin. */
const SHORTEST_SLEEP_MS = 100;
const CONCURRENCY = 16;
/** Kept free for interrupted refreshes: slow requests must not hold up the healing of a token in doubt. */
const KEPT_FOR_INTERRUPTED = 8;

/**
 * Wakes credentials at their stored due times, most urgent first. It keeps no timer per credential: one timer runs to the
 * earliest due time of the store, so a restart loses nothing. Many schedulers may share one store; claims keep them apart.
 */
export class Scheduler {
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #owner: string;
  readonly #run: (claim: Claim) => Promise<void>;
  readonly #busy: () => readonly CredentialId[];
  readonly #running = new Set<Promise<void>>();
  #cancelTimer: (() => void) | null = null;
  #ticking: Promise<void> | null = null;
  /** Until it was started, and after it was stopped, it takes no work, whoever wakes it. */
  #stopped = true;
  /** What the store's change mark was at the last look, and when something is due or has to be looked at, come what may. */
  #seenMark: number | null = null;
  #lookAgainAt = new Date(0);

  constructor(options: {
    ports: Ports;
    records: RecordStore;
    owner: string;
    run: (claim: Claim) => Promise<void>;
    busy: () => readonly CredentialId[];
  }) {
    this.#ports = options.ports;
    this.#records = options.records;
    this.#owner = options.owner;
    this.#run = options.run;
    this.#busy = options.busy;
  }

  start(): void {
    this.#stopped = false;
    this.#sleep(0);
  }

  /** Looks at the store again soon: a due time may have moved forward. */
  wake(): void {
    this.#seenMark = null;
    if (!this.#stopped && this.#ticking === null) this.#sleep(0);
  }

  /** Takes no new work and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#ticking;
    await Promise.all(this.#running);
  }

  #sleep(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.schedule(delayMs, () => {
      this.#ticking = this.#tick().finally(() => {
        this.#ticking = null;
      });
    });
  }

  async #tick(): Promise<void> {
    let delayMs = STORE_DOWN_MS;
    try {
      delayMs = await this.#look();
    } catch (error) {
      this.#seenMark = null;
      this.#ports.logger.error(
        { code: toCredentialError(error).code },
        'The scheduler could not read the store; trying again.',
      );
    }
    this.#sleep(delayMs);
  }

  /** Starts what is due, unless nothing can have changed since the last look. Returns how long to sleep. */
  async #look(): Promise<number> {
    const mark = this.#records.changeMark();
    const now = this.#ports.clock.now();
    if (mark !== this.#seenMark || now >= this.#lookAgainAt || this.#wasSetBack(now)) {
      this.#seenMark = mark;
      await this.#startDue();
      await this.#findNext();
    }
    // Woken meanwhile.
    if (this.#isUnseen()) return SHORTEST_SLEEP_MS;
    const untilMs = this.#lookAgainAt.getTime() - this.#ports.clock.now().getTime();
    return Math.min(Math.max(untilMs, SHORTEST_SLEEP_MS), LOOK_MS);
  }

  async #startDue(): Promise<void> {
    // Only as many claims as can start at once: a claim that waits its turn would run out.
    const limit = CONCURRENCY - this.#running.size;
    const now = this.#ports.clock.now();
    // After a stall a claim of ours may have run out under a refresh that is still in flight: to take it again would
    // refuse that refresh's own outcome.
    const due = { owner: this.#owner, leaseMs: LEASE_MS, now, except: this.#busy() };
    if (limit > 0) this.#startAll(await this.#records.claimDue({ ...due, limit }));
    else if (limit + KEPT_FOR_INTERRUPTED > 0) {
      const kept = { limit: limit + KEPT_FOR_INTERRUPTED, interruptedOnly: true };
      this.#startAll(await this.#records.claimDue({ ...due, ...kept }));
    }
  }

  #startAll(claims: readonly Claim[]): void {
    for (const claim of claims) {
      const running = this.#runOne(claim).finally(() => {
        this.#running.delete(running);
        this.#seenMark = null;
        this.wake();
      });
      this.#running.add(running);
    }
  }

  async #runOne(claim: Claim): Promise<void> {
    try {
      await this.#run(claim);
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#ports.logger.error({ credentialId: claim.credentialId, code }, 'Scheduled work on a credential failed.');
    }
  }

  #isUnseen(): boolean {
    return this.#seenMark === null;
  }

  /** A clock that was set back is looked at too: otherwise what was due would sleep for as long as it was set back. */
  #wasSetBack(now: Date): boolean {
    return this.#lookAgainAt.getTime() - now.getTime() > LONGEST_SLEEP_MS;
  }

  async #findNext(): Promise<void> {
    const latest = this.#ports.clock.now().getTime() + LONGEST_SLEEP_MS;
    const next = await this.#records.nextDueAt();
    this.#lookAgainAt = new Date(Math.min(next?.getTime() ?? latest, latest));
  }
}
