import type { Clock, RandomSource } from '../ports.ts';
import type { Lease, LeaseStore } from './lease.ts';
import { newOwner, requireTerms } from './terms.ts';

interface Held {
  readonly owner: string | null;
  readonly fence: number;
  readonly untilMs: number;
}

/** Leases within one process: the reference. */
export class MemoryLeases implements LeaseStore {
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #leases = new Map<string, Held>();

  constructor(ports: { readonly clock: Clock; readonly random: RandomSource }) {
    this.#clock = ports.clock;
    this.#random = ports.random;
  }

  async acquire(name: string, ttlMs: number): Promise<Lease | null> {
    requireTerms(name, ttlMs);
    const { ms } = this.#clock.hostTime();
    const held = this.#leases.get(name);
    if (held && held.owner !== null && held.untilMs > ms) return null;
    const lease = { name, owner: newOwner(this.#random), fence: (held?.fence ?? 0) + 1 };
    this.#leases.set(name, { owner: lease.owner, fence: lease.fence, untilMs: ms + ttlMs });
    return lease;
  }

  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    requireTerms(lease.name, ttlMs);
    const { ms } = this.#clock.hostTime();
    const held = this.#leases.get(lease.name);
    if (held?.owner !== lease.owner || held.untilMs <= ms) return false;
    this.#leases.set(lease.name, { ...held, untilMs: ms + ttlMs });
    return true;
  }

  async release(lease: Lease): Promise<boolean> {
    const held = this.#leases.get(lease.name);
    if (held?.owner !== lease.owner) return false;
    this.#leases.set(lease.name, { ...held, owner: null });
    return true;
  }

  async close(): Promise<void> {
    this.#leases.clear();
  }
}
