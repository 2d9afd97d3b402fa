import type { Clock } from '../ports.ts';
import type { EndpointState, LedgerStore } from '../storage/ledger.ts';

/** What an endpoint's state holds besides its name and its count of writes. */
export type EndpointFacts = Pick<EndpointState, 'retryAfterAt' | 'breaker' | 'budget'>;

const NOTHING: EndpointFacts = { retryAfterAt: null, breaker: null, budget: null };

/** The state of endpoints, shared by all processes on one store: each change builds on the newest one. */
export class EndpointMemory {
  readonly #ledger: LedgerStore;
  readonly #clock: Clock;
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(ledger: LedgerStore, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  async read(endpoint: string): Promise<EndpointFacts> {
    return (await this.#ledger.getEndpointState(endpoint)) ?? NOTHING;
  }

  /**
   * Changes the state by compare-and-set. `change` is asked again with the newer state when somebody else wrote, so it must
   * have no effects; `facts: null` writes nothing.
   *
   * @returns the `result` of the change that was written
   */
  async change<T>(endpoint: string, change: (facts: EndpointFacts) => Promise<Change<T>> | Change<T>): Promise<T> {
    // In turn within this process: its own requests would otherwise refuse each other's writes.
    const before = this.#turns.get(endpoint);
    const turn = (async () => {
      await before?.catch(() => undefined);
      return this.#changed(endpoint, change);
    })();
    this.#turns.set(endpoint, turn);
    try {
      return await turn;
    } finally {
      if (this.#turns.get(endpoint) === turn) this.#turns.delete(endpoint);
    }
  }

  async #changed<T>(endpoint: string, change: (facts: EndpointFacts) => Promise<Change<T>> | Change<T>): Promise<T> {
    for (;;) {
      const state = await this.#ledger.getEndpointState(endpoint);
      const { facts, result } = await change(state ?? NOTHING);
      if (facts === null) return result;
      const revision = state?.revision ?? 0;
      const next = { ...facts, endpoint, revision: revision + 1, updatedAt: this.#clock.now() };
      if (await this.#ledger.compareAndSetEndpointState(next, revision)) return result;
    }
  }
}

export interface Change<T> {
  readonly facts: EndpointFacts | null;
  readonly result: T;
}
