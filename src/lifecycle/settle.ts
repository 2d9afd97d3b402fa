import { ReauthorizationRequiredError, toCredentialError, type CredentialError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Issued, RefreshTraits } from '../protocols/protocol.ts';
import type { Secret } from '../secret.ts';
import type { Claim } from '../storage/record-store.ts';
import { lifecycleStateOf, pointersOf, type CredentialRecord, type SecretPointer } from './credential.ts';
import {
  driverInput,
  eventsOf,
  openRecord,
  requireRecord,
  revised,
  settledAt,
  wait,
  type Opened,
  type Surroundings,
} from './effects.ts';
import type { EventType } from './events.ts';
import { attemptPointer, isOpen, type Attempt } from './journal.ts';
import { learnedLifeMs } from './learned-life.ts';
import { isAnswerLost, leavesDoubt } from './failure-classes.ts';
import { isTestable } from './health-policy.ts';
import type { Settled } from './machine.ts';
import { authorizationPointers } from './pending-authorization.ts';
import { isHeldBack } from './request-gate.ts';
import { proofChanges, replannedDueAt } from './rotation/policy.ts';
import { encodeSealedGrant } from './sealed-grant.ts';
import {
  recordedFailure,
  settleAnswerLost,
  settleExpired,
  settleFailed,
  settleRefreshed,
  type FailedAttempt,
  type Settlement,
} from './policy.ts';

const SEAL_TRIES = 5;
const SEAL_PAUSE_MS = 200;
const ATTEMPTS_TO_JUDGE = 20;
/** How long a holder may have been stopped between its check and its write. */
const LATE_REQUEST_MS = 300_000;

/** One refresh under way: what its outcome is written with. */
export interface UnderWay {
  readonly record: CredentialRecord;
  readonly attempt: Attempt;
  readonly claim: Claim;
}

/** A refresh that was answered. `opened` is what it was made with: a revocation meanwhile deletes the stored values. */
export interface Answered extends UnderWay {
  readonly issued: Issued;
  readonly opened?: Opened;
}

/** Stores the answer under the attempt's own name. */
export function sealGrant(
  surroundings: Surroundings,
  record: CredentialRecord,
  attempt: Pick<Attempt, 'generation' | 'attemptId'>,
  issued: Issued,
): Promise<void> {
  return putValue(surroundings, record, attemptPointer(attempt), encodeSealedGrant(issued));
}

/** Seals and stores a value that exists only in memory. */
export async function putValue(
  { ports, vault }: Surroundings,
  record: CredentialRecord,
  pointer: SecretPointer,
  value: Secret<JsonObject>,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await vault.put(record, pointer, value);
      return;
    } catch (error) {
      // The value exists only in memory: the write is tried again, the request never.
      if (tries >= SEAL_TRIES) throw error;
      ports.logger.error(
        { credentialId: record.id, code: toCredentialError(error).code },
        'A new grant could not be stored; trying again.',
      );
      await wait(ports, SEAL_PAUSE_MS, new AbortController().signal);
    }
  }
}

/** Points the record at the sealed answer. A newer generation that is already there wins; a revoked credential stays revoked. */
export async function commitGrant(surroundings: Surroundings, underWay: Answered): Promise<Settled> {
  const { records, ports } = surroundings;
  const { attempt, claim, issued } = underWay;
  const { grantExpiresAt = null, idleExpiresAt = null } = issued;
  const crowdMs = await surroundings.gate.crowdMs(underWay.record.endpoint);
  for (;;) {
    const record = await requireRecord(surroundings, attempt.credentialId);
    if (lifecycleStateOf(record.state) === 'revoked') return discardGrant(surroundings, record, underWay);
    if (record.generation >= attempt.generation) {
      await records.releaseClaim(claim);
      return settledAt(record);
    }
    const now = ports.clock.now();
    const { issuedAt, expiresAt, refreshable } = issued;
    const secretExpiresAt = issued.secretExpiresAt ?? record.secretExpiresAt;
    const learned = learnedLifeMs(record, attempt);
    const changes = {
      ...settleRefreshed(record.id, issued, { learnedLifeMs: learned, crowdMs }),
      learnedLifeMs: learned,
      rotationDueAt: replannedDueAt({ ...record, secretExpiresAt }, now),
      ...proofChanges(record, attempt.claimedAt, now),
      grant: attemptPointer(attempt),
      generation: attempt.generation,
      generationReason: attempt.reason,
      issuedAt,
      expiresAt,
      refreshable,
      grantExpiresAt,
      idleExpiresAt,
      secretExpiresAt,
      failedAttempts: 0,
      failure: null,
      notices: [],
      lastRefreshedAt: now,
    };
    const next = revised(record, { ...changes, ...surroundings.planHealth({ ...record, ...changes }, now) }, now);
    const troubled = record.failure !== null || record.notices.length > 0;
    const types: EventType[] = troubled ? ['credential.refreshed', 'credential.recovered'] : ['credential.refreshed'];
    const events = eventsOf(types, next, ports);
    const closed: Attempt = { ...attempt, phase: 'committed', closedAt: now };
    if (
      await records.compareAndSet({
        record: next,
        expectedRevision: record.revision,
        attempt: closed,
        release: claim,
        events,
      })
    ) {
      surroundings.behind.run(collectGarbage(surroundings, next, record.grant));
      return settledAt(next, events);
    }
  }
}

/** Deletes what nothing points at any more. Readers that hold the record before this one still find its grant. */
export async function collectGarbage(
  { vault, ports }: Surroundings,
  record: CredentialRecord,
  previous: CredentialRecord['grant'],
): Promise<void> {
  const kept = [...pointersOf(record), previous, ...authorizationPointers(record.authorizations)];
  const keep = kept.filter((pointer) => pointer !== null);
  try {
    await vault.collect(record, keep, record.generation);
  } catch (error) {
    // The grant is committed; what is left over goes with the next one.
    ports.logger.warn(
      { credentialId: record.id, code: toCredentialError(error).code },
      'Old values could not be deleted.',
    );
  }
}

/** The owner revoked while the request was in flight: what it brought is ended at the other side and not kept. */
async function discardGrant(
  surroundings: Surroundings,
  record: CredentialRecord,
  { attempt, claim, issued, opened }: Answered,
): Promise<Settled> {
  const { ports, records, vault } = surroundings;
  try {
    const known = opened ?? (await openRecord(surroundings, { ...record, grant: null }));
    await known.driver.revoke(driverInput({ ...known, grant: issued.grant }, new AbortController().signal));
  } catch (error) {
    ports.logger.error(
      { credentialId: record.id, code: toCredentialError(error).code },
      'A grant that arrived after a revocation could not be revoked.',
    );
    await records.releaseClaim(claim);
    return settledAt(record);
  }
  await vault.delete(record, attemptPointer(attempt));
  await records.releaseClaim(claim);
  return settledAt(record);
}

/** Records a refresh that brought no grant. */
export async function recordFailure(
  surroundings: Surroundings,
  { record, attempt, claim, failure, traits }: UnderWay & { failure: CredentialError; traits: RefreshTraits },
): Promise<Settled> {
  const now = surroundings.ports.clock.now();
  const sent = attempt.phase === 'sent';
  const singleUse = traits.spends !== null;
  const doubted = sent && singleUse && leavesDoubt(failure);
  const spentAt = attempt.spentAt ?? (doubted ? attempt.sentAt : null);
  const failed: FailedAttempt = {
    sent,
    singleUse,
    healing: attempt.healing,
    inDoubt: attempt.spentAt !== null || (singleUse && (await wasSuperseded(surroundings, record, attempt, now))),
    rolledBack: singleUse && (await wasRolledBack(surroundings, record)),
    spentAt: spentAt ?? (sent && singleUse && isAnswerLost(failure) ? attempt.sentAt : null),
    reuseGraceMs: traits.reuseGraceMs,
    deadlineMs: traits.deadlineMs,
  };
  const judged = attempt.reason === 'rejectionConfirmed' ? endedAt(record, now) : record;
  const settlement = settleFailed(judged, failure, failed, now);
  return writeFailure(
    surroundings,
    { record: judged, attempt: { ...attempt, spentAt }, claim },
    { settlement, failure, now },
  );
}

/**
 * Whether a request of a holder that was superseded may have come in after the present grant was given: such a request looks
 * like theft to the server, which then refuses the grant that is not to blame.
 */
async function wasSuperseded(
  { records }: Surroundings,
  { id, issuedAt }: CredentialRecord,
  { attemptId }: Attempt,
  now: Date,
): Promise<boolean> {
  const since = (issuedAt ?? now).getTime() - LATE_REQUEST_MS;
  const attempts = await records.attempts(id, ATTEMPTS_TO_JUDGE);
  return attempts.some(
    (other) =>
      other.attemptId !== attemptId &&
      (isOpen(other) || (other.phase === 'failed' && other.spentAt !== null)) &&
      (other.sentAt?.getTime() ?? 0) >= since,
  );
}

/** Whether the grant is older than the state that the store was put back to, or than one that the journal knows of. */
async function wasRolledBack({ records }: Surroundings, record: CredentialRecord): Promise<boolean> {
  const restoredAt = await records.getRestoredAt();
  if (restoredAt !== null && (record.issuedAt ?? record.createdAt) <= restoredAt) return true;
  const attempts = await records.attempts(record.id, ATTEMPTS_TO_JUDGE);
  return attempts.some(({ phase, generation }) => phase === 'committed' && generation > record.generation);
}

/** The other side itself said that it does not accept the token any more: whatever its expiry was, its life is over. */
function endedAt(record: CredentialRecord, now: Date): CredentialRecord {
  return record.expiresAt !== null && record.expiresAt < now ? record : { ...record, expiresAt: now };
}

/** Too early to present a token again that may be spent: the record says so and when it will be tried. */
export async function settleAmbiguous(
  surroundings: Surroundings,
  { refreshDueAt, ...underWay }: UnderWay & { refreshDueAt: Date },
): Promise<Settled> {
  const settlement = settleAnswerLost(refreshDueAt);
  return writeSettlement(surroundings, underWay, { settlement, changes: {}, types: [] });
}

/** The token was presented again and its answer was lost once more: no further try can be told from theft. */
export async function settleLost(surroundings: Surroundings, underWay: UnderWay): Promise<Settled> {
  const now = surroundings.ports.clock.now();
  const failure = new ReauthorizationRequiredError(
    'ERR_OAUTH2_AMBIGUOUS_REFRESH',
    'Two refreshes in a row were sent and never answered.',
  );
  const failed = {
    sent: true,
    singleUse: true,
    healing: true,
    inDoubt: true,
    spentAt: null,
    rolledBack: false,
    reuseGraceMs: 0,
    deadlineMs: 0,
  };
  return writeFailure(surroundings, underWay, {
    settlement: settleFailed(underWay.record, failure, failed, now),
    failure,
    now,
  });
}

/** The end of a life that nothing can prolong. */
export async function expireRecord(
  surroundings: Surroundings,
  record: CredentialRecord,
  claim: Claim,
): Promise<Settled> {
  const { records, ports } = surroundings;
  const settlement = settleExpired(record, ports.clock.now());
  const arrivals = arrivalEvents(record, settlement);
  const changes = { ...settlement, ...testsOf(record, settlement), notices: [...record.notices, ...arrivals] };
  const next = revised(record, changes, ports.clock.now());
  const events = eventsOf([...new Set<EventType>(['credential.expired', ...arrivals])], next, ports);
  const written = await records.compareAndSet({
    record: next,
    expectedRevision: record.revision,
    claim,
    release: claim,
    events,
  });
  return written ? settledAt(next, events) : settledAt(await requireRecord(surroundings, record.id));
}

async function writeFailure(
  surroundings: Surroundings,
  underWay: UnderWay,
  { settlement, failure, now }: { settlement: Settlement; failure: CredentialError; now: Date },
): Promise<Settled> {
  const { record } = underWay;
  // Nothing was sent: no failure of the credential, and no reason to wait longer the next time.
  if (isHeldBack(failure)) {
    const changes = settlement.state === 'valid.fresh' ? {} : { failure: recordedFailure(failure, settlement, now) };
    return writeSettlement(surroundings, underWay, { settlement, changes, types: [] });
  }
  const changes = {
    failedAttempts: record.failedAttempts + 1,
    failure: recordedFailure(failure, settlement, now),
  };
  return writeSettlement(surroundings, underWay, { settlement, changes, types: ['refresh.failed'] });
}

async function writeSettlement(
  surroundings: Surroundings,
  { record: seen, attempt, claim }: UnderWay,
  {
    settlement,
    changes,
    types,
  }: { settlement: Settlement; changes: Partial<CredentialRecord>; types: readonly EventType[] },
): Promise<Settled> {
  const { records, ports } = surroundings;
  for (let record = seen; ;) {
    const now = ports.clock.now();
    const arrivals = arrivalEvents(record, settlement);
    const notices = [...record.notices, ...arrivals];
    const tests = testsOf(record, settlement);
    const next = revised(record, { ...settlement, ...tests, ...changes, expiresAt: seen.expiresAt, notices }, now);
    const events = eventsOf([...types, ...arrivals], next, ports);
    // An attempt whose answer was lost stays open: it is what tells the next holder that a token may be spent.
    const closed: Attempt =
      settlement.reason === 'answerLost' ? attempt : { ...attempt, phase: 'failed', closedAt: now };
    const expectedRevision = record.revision;
    if (await records.compareAndSet({ record: next, expectedRevision, claim, release: claim, attempt: closed, events }))
      return settledAt(next, events);
    const stored = await requireRecord(surroundings, record.id);
    // Superseded, or revoked: the store is right. An edit without a claim (health, settings) is built upon.
    const isEdit = stored.revision !== expectedRevision && stored.generation === seen.generation;
    if (!isEdit || lifecycleStateOf(stored.state) === 'revoked') {
      await records.releaseClaim(claim);
      return settledAt(stored);
    }
    record = stored;
  }
}

/** What is not valid any more is not tested by schedule: its question is open already. */
function testsOf({ pausedAt }: CredentialRecord, { state }: Settlement): Partial<CredentialRecord> {
  return isTestable({ state, pausedAt }) ? {} : { testDueAt: null };
}

const ARRIVALS: Partial<Record<CredentialRecord['state'], EventType>> = {
  'valid.degraded': 'credential.degraded',
  'expired.needsUser': 'credential.needsUser',
  'expired.retrying': 'credential.expired',
  'pending.misconfigured': 'credential.misconfigured',
  'revoked.upstream': 'credential.revoked',
};

/** The event of a state that people must hear about, once per episode. */
function arrivalEvents(record: CredentialRecord, settlement: Settlement): EventType[] {
  const type = ARRIVALS[settlement.state];
  return type === undefined || record.notices.includes(type) ? [] : [type];
}
