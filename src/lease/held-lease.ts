import { StorageError, toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Lease, LeaseStore } from './lease.ts';

export interface HoldOptions {
  readonly ttlMs: number;
  /** Called once, when the lease is lost before it was released. The event `lease.lost` of a host is made of this. */
  readonly onLost?: (lease: Lease) => void;
}

/**
 * A lease that is renewed at a third of its time until it is released. When it is lost — another holder has it, or the store did not
 * answer until the time was over — `signal` is aborted, and whoever works under it stops.
 *
 * @example
 * const held = await HeldLease.acquire(leases, 'sweeper', { ttlMs: 30_000 }, ports);
 * if (held) try { await sweep(held.signal); } finally { await held.release(); }
 */
export class HeldLease {
  readonly lease: Lease;
  readonly #store: LeaseStore;
  readonly #options: HoldOptions;
  readonly #ports: Pick<Ports, 'clock' | 'logger'>;
  readonly #lost = new AbortController();
  #untilMs = 0;
  #cancelRenewal: (() => void) | null = null;
  #cancelEnd: (() => void) | null = null;
  #released = false;

  private constructor(
    lease: Lease,
    untilMs: number,
    { store, options, ports }: { store: LeaseStore; options: HoldOptions; ports: Pick<Ports, 'clock' | 'logger'> },
  ) {
    this.lease = lease;
    this.#store = store;
    this.#options = options;
    this.#ports = ports;
    this.#extendTo(untilMs);
    this.#sleep();
  }

  /** `null` while somebody else holds it. */
  static async acquire(
    store: LeaseStore,
    name: string,
    options: HoldOptions,
    ports: Pick<Ports, 'clock' | 'logger'>,
  ): Promise<HeldLease | null> {
    // Counted from before the request: by our clock the lease ends no later than by the store's.
    const { ms } = ports.clock.hostTime();
    const lease = await store.acquire(name, options.ttlMs);
    return lease && new HeldLease(lease, ms + options.ttlMs, { store, options, ports });
  }

  /** Aborted, with an error `ERR_STORE_CONFLICT`, when the lease is lost. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether it is ours for at least `forMs` more. To be asked right before an effect. */
  holds(forMs = 0): boolean {
    return !this.#released && !this.signal.aborted && this.#ports.clock.hostTime().ms + forMs < this.#untilMs;
  }

  /** Ends it. A lease that is lost already is left to its holder. */
  async release(): Promise<void> {
    this.#cancelTimers();
    if (this.#released) return;
    this.#released = true;
    if (!this.signal.aborted) await this.#store.release(this.lease);
  }

  #sleep(): void {
    this.#cancelRenewal = this.#ports.clock.schedule(this.#options.ttlMs / 3, () => {
      void this.#renew();
    });
  }

  /** The end comes by a timer of its own: a renewal that hangs must not hide it. */
  #extendTo(untilMs: number): void {
    this.#untilMs = untilMs;
    this.#cancelEnd?.();
    this.#cancelEnd = this.#ports.clock.schedule(untilMs - this.#ports.clock.hostTime().ms, () => {
      this.#lose();
    });
  }

  async #renew(): Promise<void> {
    const { ms } = this.#ports.clock.hostTime();
    const outcome = await this.#tryRenew();
    if (this.#released || this.signal.aborted) return;
    if (outcome === 'lost') {
      this.#lose();
      return;
    }
    if (outcome === 'renewed') this.#extendTo(ms + this.#options.ttlMs);
    this.#sleep();
  }

  async #tryRenew(): Promise<'renewed' | 'lost' | 'unknown'> {
    try {
      return (await this.#store.renew(this.lease, this.#options.ttlMs)) ? 'renewed' : 'lost';
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#ports.logger.warn({ lease: this.lease.name, code }, 'A lease could not be renewed; trying again.');
      return 'unknown';
    }
  }

  #cancelTimers(): void {
    this.#cancelRenewal?.();
    this.#cancelEnd?.();
  }

  #lose(): void {
    this.#cancelTimers();
    this.#lost.abort(new StorageError('ERR_STORE_CONFLICT', `The lease "${this.lease.name}" was lost.`));
    try {
      this.#options.onLost?.(this.lease);
    } catch (error) {
      this.#ports.logger.error({ code: toCredentialError(error).code }, 'A listener to a lost lease failed.');
    }
  }
}
