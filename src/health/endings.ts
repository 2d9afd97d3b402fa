import { lifecycleStateOf, type CredentialId, type CredentialRecord } from '../lifecycle/credential.ts';
import { eventsOf, revised, type Surroundings } from '../lifecycle/effects.ts';
import type { CredentialEvent, EventType } from '../lifecycle/events.ts';
import { SETTLED_UPSTREAM, type Settlement } from '../lifecycle/policy.ts';

/**
 * Writes down that the other side ended a credential, whatever its expiry says. The event comes once: whoever is there
 * already is left as he is.
 */
export async function endUpstream(surroundings: Surroundings, id: CredentialId): Promise<readonly CredentialEvent[]> {
  return end(surroundings, id, {
    applies: (record) => lifecycleStateOf(record.state) !== 'revoked',
    settlement: SETTLED_UPSTREAM,
    type: 'credential.revoked',
  });
}

/**
 * Writes down that a token is dead that its expiry calls alive: the other side rejected it, and no new one can be had. Without
 * this it would be handed out as `valid.degraded` until its expiry.
 */
export async function endRejected(
  surroundings: Surroundings,
  id: CredentialId,
  generation: number,
): Promise<readonly CredentialEvent[]> {
  return end(surroundings, id, {
    applies: (record) =>
      record.state === 'valid.degraded' && record.generation === generation && record.failure?.class === 'permanent',
    settlement: { state: 'expired.needsUser', reason: 'grantRefused', refreshDueAt: null, retryNotBefore: null },
    type: 'credential.needsUser',
  });
}

async function end(
  { records, ports }: Surroundings,
  id: CredentialId,
  ending: { applies: (record: CredentialRecord) => boolean; settlement: Settlement; type: EventType },
): Promise<readonly CredentialEvent[]> {
  for (;;) {
    const record = await records.get(id);
    if (record === null || !ending.applies(record)) return [];
    const isTold = record.notices.includes(ending.type);
    const notices = isTold ? record.notices : [...record.notices, ending.type];
    const next = revised(record, { ...ending.settlement, notices, testDueAt: null }, ports.clock.now());
    const events = eventsOf(isTold ? [] : [ending.type], next, ports);
    if (await records.compareAndSet({ record: next, expectedRevision: record.revision, events })) return events;
  }
}
