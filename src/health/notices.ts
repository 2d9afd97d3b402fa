import type { CredentialRecord } from '../lifecycle/credential.ts';
import { newId, revised, type Surroundings } from '../lifecycle/effects.ts';
import { eventOf, type CredentialEvent } from '../lifecycle/events.ts';
import { dueNotices, plannedNoticeAt, standingNotices, type HealthRules } from '../lifecycle/health-policy.ts';
import type { Claim } from '../storage/record-store.ts';

export function isNoticeDue(record: CredentialRecord, now: Date): boolean {
  return record.noticeDueAt !== null && record.noticeDueAt <= now;
}

/**
 * Tells the owner of a claimed record which ends come near. What was told is written in the same transaction as its event, so
 * each threshold of each end is told once, by whichever process, and its event has one id for ever.
 */
export async function giveNotices(
  { records, ports }: Surroundings,
  record: CredentialRecord,
  claim: Claim,
  rules: HealthRules,
): Promise<readonly CredentialEvent[]> {
  const now = ports.clock.now();
  const standing = standingNotices(record);
  const due = dueNotices(record, rules, now);
  const told = due.map(({ end, endsAt, leadMs }) => ({ end, endsAt, leadMs }));
  const planned = { ...record, toldEnds: [...standing, ...told] };
  const { toldEnds } = planned;
  const next = revised(record, { toldEnds, noticeDueAt: plannedNoticeAt(planned, rules) }, now);
  const notices = due.map(({ reason, endsAt }): CredentialEvent => {
    return { ...eventOf('credential.expiringSoon', next, newId(ports)), reason, endsAt };
  });
  const isOver = toldEnds.length === 0 && record.toldEnds.length > 0;
  const events = isOver ? [eventOf('credential.recovered', next, newId(ports))] : notices;
  const change = { record: next, expectedRevision: record.revision, claim, release: claim, events };
  if (await records.compareAndSet(change)) return events;
  await records.releaseClaim(claim);
  return [];
}
