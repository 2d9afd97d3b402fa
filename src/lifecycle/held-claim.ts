import { toCredentialError } from '../errors.ts';
import type { Claim } from '../storage/record-store.ts';
import type { Surroundings } from './effects.ts';

/** A holder that dies is taken over after this long: the smallest reuse grace windows of servers are 10 s. */
export const LEASE_MS = 4_000;
const RENEWAL_MS = 1_000;

/**
 * A claim as its holder knows it. How long it lasts is counted on the host's monotonic clock from before each renewal was asked
 * for: by our clock it never ends later than by the store's.
 */
export class HeldClaim {
  readonly claim: Claim;
  readonly #surroundings: Surroundings;
  /** Not known to be held until it was renewed once. */
  #untilMs = 0;

  constructor(surroundings: Surroundings, claim: Claim) {
    this.#surroundings = surroundings;
    this.claim = claim;
  }

  /** Prolongs it; false when another holder has it. */
  async renew(): Promise<boolean> {
    const { records, ports } = this.#surroundings;
    const { ms } = ports.clock.hostTime();
    const held = await records.renewClaim(this.claim, LEASE_MS);
    this.#untilMs = held ? Math.max(this.#untilMs, ms + LEASE_MS) : 0;
    return held;
  }

  /** Prolongs it by a write of the record; false when that was refused, for whatever reason. */
  async renewBy(write: (leaseMs: number) => Promise<boolean>): Promise<boolean> {
    const { ms } = this.#surroundings.ports.clock.hostTime();
    const written = await write(LEASE_MS);
    if (written) this.#untilMs = Math.max(this.#untilMs, ms + LEASE_MS);
    return written;
  }

  /** Whether it is ours for more than `forMs` from now on, as far as can be known without asking. */
  holds(forMs: number): boolean {
    return this.#surroundings.ports.clock.hostTime().ms + forMs < this.#untilMs;
  }

  /** Renews it each second. Returns what ends that. A renewal that fails is found by the fence at the next write. */
  keep(): () => void {
    const { clock } = this.#surroundings.ports;
    let stopped = false;
    let cancel = (): void => undefined;
    const renewLater = (): void => {
      cancel = clock.schedule(RENEWAL_MS, () => {
        void this.#tryRenew().then((mayBeHeld) => {
          if (mayBeHeld && !stopped) renewLater();
        });
      });
    };
    renewLater();
    return () => {
      stopped = true;
      cancel();
    };
  }

  async #tryRenew(): Promise<boolean> {
    try {
      return await this.renew();
    } catch (error) {
      const { code } = toCredentialError(error);
      const { credentialId } = this.claim;
      this.#surroundings.ports.logger.warn({ code, credentialId }, 'A claim could not be renewed.');
      return true;
    }
  }
}
