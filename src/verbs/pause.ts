import { lifecycleStateOf, type CredentialId, type CredentialRecord } from '../lifecycle/credential.ts';
import { eventsOf, requireRecord, revised, type Surroundings } from '../lifecycle/effects.ts';
import type { CredentialEvent, EventType } from '../lifecycle/events.ts';
import { pausedDueAt, resumedDueAt } from '../lifecycle/policy.ts';
import type { Claim } from '../storage/record-store.ts';
import { refusal } from '../summary.ts';

/**
 * Stops scheduled work on a credential: refreshes, tests, rotations. What would be lost for good goes on: an idle grant is
 * kept alive, an interrupted refresh is healed, its owner hears of ends. `use` refreshes on demand as ever.
 *
 * @throws ReauthorizationRequiredError `ERR_CREDENTIAL_REVOKED`
 */
export function pauseRecord(surroundings: Surroundings, id: CredentialId): Promise<readonly CredentialEvent[]> {
  return change(surroundings, id, 'credential.paused', (record, now) => {
    if (record.pausedAt !== null) return null;
    const paused = { ...record, pausedAt: now };
    const isUnderWay = lifecycleStateOf(record.state) === 'refreshing';
    return { pausedAt: now, testDueAt: null, refreshDueAt: isUnderWay ? record.refreshDueAt : pausedDueAt(paused) };
  });
}

/** Ends a pause. What became due meanwhile is due at once. @throws ReauthorizationRequiredError `ERR_CREDENTIAL_REVOKED` */
export function resumeRecord(surroundings: Surroundings, id: CredentialId): Promise<readonly CredentialEvent[]> {
  return change(surroundings, id, 'credential.resumed', (record, now) => {
    if (record.pausedAt === null) return null;
    const changes = { pausedAt: null, refreshDueAt: resumedDueAt(record, now) };
    return { ...changes, ...surroundings.planHealth({ ...record, ...changes }, now) };
  });
}

/** A due time that came for a paused record: put off to what still has to be done for it. */
export async function postponePaused(
  surroundings: Surroundings,
  record: CredentialRecord,
  claim: Claim,
): Promise<void> {
  const { records, ports } = surroundings;
  const next = revised(record, { refreshDueAt: pausedDueAt(record) }, ports.clock.now());
  const written = await records.compareAndSet({
    record: next,
    expectedRevision: record.revision,
    claim,
    release: claim,
  });
  if (!written) await records.releaseClaim(claim);
}

async function change(
  surroundings: Surroundings,
  id: CredentialId,
  type: EventType,
  changesOf: (record: CredentialRecord, now: Date) => Partial<CredentialRecord> | null,
): Promise<readonly CredentialEvent[]> {
  const { records, ports } = surroundings;
  for (;;) {
    const record = await requireRecord(surroundings, id);
    const now = ports.clock.now();
    if (lifecycleStateOf(record.state) === 'revoked') throw refusal(record, now);
    const changes = changesOf(record, now);
    if (changes === null) return [];
    const next = revised(record, changes, now);
    const events = eventsOf([type], next, ports);
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision, events })) return events;
  }
}
