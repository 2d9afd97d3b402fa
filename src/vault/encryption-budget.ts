import { KeyRingError } from '../errors.ts';
import type { RecordStore } from '../storage/record-store.ts';

/**
 * Random 96-bit nonces: at 2^32 encryptions under one key the chance that any two are equal is 1.2e-10 (NIST SP 800-38D
 * §8.3 allows 2^-32 and sets the same number).
 */
export const HARD_LIMIT = 2 ** 32;
const FIRST_BLOCK = 16;
const LARGEST_BLOCK = 1_024;

interface Reserve {
  left: number;
  nextBlock: number;
}

/**
 * Counts encryptions for all processes of a store together. Numbers are reserved in the store before they are used, block
 * by block: a process that dies wastes what is left of its block, and nothing is ever forgotten. A short command takes a
 * small block, a long-running engine larger ones.
 */
export class EncryptionBudget {
  readonly #store: Pick<RecordStore, 'reserveEncryptions'>;
  readonly #reserves = new Map<string, Reserve>();

  constructor(store: Pick<RecordStore, 'reserveEncryptions'>) {
    this.#store = store;
  }

  /**
   * Takes one encryption. Returns false when the key has had `limit` encryptions: it should be replaced.
   *
   * @throws KeyRingError `ERR_KEYRING_KEY_EXHAUSTED` at 2^32, whatever the limit
   */
  async take(keyId: string, limit: number): Promise<boolean> {
    const reserve = this.#reserves.get(keyId) ?? { left: 0, nextBlock: FIRST_BLOCK };
    this.#reserves.set(keyId, reserve);
    if (reserve.left === 0) {
      const total = await this.#store.reserveEncryptions(keyId, reserve.nextBlock);
      if (total > HARD_LIMIT) throw exhausted();
      if (total > limit) return false;
      reserve.left += reserve.nextBlock;
      reserve.nextBlock = Math.min(reserve.nextBlock * 2, LARGEST_BLOCK);
    }
    reserve.left -= 1;
    return true;
  }

  /** Encryptions reserved for a key by all processes. */
  async reserved(keyId: string): Promise<number> {
    return this.#store.reserveEncryptions(keyId, 0);
  }
}

function exhausted(): KeyRingError {
  return new KeyRingError(
    'ERR_KEYRING_KEY_EXHAUSTED',
    'The active data key has sealed as many values as one key may; nothing more is sealed under it.',
  );
}
