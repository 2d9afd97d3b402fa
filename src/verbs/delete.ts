import { lifecycleStateOf, type CredentialId, type CredentialRecord } from '../lifecycle/credential.ts';
import { eventsOf, requireRecord, revised, type Surroundings } from '../lifecycle/effects.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import { stableFraction } from '../lifecycle/policy.ts';
import type { Claim } from '../storage/record-store.ts';
import { whileClaimed } from './claimed.ts';

const RETRY_FIRST_MS = 60_000;
const RETRY_MOST_MS = 3_600_000;
const ALL_REVOCATIONS = { now: new Date('9999-01-01T00:00:00.000Z'), limit: 10_000 };

/**
 * Takes a credential away: ended at the other side first, then record and values go. While the other side cannot be told, the
 * revocation is kept as pending, and with it the record that it takes, which nobody sees any more.
 *
 * @param revoke ends it, here and at the other side; what went wrong there is the failure on the record
 */
export async function deleteRecord(
  surroundings: Surroundings,
  id: CredentialId,
  revoke: (record: CredentialRecord) => Promise<void>,
): Promise<readonly CredentialEvent[]> {
  const { records, ports } = surroundings;
  await revoke(await requireRecord(surroundings, id));
  // A refresh in flight has found the revocation, and ended what it brought, when the claim is free.
  return whileClaimed(surroundings, id, async (record, claim) => {
    if (await isTold(surroundings, record)) return remove(surroundings, record);
    const now = ports.clock.now();
    await records.putPendingRevocation({
      ...{ revocationId: `${id}/grant`, credentialId: id, value: null, tries: 0 },
      ...{ dueAt: now, createdAt: now },
    });
    const next = revised(record, { deletedAt: now, refreshDueAt: retryAt(record, now), noticeDueAt: null }, now);
    const events = eventsOf(['credential.deleted'], next, ports);
    await records.compareAndSet({ record: next, expectedRevision: record.revision, claim, events });
    return events;
  });
}

export function isRemovalDue(record: CredentialRecord, now: Date): boolean {
  return record.deletedAt !== null && record.refreshDueAt !== null && record.refreshDueAt <= now;
}

/** Tries again to tell the other side of a deleted credential, and removes what is left of it when that worked. */
export async function removeDeleted(
  surroundings: Surroundings,
  record: CredentialRecord,
  claim: Claim,
  revoke: (record: CredentialRecord) => Promise<void>,
): Promise<void> {
  const { records, ports } = surroundings;
  if (record.failure !== null) await revoke(record);
  const after = await requireRecord(surroundings, record.id);
  if (await isTold(surroundings, after)) {
    await remove(surroundings, after);
    return;
  }
  const now = ports.clock.now();
  const next = revised(after, { refreshDueAt: retryAt(after, now), failedAttempts: after.failedAttempts + 1 }, now);
  await records.compareAndSet({ record: next, expectedRevision: after.revision, claim, release: claim });
}

async function isTold({ records, vault }: Surroundings, record: CredentialRecord): Promise<boolean> {
  if (lifecycleStateOf(record.state) !== 'revoked' || record.failure !== null) return false;
  const owed = (await records.listPendingRevocations(ALL_REVOCATIONS)).filter(
    (each) => each.credentialId === record.id,
  );
  // The grant itself was revoked with the record; another process may not have crossed it out yet.
  if ((await vault.find(record, record.registered)) === null) return true;
  return owed.every(({ value }) => value === null);
}

async function remove(surroundings: Surroundings, record: CredentialRecord): Promise<readonly CredentialEvent[]> {
  const { records, vault, ports } = surroundings;
  const isNews = record.deletedAt === null;
  const events = isNews ? eventsOf(['credential.deleted'], { ...record, updatedAt: ports.clock.now() }, ports) : [];
  // The record goes first: values that nothing points at are found by nobody, a record without its values would be.
  if (!(await records.delete(record.id, record.revision, events))) return [];
  await vault.deleteAll(record);
  await records.removePendingRevocation(`${record.id}/grant`);
  return events;
}

function retryAt({ id, failedAttempts }: CredentialRecord, now: Date): Date {
  const exponential = Math.min(RETRY_FIRST_MS * 2 ** Math.min(failedAttempts, 16), RETRY_MOST_MS);
  return new Date(Math.ceil(now.getTime() + exponential * (0.75 + 0.25 * stableFraction(id))));
}
