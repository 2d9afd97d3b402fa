import { toCredentialError } from '../errors.ts';
import { lifecycleStateOf, type CredentialRecord, type RecordedFailure, type SecretPointer } from './credential.ts';
import { driverInput, eventsOf, openRecord, requireRecord, revised, settledAt, type Surroundings } from './effects.ts';
import type { RevokeInput, Settled } from './machine.ts';
import { classify } from './failure-classes.ts';
import { endPending, owe, revocationsOf } from './revocations.ts';
import { IDLE_ROTATION } from './rotation/progress.ts';

/**
 * Ends a credential for good: first here, so that nobody gets it any more, then at the other side. The sealed values go
 * when the other side has ended the grant, or offers no way to; otherwise they stay for another try.
 */
export async function revokeCredential(
  surroundings: Surroundings,
  input: RevokeInput,
  signal: AbortSignal,
): Promise<Settled> {
  const { records, vault, ports } = surroundings;
  for (;;) {
    const record = await requireRecord(surroundings, input.credentialId);
    if (lifecycleStateOf(record.state) === 'revoked') {
      // Asked again: the other side could not be told then.
      const open = (await vault.find(record, record.registered)) !== null;
      return settledAt(open ? await revokeUpstream(surroundings, record, signal) : record);
    }
    for (const pointer of rotationLeftovers(record)) await owe(surroundings, record, pointer);
    const now = ports.clock.now();
    const next = revised(
      record,
      { ...REVOKED, rotation: { ...IDLE_ROTATION, rotatedAt: record.rotation.rotatedAt } },
      now,
    );
    const events = eventsOf(['credential.revoked'], next, ports);
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision, events })) {
      return settledAt(await revokeUpstream(surroundings, next, signal), events);
    }
  }
}

const REVOKED: Partial<CredentialRecord> = {
  ...{ state: 'revoked.byUser', reason: 'revokedByUser', refreshDueAt: null, retryNotBefore: null, failure: null },
  authorizations: [],
  ...{ next: null, previous: null, rotationDueAt: null, testDueAt: null, noticeDueAt: null },
};

/** Secrets beside the one in use that the other side may accept: a candidate, and the one before in its overlap. */
function rotationLeftovers({ next, previous, rotation }: CredentialRecord): SecretPointer[] {
  const candidate = rotation.direction === 'forward' ? next : null;
  const overlapping = rotation.state === 'overlapping' ? previous : null;
  return [candidate, overlapping].filter((pointer) => pointer !== null);
}

/** Tells the other side. What went wrong is kept on the record, so that people see it and revoke again. */
async function revokeUpstream(
  surroundings: Surroundings,
  record: CredentialRecord,
  signal: AbortSignal,
): Promise<CredentialRecord> {
  const { ports, vault } = surroundings;
  try {
    await endPending(surroundings, record.id);
    const opened = await openRecord(surroundings, record);
    await opened.driver.revoke(driverInput(opened, signal));
    const owed = await revocationsOf(surroundings.records, record.id);
    // What is still owed takes the values; they go with its end.
    if (owed.length === 0) await vault.deleteAll(record);
    return await writeFailure(surroundings, record, null);
  } catch (error) {
    const failure = toCredentialError(error);
    ports.logger.warn(
      { credentialId: record.id, code: failure.code },
      'The grant could not be revoked at the other side.',
    );
    const { code, message } = failure;
    return writeFailure(surroundings, record, { class: classify(failure), code, message, at: ports.clock.now() });
  }
}

async function writeFailure(
  surroundings: Surroundings,
  record: CredentialRecord,
  failure: RecordedFailure | null,
): Promise<CredentialRecord> {
  if (record.failure === null && failure === null) return record;
  const next = revised(record, { failure }, surroundings.ports.clock.now());
  const written = await surroundings.records.compareAndSet({ record: next, expectedRevision: record.revision });
  return written ? next : requireRecord(surroundings, record.id);
}
