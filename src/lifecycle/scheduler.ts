import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Claim, RecordStore } from '../storage/record-store.ts';
import type { CredentialId } from './credential.ts';
import { LEASE_MS } from './refresh.ts';

/** Longest sleep: another process may have written an earlier due time meanwhile. */
const LONGEST_SLEEP_MS = 15_000;
/** Shortest sleep: a due record that cannot be claimed now must not make the loop spin. */
const SHORTEST_SLEEP_MS = 100;
const CONCURRENCY = 16;

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
  readonly #sweep: () => Promise<void>;
  #sweeping = false;
  readonly #running = new Set<Promise<void>>();
  #cancelTimer: (() => void) | null = null;
  #ticking: Promise<void> | null = null;
  /** Until it was started, and after it was stopped, it takes no work, whoever wakes it. */
  #stopped = true;

  constructor(options: {
    ports: Ports;
    records: RecordStore;
    owner: string;
    run: (claim: Claim) => Promise<void>;
    busy: () => readonly CredentialId[];
    /** What is due besides records. */
    sweep: () => Promise<void>;
  }) {
    this.#ports = options.ports;
    this.#records = options.records;
    this.#owner = options.owner;
    this.#run = options.run;
    this.#busy = options.busy;
    this.#sweep = options.sweep;
  }

  start(): void {
    this.#stopped = false;
    this.#sleep(0);
  }

  /** Looks at the store again soon: a due time may have moved forward. */
  wake(): void {
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
    let delayMs = LONGEST_SLEEP_MS;
    try {
      this.#startSweep();
      await this.#startDue();
      delayMs = await this.#untilNext();
    } catch (error) {
      this.#ports.logger.error(
        { code: toCredentialError(error).code },
        'The scheduler could not read the store; trying again.',
      );
    }
    this.#sleep(delayMs);
  }

  #startSweep(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    const sweeping = this.#sweep()
      .catch((error: unknown) => {
        this.#ports.logger.error({ code: toCredentialError(error).code }, 'Scheduled work failed; trying again.');
      })
      .finally(() => {
        this.#sweeping = false;
        this.#running.delete(sweeping);
      });
    this.#running.add(sweeping);
  }

  async #startDue(): Promise<void> {
    // Only as many claims as can start at once: a claim that waits its turn would run out.
    const limit = CONCURRENCY - this.#running.size + (this.#sweeping ? 1 : 0);
    if (limit <= 0) return;
    const now = this.#ports.clock.now();
    // After a stall a claim of ours may have run out under a refresh that is still in flight: to take it again would
    // refuse that refresh's own outcome.
    const due = { limit, owner: this.#owner, leaseMs: LEASE_MS, now, except: this.#busy() };
    for (const claim of await this.#records.claimDue(due)) {
      const running = this.#runOne(claim).finally(() => {
        this.#running.delete(running);
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

  async #untilNext(): Promise<number> {
    const next = await this.#records.nextDueAt();
    if (next === null) return LONGEST_SLEEP_MS;
    const untilMs = next.getTime() - this.#ports.clock.now().getTime();
    return Math.min(Math.max(untilMs, SHORTEST_SLEEP_MS), LONGEST_SLEEP_MS);
  }
}
