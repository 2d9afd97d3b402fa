import type { RandomSource } from '../ports.ts';
import { requireId, TEXT_LIMITS } from '../storage/texts.ts';

const LONGEST_MS = 86_400_000;

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` for the name; TypeError for the time */
export function requireTerms(name: string, ttlMs: number): void {
  requireId('name', name, TEXT_LIMITS.key);
  if (!Number.isInteger(ttlMs) || ttlMs < 1 || ttlMs > LONGEST_MS) {
    throw new TypeError(`Expected a lease of 1 to ${LONGEST_MS} ms.`);
  }
}

export function newOwner(random: RandomSource): string {
  return random.bytes(16).toString('hex');
}
