import { z } from 'zod/v4';
import { REASONS, type CredentialId, type Reason, type SecretPointer } from './credential.ts';

/**
 * The journal of refreshes: intent is durable before effect. A crash leaves an attempt in the phase that it had reached,
 * and the phase says what may have happened at the other side:
 *
 * - `claimed`: nothing has left;
 * - `sent`: a token may have been spent. If a sealed value under the attempt's own name exists, the answer was received
 *   and has only to be pointed at; otherwise it is lost;
 * - `committed`, `failed`: closed.
 */
export type AttemptPhase = 'claimed' | 'sent' | 'committed' | 'failed';

export interface Attempt {
  readonly attemptId: string;
  readonly credentialId: CredentialId;
  /** The generation that this attempt is to produce. */
  readonly generation: number;
  readonly fence: number;
  readonly phase: AttemptPhase;
  readonly reason: Reason;
  /** Keyed one-way fingerprint of the single-use token that the attempt spends; `null` when it spends none. */
  readonly tokenFingerprint: string | null;
  /** This attempt presents a token again that an unanswered attempt may have spent. */
  readonly healing: boolean;
  /** When the token was perhaps spent first: by an attempt before a healing one, or by one that the server failed at. */
  readonly spentAt: Date | null;
  readonly claimedAt: Date;
  readonly sentAt: Date | null;
  readonly closedAt: Date | null;
}

const instant = z.iso.datetime().transform((text) => new Date(text));
const attemptSchema = z.strictObject({
  attemptId: z.string(),
  credentialId: z.string(),
  generation: z.int().positive(),
  fence: z.int().positive(),
  phase: z.enum(['claimed', 'sent', 'committed', 'failed']),
  reason: z.enum(REASONS),
  tokenFingerprint: z.string().nullable(),
  healing: z.boolean(),
  spentAt: instant.nullable(),
  claimedAt: instant,
  sentAt: instant.nullable(),
  closedAt: instant.nullable(),
});

/** Reads an attempt's text form (JSON with ISO 8601 instants). */
export function parseAttempt(text: string): Attempt {
  return attemptSchema.parse(JSON.parse(text));
}

/** Name of the sealed value that the attempt's answer is kept under. */
export function attemptPointer(attempt: Pick<Attempt, 'generation' | 'attemptId'>): SecretPointer {
  return { field: 'grant', generation: attempt.generation, attemptId: attempt.attemptId };
}

/**
 * When the single-use token of the attempt may have been spent without its successor being known; `null` when it certainly
 * was not. A try to heal that never left, or was turned away, does not answer the question.
 */
export function perhapsSpentAt(attempt: Attempt): Date | null {
  if (attempt.tokenFingerprint === null) return null;
  return attempt.spentAt ?? (isOpen(attempt) ? attempt.sentAt : null);
}

/** Whether the next attempt repeats a token whose use was never answered at all. */
export function needsHealing(attempt: Attempt): boolean {
  return attempt.tokenFingerprint !== null && (attempt.healing || isOpen(attempt));
}

/** Whether the attempt's request may have left, with no outcome recorded. */
export function isOpen(attempt: Attempt | null): attempt is Attempt & { sentAt: Date } {
  return attempt?.phase === 'sent' && attempt.sentAt !== null;
}
