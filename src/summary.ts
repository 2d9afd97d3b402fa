import type { CredentialSummary } from './client.ts';
import { errorOfCode, ReauthorizationRequiredError, TransientError, type CredentialError } from './errors.ts';
import { dueAtOf, lifecycleStateOf, type CredentialRecord } from './lifecycle/credential.ts';

/** The record without anything that only the engine needs. */
export function summaryOf(record: CredentialRecord, endpoint: string): CredentialSummary {
  const { id, name, protocol, ownerId, scopeId, tags, origin, state, stateChangedAt, reason, health } = record;
  const { generation, issuedAt, expiresAt, refreshable, failure, lastRefreshedAt, createdAt } = record;
  const { grantExpiresAt, idleExpiresAt, secretExpiresAt, pausedAt, testEveryMs, toldEnds } = record;
  const dueAt = dueAtOf(record);
  return {
    ...{ id, name, protocol, ownerId, scopeId, tags, origin, state, stateChangedAt, reason, health },
    ...{ generation, issuedAt, expiresAt, refreshable, dueAt, failure, lastRefreshedAt, createdAt, endpoint },
    ...{ grantExpiresAt, idleExpiresAt, secretExpiresAt, pausedAt, testEveryMs, toldEnds },
    paused: pausedAt !== null,
  };
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
  return new ReauthorizationRequiredError(
    'ERR_CREDENTIAL_NEEDS_USER',
    'This credential has expired and cannot be refreshed.',
    { credentialId },
  );
}
