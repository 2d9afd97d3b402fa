import { createHash } from 'node:crypto';
import type { CredentialError, ErrorCode } from '../errors.ts';
import type { Issued } from '../protocols/protocol.ts';
import {
  lifecycleStateOf,
  type CredentialRecord,
  type Reason,
  type RecordedFailure,
  type StatePath,
} from './credential.ts';
import { classify, isAnswerLost } from './failure-classes.ts';
import { isUnderWay } from './pending-authorization.ts';
import { isHeldBack } from './request-gate.ts';
import { blocksUse } from './rotation/progress.ts';

/** Pure decisions: `{ decision, reason }` from a record and an instant. No clock, no randomness, no effects. */
export interface Decision<D extends string> {
  readonly decision: D;
  readonly reason: Reason;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MARGIN_LEAST_MS = 30 * SECOND;
const MARGIN_MOST_MS = 15 * MINUTE;
/** Share of the margin by which due times of different ids are spread. */
const JITTER = 0.1;
const FORCED_MOST_MS = 10 * SECOND;
const BACKOFF_FIRST_MS = 2 * SECOND;
const BACKOFF_MOST_MS = 5 * MINUTE;
const HEAL_EXTRA_MS = 5 * SECOND;
const CLOCK_TRIES = 10;
const KEEP_ALIVE_MOST_MS = 3 * 24 * 60 * MINUTE;

/** The span of a grant's life, when the other side named its end. */
interface Life {
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

function lifeOf(record: Pick<CredentialRecord, 'issuedAt' | 'expiresAt'>): Life | null {
  const { issuedAt, expiresAt } = record;
  return issuedAt && expiresAt ? { issuedAt, expiresAt } : null;
}

/** How long before expiry a refresh is due: a third of the life, 30 s to 15 min, never more than half the life. */
export function marginMs(lifeMs: number): number {
  return Math.min(Math.max(lifeMs / 3, MARGIN_LEAST_MS), MARGIN_MOST_MS, lifeMs / 2);
}

/** A number in [0, 1) that is always the same for one id, so that due times spread but do not move. */
export function stableFraction(id: string): number {
  return createHash('sha256').update(id).digest().readUInt32BE() / 2 ** 32;
}

/**
 * When to refresh: expiry − margin − jitter. The jitter, up to a tenth of the margin, only makes it earlier. Where an endpoint's
 * budget takes `crowdMs` for all of its credentials, the jitter is as wide as that, but never reaches into the first half of the life.
 */
export function plannedRefreshAt(id: string, { issuedAt, expiresAt }: Life, crowdMs = 0): Date {
  const life = expiresAt.getTime() - issuedAt.getTime();
  const margin = marginMs(life);
  const spread = Math.max(JITTER * margin, Math.min(crowdMs, life / 2 - margin));
  const jitter = spread * stableFraction(id);
  return new Date(Math.floor(expiresAt.getTime() - margin - jitter));
}

/** Before this, no id's refresh is planned: known without hashing the id, which would be most of the cost of a use. */
function earliestRefreshMs({ issuedAt, expiresAt }: Life): number {
  const margin = marginMs(expiresAt.getTime() - issuedAt.getTime());
  return Math.floor(expiresAt.getTime() - (1 + JITTER) * margin) - 1;
}

/**
 * When to refresh a grant that lapses from disuse, though nobody uses it: a quarter of the idle limit before it, 3 days at
 * most; the jitter only makes it earlier. `null` for a grant that does not lapse, or cannot be refreshed.
 */
export function keepAliveAt(
  record: Pick<CredentialRecord, 'id' | 'issuedAt' | 'idleExpiresAt' | 'refreshable'>,
): Date | null {
  const { id, issuedAt, idleExpiresAt, refreshable } = record;
  if (issuedAt === null || idleExpiresAt === null || !refreshable) return null;
  const idleMs = idleExpiresAt.getTime() - issuedAt.getTime();
  const margin = Math.min(idleMs / 4, KEEP_ALIVE_MOST_MS);
  return new Date(Math.floor(idleExpiresAt.getTime() - margin * (1 + 0.1 * stableFraction(id))));
}

/** The last stretch of a life, in which callers wait for the refresh: 10 s, at most a tenth of the life. */
function forcedMs({ issuedAt, expiresAt }: Life): number {
  return Math.min(FORCED_MOST_MS, (expiresAt.getTime() - issuedAt.getTime()) / 10);
}

/** Whether there is a grant whose life, as far as known, has not ended. */
export function isAlive(record: Pick<CredentialRecord, 'grant' | 'expiresAt'>, now: Date): boolean {
  return record.grant !== null && (record.expiresAt === null || now < record.expiresAt);
}

/** Whether nothing is to be tried now without a person's wish. */
export function isBackingOff(record: Pick<CredentialRecord, 'retryNotBefore'>, now: Date): boolean {
  return record.retryNotBefore !== null && now < record.retryNotBefore;
}

export type UseDecision = Decision<'serve' | 'serveAndRefresh' | 'refreshFirst' | 'awaitRotation' | 'refuse'>;

/** What a caller who wants to use the credential gets. */
export function decideUse(record: CredentialRecord, now: Date): UseDecision {
  const state = lifecycleStateOf(record.state);
  if (state === 'revoked' || record.state === 'expired.needsUser' || record.state === 'pending.misconfigured') {
    return { decision: 'refuse', reason: record.reason };
  }
  if (record.state === 'pending.authorizing') {
    // What a sign-in that was interrupted has brought may be stored already.
    return record.authorizations.some(isUnderWay)
      ? { decision: 'refreshFirst', reason: 'recovering' }
      : { decision: 'refuse', reason: record.reason };
  }
  if (blocksUse(record.rotation)) return { decision: 'awaitRotation', reason: record.reason };
  const backingOff = isBackingOff(record, now);
  if (!isAlive(record, now)) {
    if (backingOff) return { decision: 'refuse', reason: record.reason };
    if (record.grant === null) return { decision: 'refreshFirst', reason: 'firstUse' };
    return record.refreshable && record.state !== 'valid.degraded'
      ? { decision: 'refreshFirst', reason: 'expiryReached' }
      : { decision: 'refuse', reason: 'expiryReached' };
  }
  return decideRefreshBeside(record, now, backingOff);
}

function decideRefreshBeside(record: CredentialRecord, now: Date, backingOff: boolean): UseDecision {
  const life = lifeOf(record);
  const serve = { decision: 'serve', reason: record.reason } as const;
  if (!record.refreshable || backingOff || record.state === 'valid.degraded') return serve;
  if (isReached(keepAliveAt(record), now)) return { decision: 'serveAndRefresh', reason: 'keepAlive' };
  const nowMs = now.getTime();
  const ahead = { decision: 'serveAndRefresh', reason: 'refreshDue' } as const;
  if (life && nowMs >= earliestRefreshMs(life)) {
    if (life.expiresAt.getTime() - nowMs < forcedMs(life)) return { decision: 'refreshFirst', reason: 'refreshDue' };
    if (now >= plannedRefreshAt(record.id, life)) return ahead;
  }
  return nowMs >= plannedByMs(record) ? ahead : serve;
}

/** When a fresh grant is due by its record: earlier than its life tells when a part of it ends, or nobody states its life. */
function plannedByMs({ state, refreshDueAt }: CredentialRecord): number {
  return state === 'valid.fresh' && refreshDueAt !== null ? refreshDueAt.getTime() : Infinity;
}

function earlier(a: Date | null, b: Date | null): Date | null {
  if (a === null || b === null) return a ?? b;
  return a < b ? a : b;
}

/**
 * Until when a record that `decideUse` serves at `now` is served without asking again, as milliseconds since 1970; what
 * `decideUse` looks at changes at no other instant. `now` itself when the record is not served.
 */
export function servedUntilMs(record: CredentialRecord, now: Date): number {
  const nowMs = now.getTime();
  if (decideUse(record, now).decision !== 'serve') return nowMs;
  const life = lifeOf(record);
  const turns = [
    record.expiresAt?.getTime(),
    record.retryNotBefore?.getTime(),
    keepAliveAt(record)?.getTime(),
    ...(life && record.refreshable ? refreshTurns(life, record, nowMs) : []),
    ...(record.refreshable ? [plannedByMs(record)] : []),
  ];
  return Math.min(...turns.map((turn) => (turn !== undefined && turn > nowMs ? turn : Infinity)));
}

function refreshTurns(life: Life, { id }: CredentialRecord, nowMs: number): number[] {
  const earliestMs = earliestRefreshMs(life);
  if (nowMs < earliestMs) return [earliestMs];
  return [plannedRefreshAt(id, life).getTime(), life.expiresAt.getTime() - forcedMs(life)];
}

function isReached(instant: Date | null, now: Date): boolean {
  return instant !== null && instant <= now;
}

export type DueDecision = Decision<'refresh' | 'expire' | 'postpone' | 'none'>;

/** What the scheduler does with a record whose due time has come. */
export function decideDue(record: CredentialRecord, now: Date): DueDecision {
  const state = lifecycleStateOf(record.state);
  if (record.refreshDueAt === null || now < record.refreshDueAt || state === 'revoked')
    return { decision: 'none', reason: record.reason };
  if (state === 'refreshing' || record.state === 'pending.authorizing')
    return { decision: 'refresh', reason: 'recovering' };
  if (record.pausedAt !== null) return decidePaused(record, now);
  if (state === 'valid' && !canRefresh(record, now)) {
    return isAlive(record, now)
      ? { decision: 'none', reason: record.reason }
      : { decision: 'expire', reason: 'expiryReached' };
  }
  return canRefresh(record, now)
    ? { decision: 'refresh', reason: dueReason(record, now) }
    : { decision: 'none', reason: record.reason };
}

/** While a credential is paused only what would be lost for good is done: an idle grant is kept alive. */
function decidePaused(record: CredentialRecord, now: Date): DueDecision {
  if (record.grant !== null && canRefresh(record, now) && isReached(keepAliveAt(record), now)) {
    return { decision: 'refresh', reason: 'keepAlive' };
  }
  const isOver = lifecycleStateOf(record.state) === 'valid' && !isAlive(record, now);
  const isLost = !record.refreshable || record.state === 'valid.degraded';
  return isOver && isLost
    ? { decision: 'expire', reason: 'expiryReached' }
    : { decision: 'postpone', reason: record.reason };
}

/** When the scheduler has to look at a paused record again: for its keep-alive, or for an end that nothing can put off. */
export function pausedDueAt(record: CredentialRecord): Date | null {
  if (lifecycleStateOf(record.state) === 'revoked' || record.grant === null) return null;
  const isLost = !record.refreshable || record.state === 'valid.degraded';
  if (isLost) return lifecycleStateOf(record.state) === 'valid' ? record.expiresAt : null;
  const keepAlive = record.state === 'expired.needsUser' ? null : keepAliveAt(record);
  const { retryNotBefore } = record;
  return keepAlive && retryNotBefore && retryNotBefore > keepAlive ? retryNotBefore : keepAlive;
}

/** When the scheduler has to look at a record that is no longer paused. */
export function resumedDueAt(record: CredentialRecord, now: Date): Date | null {
  const { id, state, issuedAt, retryNotBefore } = record;
  if (lifecycleStateOf(state) === 'refreshing') return record.refreshDueAt ?? now;
  if (state === 'valid.degraded') return record.expiresAt;
  if (state === 'valid.expiringSoon' || state === 'expired.retrying') return retryNotBefore ?? now;
  if (state === 'pending.unverified') return retryNotBefore;
  if (state !== 'valid.fresh' || issuedAt === null) return null;
  return settleRefreshed(id, { ...record, issuedAt }).refreshDueAt;
}

function dueReason(record: CredentialRecord, now: Date): Reason {
  const life = lifeOf(record);
  const tokenIsDue = life !== null && now >= plannedRefreshAt(record.id, life);
  return !tokenIsDue && isReached(keepAliveAt(record), now) ? 'keepAlive' : 'refreshDue';
}

function canRefresh(record: CredentialRecord, now: Date): boolean {
  return record.refreshable && record.state !== 'valid.degraded' && !isBackingOff(record, now);
}

/** What follows from one outcome: the next state, why, and when to look again. */
export interface Settlement {
  readonly state: StatePath;
  readonly reason: Reason;
  readonly refreshDueAt: Date | null;
  readonly retryNotBefore: Date | null;
}

/** After a grant was committed: fresh until its refresh is due, or until it ends when it cannot be refreshed. */
export function settleRefreshed(
  id: string,
  issued: Pick<Issued, 'issuedAt' | 'expiresAt' | 'refreshable' | 'refreshBy' | 'unchangedUntil' | 'idleExpiresAt'>,
  { learnedLifeMs = null, crowdMs = 0 }: { learnedLifeMs?: number | null; crowdMs?: number } = {},
): Settlement {
  const settled = { state: 'valid.fresh', reason: 'refreshed' } as const;
  const { issuedAt, expiresAt, refreshable, refreshBy = null, unchangedUntil = null } = issued;
  const { idleExpiresAt = null } = issued;
  if (refreshable && unchangedUntil !== null) {
    return { ...settled, refreshDueAt: unchangedUntil, retryNotBefore: unchangedUntil };
  }
  const learned = expiresAt === null && refreshBy !== null && learnedLifeMs !== null;
  const by = learned ? earlier(refreshBy, new Date(issuedAt.getTime() + learnedLifeMs)) : refreshBy;
  const life = lifeOf({ issuedAt, expiresAt: refreshable ? earlier(expiresAt, by) : expiresAt });
  const tokenDueAt = life === null ? null : refreshable ? plannedRefreshAt(id, life, crowdMs) : life.expiresAt;
  const keptAliveAt = keepAliveAt({ id, issuedAt, refreshable, idleExpiresAt });
  return { ...settled, refreshDueAt: earlier(tokenDueAt, keptAliveAt), retryNotBefore: null };
}

/** After the end of a life that nothing can prolong, or nothing yet. */
export function settleExpired(record: CredentialRecord, now: Date): Settlement {
  if (isBackingOff(record, now)) {
    const { retryNotBefore } = record;
    return { state: 'expired.retrying', reason: record.reason, refreshDueAt: retryNotBefore, retryNotBefore };
  }
  const never = { refreshDueAt: null, retryNotBefore: null };
  if (record.failure?.class === 'configuration') {
    return { state: 'pending.misconfigured', reason: 'configurationFailure', ...never };
  }
  const reason = record.state === 'valid.degraded' ? record.reason : 'expiryReached';
  return { state: 'expired.needsUser', reason, ...never };
}

/** What is forgotten of a refusal that lay in the settings, once they were edited. */
export function secondChance(record: CredentialRecord, now: Date): Partial<CredentialRecord> {
  const forgotten = { failure: null, retryNotBefore: null } as const;
  if (record.state === 'pending.misconfigured') return { state: 'pending.unverified', ...forgotten };
  if (record.failure?.class !== 'configuration') return {};
  const retried = { ...forgotten, refreshDueAt: now } as const;
  if (record.state === 'valid.degraded') return { state: 'valid.expiringSoon', ...retried };
  return record.state === 'expired.needsUser' ? { state: 'expired.retrying', ...retried } : {};
}

/** What is known about the request that failed. */
export interface FailedAttempt {
  /** The request may have reached the other side. */
  readonly sent: boolean;
  /** It carried a token that can be used only once. */
  readonly singleUse: boolean;
  /** It repeated a token that an earlier, unanswered request may have spent. */
  readonly healing: boolean;
  /** An earlier request may have spent the token, answered or not. */
  readonly inDoubt: boolean;
  /** When the token was perhaps spent first, by this request or one before it; `null` when it certainly was not. */
  readonly spentAt: Date | null;
  /** The store was put back to an older state after the grant was given: its successor may be known to nobody any more. */
  readonly rolledBack: boolean;
  readonly reuseGraceMs: number;
  readonly deadlineMs: number;
}

/** After a refresh failed. A token that still lives stays usable, whatever happened to the grant behind it. */
export function settleFailed(
  record: CredentialRecord,
  error: CredentialError,
  attempt: FailedAttempt,
  now: Date,
): Settlement {
  const alive = isAlive(record, now);
  // A clock that stays wrong for that long is no reason to ask for ever.
  const isHopeless = error.code === 'ERR_CLOCK_SKEWED' && record.failedAttempts >= CLOCK_TRIES;
  switch (isHopeless ? 'permanent' : classify(error)) {
    case 'permanent': {
      if (error.code === 'ERR_CREDENTIAL_REVOKED_UPSTREAM') return SETTLED_UPSTREAM;
      const reason = refusalReason(attempt);
      return alive
        ? { state: 'valid.degraded', reason, refreshDueAt: record.expiresAt, retryNotBefore: null }
        : { state: 'expired.needsUser', reason, refreshDueAt: null, retryNotBefore: null };
    }
    case 'configuration': {
      const reason = 'configurationFailure';
      return alive
        ? { state: 'valid.degraded', reason, refreshDueAt: record.expiresAt, retryNotBefore: null }
        : { state: 'pending.misconfigured', reason, refreshDueAt: null, retryNotBefore: null };
    }
    default:
      if (isHeldBack(error)) return settleHeldBack(record, error, now, alive);
      if (attempt.singleUse && attempt.sent && isAnswerLost(error)) {
        return settleAnswerLost(
          attempt.healing ? rehealAt(record, error, attempt, now) : healAt(attempt, { ...attempt, sentAt: now }, now),
        );
      }
      return settleTransient(record, error, attempt, now);
  }
}

function refusalReason({ rolledBack, inDoubt }: FailedAttempt): Reason {
  if (rolledBack) return 'storeRolledBack';
  return inDoubt ? 'ambiguousRefresh' : 'grantRefused';
}

/** The other side said itself that it ended the credential: no token of it lives on, whatever its expiry says. */
export const SETTLED_UPSTREAM: Settlement = {
  state: 'revoked.upstream',
  reason: 'revokedUpstream',
  refreshDueAt: null,
  retryNotBefore: null,
};

function settleTransient(
  record: CredentialRecord,
  error: CredentialError,
  attempt: FailedAttempt,
  now: Date,
): Settlement {
  const retryNotBefore = retryAt(record, error, attempt, now);
  if (attempt.healing && isWithinGrace(attempt.reuseGraceMs, attempt.spentAt, retryNotBefore)) {
    // Turned away for a passing cause, and still in doubt: like any interrupted refresh it waits behind nothing while the grace lasts.
    return { ...settleAnswerLost(retryNotBefore), reason: 'transientFailure' };
  }
  return settlePassing(record, retryNotBefore, isAlive(record, now));
}

function settlePassing(record: CredentialRecord, retryNotBefore: Date, alive: boolean): Settlement {
  const state: StatePath = alive
    ? 'valid.expiringSoon'
    : record.grant === null
      ? 'pending.unverified'
      : 'expired.retrying';
  // The end of the token's life is looked at too, however long the endpoint wants to be left alone.
  const endsFirst = alive && record.expiresAt !== null && record.expiresAt < retryNotBefore;
  return {
    state,
    reason: 'transientFailure',
    refreshDueAt: endsFirst ? record.expiresAt : retryNotBefore,
    retryNotBefore,
  };
}

/** After a request that was not made: as before, until the endpoint may be asked. Waiting for one's turn is no failure. */
function settleHeldBack(record: CredentialRecord, error: CredentialError, now: Date, alive: boolean): Settlement {
  const retryNotBefore = new Date(now.getTime() + (error.retryAfterMs ?? BACKOFF_FIRST_MS));
  const waiting = settlePassing(record, retryNotBefore, alive);
  const inTurn = alive && record.failure === null && error.code === 'ERR_ENDPOINT_BUDGET_SPENT';
  return inTurn ? { ...waiting, state: 'valid.fresh', reason: 'refreshed' } : waiting;
}

/** A spent token without an answer: presented again at `retryNotBefore`, by whoever has the claim then. */
export function settleAnswerLost(retryNotBefore: Date): Settlement {
  return { state: 'refreshing.ambiguous', reason: 'answerLost', refreshDueAt: retryNotBefore, retryNotBefore };
}

/**
 * Exponential back-off with a stable jitter, bounded by what there is to save: a living token, or a token in doubt inside the
 * server's grace window. The endpoint's own wish wins when it is later.
 */
function retryAt(record: CredentialRecord, error: CredentialError, attempt: FailedAttempt, now: Date): Date {
  const exponential = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(record.failedAttempts, 16), BACKOFF_MOST_MS);
  const jittered = exponential * (0.75 + 0.25 * stableFraction(record.id));
  const bounded = Math.min(jittered, lifeLeftMs(record, now), graceLeftMs(attempt, now));
  return new Date(Math.ceil(now.getTime() + Math.max(bounded, error.retryAfterMs ?? 0)));
}

/** Until callers would begin to wait for a refresh; from then on, until the token ends; without bound when it has ended. */
function lifeLeftMs(record: CredentialRecord, now: Date): number {
  const life = lifeOf(record);
  if (!life || !isAlive(record, now)) return Number.POSITIVE_INFINITY;
  const leftMs = life.expiresAt.getTime() - now.getTime();
  return leftMs > forcedMs(life) ? leftMs - forcedMs(life) : leftMs;
}

/** Half of what is left of the grace window, so that several tries fit into it; without bound outside of it. */
function graceLeftMs({ spentAt, reuseGraceMs }: FailedAttempt, now: Date): number {
  if (!isWithinGrace(reuseGraceMs, spentAt, now)) return Number.POSITIVE_INFINITY;
  const leftMs = Number(spentAt) + reuseGraceMs - now.getTime();
  return Math.max(leftMs / 2, SECOND);
}

/** Whether the server still accepts a token that was perhaps spent first at `spentAt`. */
export function isWithinGrace(reuseGraceMs: number, spentAt: Date | null, now: Date): boolean {
  return spentAt !== null && now.getTime() - spentAt.getTime() < reuseGraceMs;
}

/**
 * When the same token may be presented again after its answer was lost: at once inside the server's reuse grace window, which
 * counts from the first request that may have spent it; outside of it, after the last request has certainly ended.
 */
export function healAt(
  traits: Pick<FailedAttempt, 'reuseGraceMs' | 'deadlineMs'>,
  { spentAt, sentAt }: { readonly spentAt: Date | null; readonly sentAt: Date },
  now: Date,
): Date {
  if (isWithinGrace(traits.reuseGraceMs, spentAt ?? sentAt, now)) return sentAt;
  return new Date(sentAt.getTime() + traits.deadlineMs + HEAL_EXTRA_MS);
}

/** A second loss in a row is no accident of one connection: the endpoint is not asked again at once. */
function rehealAt(record: CredentialRecord, error: CredentialError, attempt: FailedAttempt, now: Date): Date {
  const healing = healAt(attempt, { ...attempt, sentAt: now }, now);
  return new Date(Math.max(healing.getTime(), retryAt(record, error, attempt, now).getTime()));
}

export function recordedFailure(error: CredentialError, settlement: Settlement, now: Date): RecordedFailure {
  const codes: Partial<Record<Reason, ErrorCode>> = {
    ambiguousRefresh: 'ERR_OAUTH2_AMBIGUOUS_REFRESH',
    storeRolledBack: 'ERR_OAUTH2_STORE_ROLLED_BACK',
  };
  return {
    class: classify(error),
    code: codes[settlement.reason] ?? error.code,
    message: error.message,
    at: now,
  };
}

export type RejectionPolicy = Decision<'refresh' | 'keep'>;

/**
 * Whether to refresh on a caller's word alone, when no endpoint can confirm the rejection: once per generation, and not
 * when this generation was itself obtained on such a word and is still in the first half of its life.
 */
export function decideUnconfirmedRejection(record: CredentialRecord, now: Date): RejectionPolicy {
  const life = lifeOf(record);
  const young =
    life !== null && now.getTime() - life.issuedAt.getTime() < (life.expiresAt.getTime() - life.issuedAt.getTime()) / 2;
  const keep = record.generationReason === 'rejectedByApi' && (young || life === null);
  return { decision: keep ? 'keep' : 'refresh', reason: keep ? record.reason : 'rejectedByApi' };
}
