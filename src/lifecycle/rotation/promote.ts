import { toCredentialError } from '../../errors.ts';
import { isSamePointer, pointersOf, type CredentialRecord } from '../credential.ts';
import type { Surroundings } from '../effects.ts';
import { settleRefreshed } from '../policy.ts';
import { parseSealedGrant } from '../sealed-grant.ts';
import type { Issued } from '../../protocols/protocol.ts';
import { revocationsOf } from '../revocations.ts';
import type { Rotating } from './contract.ts';
import { DEFAULT_ROTATION_GRACE_MS } from './plan.ts';
import { replannedDueAt } from './policy.ts';
import type { RotationProgress } from './progress.ts';
import { write, type Step } from './write.ts';

/**
 * One compare-and-set makes the candidate the secret in use: `registered` points at it, `previous` at the one before, and
 * the grant that its test brought is the grant in use, of the next generation.
 */
export async function promote(surroundings: Surroundings, step: Step): Promise<Rotating> {
  const { vault, ports } = surroundings;
  const pointer = step.record.rotation.grant;
  const issued = pointer && parseSealedGrant(await vault.get(step.record, pointer));
  const rotating = await write(surroundings, step, (record) => {
    const now = ports.clock.now();
    const promoted = { ...record, ...promotion(record, issued, now) };
    const { rotation } = promoted;
    const rotationDueAt = rotation.state === 'overlapping' ? rotation.retireDueAt : replannedDueAt(promoted, now);
    return {
      changes: { ...promoted, rotationDueAt },
      granted: issued !== null,
      events: [{ type: 'credential.rotated', reason: record.rotation.reason }],
    };
  });
  await collectSecrets(surroundings, step.record.id);
  return rotating;
}

function promotion(record: CredentialRecord, issued: Issued | null, now: Date): Partial<CredentialRecord> {
  const { next, registered, rotation } = record;
  return {
    registered: next ?? registered,
    previous: registered,
    next: null,
    secretExpiresAt: issued?.secretExpiresAt ?? null,
    rotation: afterPromotion(record, rotation, now),
    ...(issued !== null && grantChanges(record, issued, now)),
  };
}

function afterPromotion(record: CredentialRecord, rotation: RotationProgress, now: Date): RotationProgress {
  const promoted = { ...rotation, attemptId: null, candidate: 0, refusals: 0, failedTries: 0, grant: null };
  const overlaps = rotation.overlap !== 'none';
  const graceMs = record.rotationPolicy?.rotationGraceMs ?? DEFAULT_ROTATION_GRACE_MS;
  return {
    ...promoted,
    state: overlaps ? 'overlapping' : 'idle',
    probedAt: null,
    rotatedAt: now,
    retireDueAt: overlaps ? new Date(now.getTime() + graceMs) : null,
    failure: null,
  };
}

function grantChanges(record: CredentialRecord, issued: Issued, now: Date): Partial<CredentialRecord> {
  const { issuedAt, expiresAt, refreshable, grantExpiresAt = null, idleExpiresAt = null } = issued;
  return {
    ...settleRefreshed(record.id, issued),
    grant: record.rotation.grant,
    generation: record.generation + 1,
    generationReason: 'refreshed',
    ...{ issuedAt, expiresAt, refreshable, grantExpiresAt, idleExpiresAt },
    ...{ failedAttempts: 0, failure: null, notices: [], lastRefreshedAt: now },
  };
}

/** Deletes secrets that neither the record nor a pending revocation points at. The next rotation tries again what fails. */
export async function collectSecrets({ records, vault, ports }: Surroundings, id: string): Promise<void> {
  try {
    const record = await records.get(id);
    if (record === null) return;
    const owed = (await revocationsOf(records, id)).map(({ value }) => value).filter((value) => value !== null);
    const keep = [...pointersOf(record), ...owed];
    for (const { pointer } of await vault.values(id)) {
      const isKept = keep.some((each) => isSamePointer(each, pointer));
      const isComing = pointer.attemptId === record.rotation.attemptId;
      if (pointer.field === 'registered' && !isKept && !isComing) await vault.delete(record, pointer);
    }
  } catch (error) {
    ports.logger.warn({ credentialId: id, code: toCredentialError(error).code }, 'Old values could not be deleted.');
  }
}
