import type { CredentialError } from '../../errors.ts';
import { lifecycleStateOf, type CredentialRecord } from '../credential.ts';
import { stableFraction } from '../policy.ts';
import { isStillOpen, planRotation, reachedReason, type RotationPlan } from './plan.ts';
import { openStepOf, type RotationProgress, type RotationReason } from './progress.ts';

const BACKOFF_FIRST_MS = 2_000;
const BACKOFF_MOST_MS = 5 * 60_000;

/** When a step that failed for a passing cause is tried again. */
export function stepRetryAt(record: CredentialRecord, failedTries: number, error: CredentialError, now: Date): Date {
  const exponential = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(failedTries, 16), BACKOFF_MOST_MS);
  const jittered = exponential * (0.75 + 0.25 * stableFraction(record.id));
  return new Date(Math.ceil(now.getTime() + Math.max(jittered, error.retryAfterMs ?? 0)));
}

/** When an interrupted `set` may be looked into again: once per lockout window; `null` for the first time. */
export function probeAgainAt({ probedAt }: RotationProgress, lockoutWindowMs: number): Date | null {
  return probedAt && new Date(probedAt.getTime() + lockoutWindowMs);
}

/** When the secret is to be replaced by itself next; `null` for never, and while a rotation has a due time of its own. */
export function plannedRotation(record: CredentialRecord, now: Date): RotationPlan | null {
  const { createdAt, secretExpiresAt, rotationPolicy: policy, rotation } = record;
  return planRotation({ createdAt, secretExpiresAt, policy, rotatedAt: rotation.rotatedAt }, now);
}

/** The due time of a record between rotations; one that is under way keeps its own. */
export function replannedDueAt(record: CredentialRecord, now: Date): Date | null {
  if (lifecycleStateOf(record.state) === 'revoked') return null;
  if (record.rotation.state === 'idle') return plannedRotation(record, now)?.at ?? null;
  return record.rotation.state === 'failed' ? null : record.rotationDueAt;
}

export type RotationDue =
  | { readonly decision: 'resume' | 'none' | 'replan' }
  | { readonly decision: 'rotate'; readonly reason: RotationReason };

/** What the scheduler does about the rotation of a record whose due time has come. */
export function decideRotationDue(record: CredentialRecord, now: Date): RotationDue {
  const { rotation, rotationDueAt, rotationPolicy } = record;
  if (rotationDueAt === null || now < rotationDueAt) return { decision: 'none' };
  if (lifecycleStateOf(record.state) === 'revoked') return { decision: 'none' };
  if (openStepOf(rotation) !== null || rotation.state === 'overlapping') return { decision: 'resume' };
  if (rotation.state === 'failed' || rotationPolicy === null) return { decision: 'replan' };
  const { createdAt, secretExpiresAt } = record;
  const facts = { createdAt, secretExpiresAt, policy: rotationPolicy, rotatedAt: rotation.rotatedAt };
  const reason = reachedReason(facts, now);
  if (reason !== 'secretExpiring' && !isStillOpen(rotationPolicy, rotationDueAt, now)) return { decision: 'replan' };
  return { decision: 'rotate', reason };
}

/**
 * What proves that the secret in use is in use: the other side accepted it, in a refresh or a test that began at `since`,
 * after the promotion. Then the one before may go. `null` when there is nothing to prove.
 */
export function proofChanges({ rotation }: CredentialRecord, since: Date, now: Date): Partial<CredentialRecord> | null {
  const { state, rotatedAt, retireDueAt } = rotation;
  const proves = state === 'overlapping' && rotatedAt !== null && since >= rotatedAt;
  if (!proves || (retireDueAt !== null && retireDueAt <= now)) return null;
  return { rotation: { ...rotation, retireDueAt: now }, rotationDueAt: now };
}
