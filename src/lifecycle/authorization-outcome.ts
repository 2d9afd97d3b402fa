import { ReauthorizationRequiredError, toCredentialError, type CredentialError } from '../errors.ts';
import type { Issued } from '../protocols/protocol.ts';
import type { Claim } from '../storage/record-store.ts';
import { lifecycleStateOf, type CredentialRecord, type Reason } from './credential.ts';
import { driverInput, eventsOf, requireRecord, revised, settledAt, type Opened, type Surroundings } from './effects.ts';
import type { EventType } from './events.ts';
import { attemptPointer } from './journal.ts';
import type { Settled } from './machine.ts';
import { authorizationPointer, withChanged } from './pending-authorization.ts';
import { classify } from './failure-classes.ts';
import { settleRefreshed } from './policy.ts';
import { collectGarbage, sealGrant } from './settle.ts';

/** A sign-in that was answered with a grant. */
export interface Authorized {
  readonly credentialId: string;
  readonly authorizationId: string;
  readonly issued: Issued;
  /** Ended with the write; `null` when another holder had the credential. */
  readonly claim: Claim | null;
}

/**
 * Points the record at the new grant, as the generation after whatever is there by then: what a person gave a moment ago is
 * newer than any refresh of what was there before, whichever of them is stored first. A refresh that is still under way
 * finds a newer generation and drops its own outcome, good or bad.
 *
 * @throws ReauthorizationRequiredError `ERR_CREDENTIAL_REVOKED`: the new grant was ended at the other side and not kept
 */
export async function commitAuthorization(
  surroundings: Surroundings,
  authorized: Authorized,
  opened: Opened,
): Promise<Settled> {
  const { records, ports, vault } = surroundings;
  const { credentialId, authorizationId, issued, claim } = authorized;
  for (;;) {
    const record = await requireRecord(surroundings, credentialId);
    if (lifecycleStateOf(record.state) === 'revoked') return discard(surroundings, { ...opened, record }, issued);
    const attempt = { generation: record.generation + 1, attemptId: authorizationId };
    await sealGrant(surroundings, record, attempt, issued);
    const next = revised(record, authorizedChanges(record, attempt, issued, ports.clock.now()), ports.clock.now());
    const types: EventType[] = record.failure === null ? [] : ['credential.recovered'];
    const events = eventsOf(['credential.authorized', ...types], next, ports);
    const release = claim === null ? {} : { release: claim };
    if (!(await records.compareAndSet({ record: next, expectedRevision: record.revision, events, ...release })))
      continue;
    await vault.delete(record, authorizationPointer(authorizationId));
    await collectGarbage(surroundings, next, record.grant);
    return settledAt(next, events);
  }
}

function authorizedChanges(
  record: CredentialRecord,
  attempt: { generation: number; attemptId: string },
  issued: Issued,
  now: Date,
): Partial<CredentialRecord> {
  const { issuedAt, expiresAt, refreshable, grantExpiresAt = null, idleExpiresAt = null } = issued;
  return {
    ...settleRefreshed(record.id, issued, { learnedLifeMs: record.learnedLifeMs }),
    reason: 'authorized',
    grant: attemptPointer(attempt),
    generation: attempt.generation,
    generationReason: 'authorized',
    ...{ issuedAt, expiresAt, refreshable, grantExpiresAt, idleExpiresAt },
    authorizations: withChanged(record.authorizations, attempt.attemptId, { endedAt: now }),
    failedAttempts: 0,
    failure: null,
    notices: [],
    lastRefreshedAt: now,
  };
}

/** The owner revoked while the person signed in. */
async function discard(surroundings: Surroundings, opened: Opened, issued: Issued): Promise<never> {
  const { id: credentialId } = opened.record;
  try {
    await opened.driver.revoke(driverInput({ ...opened, grant: issued.grant }, new AbortController().signal));
  } catch (error) {
    const { code } = toCredentialError(error);
    surroundings.ports.logger.error(
      { credentialId, code },
      'A grant that arrived after a revocation could not be revoked.',
    );
  }
  await surroundings.vault.deleteAll(opened.record);
  throw new ReauthorizationRequiredError('ERR_CREDENTIAL_REVOKED', 'This credential was revoked.', { credentialId });
}

/**
 * Ends a sign-in without a grant. A credential that has no grant keeps the reason; the grant of any other is as good or bad as
 * it was before.
 */
export async function endAuthorization(
  surroundings: Surroundings,
  { credentialId, authorizationId, claim }: Omit<Authorized, 'issued'>,
  { failure, reason }: { failure: CredentialError; reason: Reason },
): Promise<CredentialRecord> {
  const { records, ports, vault } = surroundings;
  for (;;) {
    const record = await requireRecord(surroundings, credentialId);
    const now = ports.clock.now();
    const authorizations = withChanged(record.authorizations, authorizationId, { endedAt: now });
    const { code, message } = failure;
    const waits = record.grant === null && lifecycleStateOf(record.state) === 'pending';
    const told = { state: 'pending.authorizing', reason, refreshDueAt: null, retryNotBefore: null } as const;
    const changes = waits ? { ...told, failure: { class: classify(failure), code, message, at: now } } : {};
    const next = revised(record, { ...changes, authorizations }, now);
    const release = claim === null ? {} : { release: claim };
    if (!(await records.compareAndSet({ record: next, expectedRevision: record.revision, ...release }))) continue;
    await vault.delete(record, authorizationPointer(authorizationId));
    return next;
  }
}
