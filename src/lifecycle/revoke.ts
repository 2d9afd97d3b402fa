import { toCredentialError } from '../errors.ts';
import { lifecycleStateOf, type CredentialRecord } from './credential.ts';
import { driverInput, eventsOf, openRecord, requireRecord, revised, settledAt, type Surroundings } from './effects.ts';
import type { RevokeInput, Settled } from './machine.ts';

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
      if (await vault.find(record, record.registered)) await revokeUpstream(surroundings, record, signal);
      return settledAt(record);
    }
    const now = ports.clock.now();
    const next = revised(record, { state: 'revoked.byUser', reason: 'revokedByUser', dueAt: null }, now);
    const events = eventsOf(['credential.revoked'], next, ports);
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision, events })) {
      await revokeUpstream(surroundings, next, signal);
      return settledAt(next, events);
    }
  }
}

async function revokeUpstream(
  surroundings: Surroundings,
  record: CredentialRecord,
  signal: AbortSignal,
): Promise<void> {
  const { ports, vault } = surroundings;
  try {
    const opened = await openRecord(surroundings, record);
    await opened.driver.revoke(driverInput(opened, signal));
    await vault.deleteAll(record);
  } catch (error) {
    ports.logger.warn(
      { credentialId: record.id, code: toCredentialError(error).code },
      'The grant could not be revoked at the other side.',
    );
  }
}
