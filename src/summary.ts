import type { CredentialSummary } from './client.ts';
import { errorOfCode, ReauthorizationRequiredError, TransientError, type CredentialError } from './errors.ts';
import { dueAtOf, lifecycleStateOf, type CredentialRecord } from './lifecycle/credential.ts';
import { openStepOf } from './lifecycle/rotation/progress.ts';

/** The record without anything that only the engine needs. */
export function summaryOf(record: CredentialRecord, endpoint: string): CredentialSummary {
  const { id, name, protocol, ownerId, scopeId, tags, origin, state, stateChangedAt, reason, health } = record;
  const { generation, issuedAt, expiresAt, refreshable, failure, lastRefreshedAt, createdAt } = record;
  const { grantExpiresAt, idleExpiresAt, secretExpiresAt, pausedAt, testEveryMs, toldEnds } = record;
  const dueAt = dueAtOf(record);
  return {
    ...{ id, name, protocol, ownerId, scopeId, tags, origin, state, stateChangedAt, reason, health },
    healthChangedAt: record.healthChangedAt,
    ...{ generation, issuedAt, expiresAt, refreshable, dueAt, failure, lastRefreshedAt, createdAt, endpoint },
    ...{ grantExpiresAt, idleExpiresAt, secretExpiresAt },
    rotationPolicy: record.rotationPolicy,
    rotation: rotationOf(record),
    rotateBy: rotateBy(record),
    ...{ grantExpiresAt, idleExpiresAt, secretExpiresAt, pausedAt, testEveryMs, toldEnds },
    paused: pausedAt !== null,
  };
}

function rotationOf({ rotation, rotationDueAt: dueAt, previous }: CredentialRecord): CredentialSummary['rotation'] {
  const { state, reason, startedAt, rotatedAt, retireDueAt, failure, candidate } = rotation;
  const canRollBack = previous !== null && openStepOf(rotation) === null;
  return { state, reason, startedAt, rotatedAt, retireDueAt, failure, candidate, dueAt, canRollBack };
}

function rotateBy({ secretExpiresAt, rotationPolicy, rotation, createdAt }: CredentialRecord): Date | null {
  const everyMs = rotationPolicy?.rotateEveryMs ?? null;
  const aged = everyMs === null ? null : new Date((rotation.rotatedAt ?? createdAt).getTime() + everyMs);
  if (aged === null || secretExpiresAt === null) return aged ?? secretExpiresAt;
  return aged < secretExpiresAt ? aged : secretExpiresAt;
}

/** Why a credential cannot be used now, as the error of whoever must act. */
export function refusal(record: CredentialRecord, now: Date): CredentialError {
  const { id: credentialId, failure, retryNotBefore } = record;
  if (lifecycleStateOf(record.state) === 'revoked') {
    return new ReauthorizationRequiredError('ERR_CREDENTIAL_REVOKED', 'This credential was revoked.', { credentialId });
  }
  if (failure) {
    const waitMs = retryNotBefore === null ? 0 : Math.max(retryNotBefore.getTime() - now.getTime(), 0);
    return errorOfCode(failure.code, failure.message, {
      credentialId,
      ...(failure.class === 'transient' && { retryAfterMs: waitMs }),
    });
  }
  if (lifecycleStateOf(record.state) === 'refreshing') {
    return new TransientError('ERR_REFRESH_IN_PROGRESS', 'A refresh of this credential is under way.', {
      credentialId,
    });
  }
  if (record.state === 'pending.authorizing') {
    return new ReauthorizationRequiredError(
      'ERR_CREDENTIAL_NOT_AUTHORIZED',
      'Nobody has signed in for this credential yet.',
      { credentialId },
    );
  }
  return new ReauthorizationRequiredError(
    'ERR_CREDENTIAL_NEEDS_USER',
    'This credential has expired and cannot be refreshed.',
    { credentialId },
  );
}
