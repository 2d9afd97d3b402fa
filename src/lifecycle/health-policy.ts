import { lifecycleStateOf, type CredentialRecord, type End, type ToldEnd } from './credential.ts';
import type { EventReason } from './events.ts';
import { isAlive, keepAliveAt, stableFraction } from './policy.ts';

/** What an engine wants of tests and notices. Pure decisions from a record, these rules and an instant. */
export interface HealthRules {
  /** How often a credential is tested by schedule; 0 for never. */
  readonly testEveryMs: number;
  /** How long before an end its owner is told, the longest first. */
  readonly noticeLeadsMs: readonly number[];
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export const DEFAULT_HEALTH_RULES: HealthRules = { testEveryMs: HOUR, noticeLeadsMs: [14 * DAY, 3 * DAY, DAY] };

/** How long the result of a test counts, unless settings, secret or grant change. */
export const TEST_COUNTS_FOR_MS = 300_000;

/** Whether a scheduled test has a meaning now: what is not valid has an open question already, and somebody who answers it. */
export function isTestable({ state, pausedAt }: Pick<CredentialRecord, 'state' | 'pausedAt'>): boolean {
  return lifecycleStateOf(state) === 'valid' && pausedAt === null;
}

/** When to test next by schedule, up to a tenth earlier so that tests spread; `null` for never. */
export function plannedTestAt(record: CredentialRecord, rules: HealthRules, testedAt: Date): Date | null {
  const everyMs = record.testEveryMs ?? rules.testEveryMs;
  if (everyMs === 0 || !isTestable(record)) return null;
  return new Date(Math.floor(testedAt.getTime() + everyMs * (1 - 0.1 * stableFraction(record.id))));
}

export interface DueNotice extends ToldEnd {
  readonly reason: EventReason;
}

const REASONS = {
  token: 'tokenEnds',
  grant: 'grantEnds',
  idle: 'grantLapses',
  secret: 'secretEnds',
} as const satisfies Record<End, EventReason>;

/** What can end of a credential, and when it began as far as known. Ends that the engine puts off by itself are none. */
function endsOf(record: CredentialRecord): { end: End; endsAt: Date; sinceMs: number; longestLeadMs: number }[] {
  const { grantExpiresAt, idleExpiresAt, secretExpiresAt, expiresAt, state, refreshable } = record;
  if (lifecycleStateOf(state) === 'revoked') return [];
  const issuedMs = (record.issuedAt ?? record.createdAt).getTime();
  const ends = [];
  if (record.grant !== null && state !== 'expired.needsUser') {
    if (expiresAt && !refreshable) ends.push({ end: 'token', endsAt: expiresAt, sinceMs: issuedMs } as const);
    if (grantExpiresAt) ends.push({ end: 'grant', endsAt: grantExpiresAt, sinceMs: issuedMs } as const);
    if (idleExpiresAt) ends.push({ end: 'idle', endsAt: idleExpiresAt, sinceMs: issuedMs } as const);
  }
  const sinceMs = record.createdAt.getTime();
  if (secretExpiresAt) ends.push({ end: 'secret', endsAt: secretExpiresAt, sinceMs } as const);
  const keptAliveAt = state === 'valid.degraded' ? null : keepAliveAt(record);
  return ends.map((each) => {
    const put = each.end === 'idle' && keptAliveAt !== null;
    // A grant that is kept alive lapses only when its keep-alive fails.
    const longestLeadMs = put ? (each.endsAt.getTime() - keptAliveAt.getTime()) / 2 : Number.POSITIVE_INFINITY;
    return { ...each, longestLeadMs };
  });
}

/** The leads of one end, scaled to its life: the longest is at most a quarter of it, the others in proportion. */
export function leadsOf(lifeMs: number, noticeLeadsMs: readonly number[]): number[] {
  const longest = Math.max(...noticeLeadsMs, 1);
  const scale = Math.min(1, Math.max(lifeMs, 0) / 4 / longest);
  const scaled = noticeLeadsMs.map((leadMs) => Math.floor(leadMs * scale));
  // Of a short life one notice is enough.
  return scaled.filter((leadMs, index) => index === 0 || leadMs >= HOUR);
}

/** Notices that were given and are still about an end that comes. */
export function standingNotices(record: CredentialRecord): readonly ToldEnd[] {
  const ends = endsOf(record);
  return record.toldEnds.filter((told) =>
    ends.some(({ end, endsAt }) => end === told.end && endsAt.getTime() === told.endsAt.getTime()),
  );
}

function untold(record: CredentialRecord, { noticeLeadsMs }: HealthRules): { notice: DueNotice; at: Date }[] {
  const standing = standingNotices(record);
  return endsOf(record).flatMap(({ end, endsAt, sinceMs, longestLeadMs }) => {
    const told = standing.filter((each) => each.end === end).map(({ leadMs }) => leadMs);
    const soonest = Math.min(...told, Number.POSITIVE_INFINITY);
    return leadsOf(endsAt.getTime() - sinceMs, noticeLeadsMs)
      .filter((leadMs) => leadMs < soonest && leadMs <= longestLeadMs)
      .map((leadMs) => ({
        notice: { end, endsAt, leadMs, reason: REASONS[end] },
        at: new Date(endsAt.getTime() - leadMs),
      }));
  });
}

/** The notices to give now: of each end the nearest that its time has come for, and none that was given. */
export function dueNotices(record: CredentialRecord, rules: HealthRules, now: Date): DueNotice[] {
  const reached = untold(record, rules).filter(({ at }) => at <= now);
  const nearest = new Map<End, DueNotice>();
  for (const { notice } of reached) {
    const known = nearest.get(notice.end);
    if (known === undefined || notice.leadMs < known.leadMs) nearest.set(notice.end, notice);
  }
  return [...nearest.values()];
}

/** When the next notice is due: in the past when one is due now, `null` when none ever is. */
export function plannedNoticeAt(record: CredentialRecord, rules: HealthRules): Date | null {
  const instants = untold(record, rules).map(({ at }) => at.getTime());
  return instants.length === 0 ? null : new Date(Math.min(...instants));
}

/** Both due times of a record that was just written by somebody who knows these rules. */
export function plannedHealth(
  record: CredentialRecord,
  rules: HealthRules,
  now: Date,
): Pick<CredentialRecord, 'testDueAt' | 'noticeDueAt'> {
  const isPlanned = record.testDueAt !== null && isTestable(record);
  const testDueAt = isPlanned ? record.testDueAt : plannedTestAt(record, rules, now);
  // An end that its owner was told of and that moved is good news, and told at once.
  const isOver = standingNotices(record).length < record.toldEnds.length;
  return { testDueAt, noticeDueAt: isOver ? now : plannedNoticeAt(record, rules) };
}

/** Whether a stored test still answers for the record. */
export function isTestCurrent(
  test: { readonly generation: number; readonly configVersion: string; readonly result: { readonly testedAt: Date } },
  record: CredentialRecord,
  configVersion: string,
  now: Date,
): boolean {
  const isOfThis = test.generation === record.generation && test.configVersion === configVersion;
  return isOfThis && wasJustNow(test.result, now) && isAlive(record, now);
}

/** Whether a test is so young that it need not be made again. */
export function wasJustNow({ testedAt }: { readonly testedAt: Date }, now: Date): boolean {
  const ageMs = now.getTime() - testedAt.getTime();
  return ageMs >= 0 && ageMs < TEST_COUNTS_FOR_MS;
}
