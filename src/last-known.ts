import { isCredentialError, toCredentialError } from './errors.ts';
import type { CredentialId } from './lifecycle/credential.ts';
import type { Surroundings } from './lifecycle/effects.ts';
import type { Material } from './protocols/protocol.ts';

/** Serves from memory what the store cannot give or take just now. */
export class LastKnown {
  readonly #surroundings: Surroundings;
  #isDown = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  /** Material of an answer that waits to be saved, while it lives. */
  unsaved(id: CredentialId): Material | null {
    const { unsaved, drivers, ports } = this.#surroundings;
    const found = unsaved.get(id);
    if (!found) return null;
    const { record, attempt, issued } = found;
    if (hasEnded(issued, ports.clock.now())) return null;
    const driver = drivers.driver(record.protocol);
    // Made of a secret that is in the store, and not of what waits to be saved.
    if (driver.materialNeedsSecret === true) return null;
    const { headers } = driver.material(issued.grant);
    return { headers, expiresAt: issued.expiresAt, generation: attempt.generation, storeDown: true };
  }

  /** The store answered. */
  answered(): void {
    if (this.#isDown) this.#surroundings.ports.logger.info({}, 'The store can be read again.');
    this.#isDown = false;
  }

  /** What was handed out last, until its token ends; throws `error` when there is none, or it is not the store that failed. */
  instead(error: unknown, known: { readonly material: Material } | undefined): Material {
    const { clock, logger } = this.#surroundings.ports;
    const isStoreDown = isCredentialError(error) && error.code === 'ERR_STORE_UNAVAILABLE';
    if (!isStoreDown || !known || hasEnded(known.material, clock.now())) throw error;
    if (!this.#isDown) {
      const { code } = toCredentialError(error);
      logger.error({ code }, 'The store cannot be read: tokens are served from memory until they end.');
    }
    this.#isDown = true;
    return { ...known.material, storeDown: true };
  }
}

function hasEnded({ expiresAt }: { readonly expiresAt: Date | null }, now: Date): boolean {
  return expiresAt !== null && expiresAt <= now;
}
