import type { CredentialRecord, Reason } from './credential.ts';

const LEARNED_LEAST_MS = 60_000;
const LEARNED_GROWTH = 1.1;
const LEARNED_MOST_MS = 86_400_000;

/**
 * How long grants of unknown life last, learned from the refusals that the other side confirmed. Each grant that is
 * refreshed before it is refused makes it a little longer, so that one early revocation is not remembered for ever.
 */
export function learnedLifeMs(
  record: Pick<CredentialRecord, 'issuedAt' | 'expiresAt' | 'learnedLifeMs'>,
  attempt: { readonly reason: Reason; readonly claimedAt: Date },
): number | null {
  const { issuedAt, expiresAt, learnedLifeMs: known } = record;
  if (issuedAt === null || expiresAt !== null) return known;
  if (attempt.reason === 'rejectionConfirmed') {
    const observedMs = attempt.claimedAt.getTime() - issuedAt.getTime();
    return Math.max(Math.min(observedMs, known ?? Infinity), LEARNED_LEAST_MS);
  }
  const grownMs = known === null ? null : Math.round(known * LEARNED_GROWTH);
  return grownMs !== null && grownMs <= LEARNED_MOST_MS ? grownMs : null;
}
