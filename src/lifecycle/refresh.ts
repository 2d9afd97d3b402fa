import { TransientError, toCredentialError, type CredentialError } from '../errors.ts';
import { endpointKey, type RefreshTraits } from '../protocols/protocol.ts';
import type { Claim } from '../storage/record-store.ts';
import { lifecycleStateOf, type CredentialRecord } from './credential.ts';
import {
  driverInput,
  newId,
  openRecord,
  requireRecord,
  revised,
  settledAt,
  wait,
  type Opened,
  type Surroundings,
} from './effects.ts';
import { HeldClaim, LEASE_MS } from './held-claim.ts';
import { attemptPointer, isOpen, needsHealing, perhapsSpentAt, type Attempt } from './journal.ts';
import type { ClaimInput, Outcome, SendInput, Settled } from './machine.ts';
import { healAt, isBackingOff, isWithinGrace } from './policy.ts';
import { recoverAuthorizations } from './authorization-recovery.ts';
import { blocksUse } from './rotation/progress.ts';
import { parseSealedGrant } from './sealed-grant.ts';
import { commitGrant, recordFailure, settleAmbiguous, settleLost } from './settle.ts';
import { saveGrant, spooledAnswer } from './spool.ts';

const POLL_MS = 50;
const LONGEST_WAIT_MS = 30_000;
/** What must be left of the claim in the turn in which the request is written. */
const LEFT_TO_SEND_MS = 1_000;
const SEND_TRIES = 3;
/** Another holder took the claim before the intent was written. */
const CLAIM_LOST = Symbol('claim lost');

/**
 * Takes the credential for one refresh and writes the intent down. Ends without a claim when another holder answered the
 * question meanwhile, when an earlier answer only had to be pointed at, or when it is too early to repeat a spent token.
 */
export async function claimRefresh(
  surroundings: Surroundings,
  input: ClaimInput,
  signal: AbortSignal,
): Promise<Outcome> {
  for (;;) {
    const claim = input.claim ?? (await takeClaim(surroundings, input, signal));
    if ('outcome' in claim) return claim;
    try {
      const outcome = await claimedRefresh(surroundings, input, claim);
      if (outcome !== CLAIM_LOST) return outcome;
    } catch (error) {
      // A claim of the scheduler runs out by itself: that paces what would otherwise fail again at once.
      if (input.claim === null) await surroundings.records.releaseClaim(claim);
      throw error;
    }
    // A caller waits for the other holder; the scheduler comes again.
    if (input.claim !== null) return IN_PROGRESS;
  }
}

async function takeClaim(surroundings: Surroundings, input: ClaimInput, signal: AbortSignal): Promise<Claim | Outcome> {
  const { records, owner, ports } = surroundings;
  const startedMs = ports.clock.hostTime().ms;
  for (;;) {
    const claim = await records.claim(input.credentialId, owner, LEASE_MS);
    if (claim) return claim;
    await wait(ports, POLL_MS, signal);
    const record = await requireRecord(surroundings, input.credentialId);
    if (record.generation > input.generation) return answeredAt(record);
    if (ports.clock.hostTime().ms - startedMs > LONGEST_WAIT_MS) {
      return IN_PROGRESS;
    }
  }
}

async function claimedRefresh(
  surroundings: Surroundings,
  input: ClaimInput,
  claim: Claim,
): Promise<Outcome | typeof CLAIM_LOST> {
  const { records, ports } = surroundings;
  // A row read before the claim is stale.
  const record = await recoverAuthorizations(
    surroundings,
    await requireRecord(surroundings, input.credentialId),
    claim,
  );
  const now = ports.clock.now();
  if (isAnswered(record, input, now)) {
    await records.releaseClaim(claim);
    return answeredAt(record);
  }
  // The only secret is being replaced: whoever waits for that comes again.
  if (blocksUse(record.rotation)) {
    await records.releaseClaim(claim);
    return ROTATING;
  }
  const spooled = await spooledAnswer(surroundings, record);
  if (spooled) {
    const settled = await commitGrant(surroundings, { record, claim, ...spooled });
    await surroundings.spool?.drop(record.id, attemptPointer(spooled.attempt));
    return settled;
  }
  const opened = await openRecord(surroundings, record);
  const traits = opened.driver.refreshTraits(plain(opened));
  const lastEver = await records.lastAttempt(record.id);
  const last = lastEver?.generation === record.generation + 1 ? lastEver : null;
  const open = isOpen(last) ? last : null;
  if (open) {
    const recovered = await recoverAttempt(surroundings, record, open, traits, claim);
    if (recovered) return recovered;
  }
  const endpoint = endpointKey(opened.driver.endpoint(record.config));
  return writeIntent(surroundings, record, input, claim, { traits, last, endpoint });
}

/** The machine's view of an answer by another holder, who may be at the next refresh already: to this machine that one is open. */
function answeredAt(record: CredentialRecord): Settled {
  const settled = settledAt(record);
  return isUnderWay(record) ? { ...settled, state: 'refreshing.ambiguous' } : settled;
}

function isUnderWay({ state }: Pick<CredentialRecord, 'state'>): boolean {
  return state === 'refreshing.claimed' || state === 'refreshing.sent';
}

const IN_PROGRESS: Outcome = {
  outcome: 'interrupted',
  interruption: { code: 'ERR_REFRESH_IN_PROGRESS', message: 'Another process is still refreshing this credential.' },
};

const ROTATING: Outcome = {
  outcome: 'interrupted',
  interruption: { code: 'ERR_ROTATION_IN_PROGRESS', message: 'The secret of this credential is being replaced.' },
};

/** Whether somebody else's refresh, or its recorded failure, already is the answer. A person's own request is always made. */
function isAnswered(record: CredentialRecord, input: ClaimInput, now: Date): boolean {
  if (record.generation > input.generation || lifecycleStateOf(record.state) === 'revoked') return true;
  if (record.state === 'pending.authorizing') return true;
  if (input.reason !== 'refreshRequested' && needsPerson(record)) return true;
  const backingOff = isBackingOff(record, now);
  return input.reason !== 'refreshRequested' && backingOff && lifecycleStateOf(record.state) !== 'refreshing';
}

/** No request of the engine's own can help here: what failed is for a person to put right. */
function needsPerson({ state }: CredentialRecord): boolean {
  return state === 'expired.needsUser' || state === 'pending.misconfigured' || state === 'valid.degraded';
}

/** What to do about an attempt whose outcome was never recorded; `null` when the refresh may be made (again). */
async function recoverAttempt(
  surroundings: Surroundings,
  record: CredentialRecord,
  open: Attempt & { sentAt: Date },
  traits: RefreshTraits,
  claim: Claim,
): Promise<Settled | null> {
  const { vault, ports } = surroundings;
  const answer = await vault.find(record, attemptPointer(open));
  if (answer) return commitGrant(surroundings, { record, attempt: open, claim, issued: parseSealedGrant(answer) });
  if (open.tokenFingerprint === null) return null;
  const now = ports.clock.now();
  const spentAt = open.spentAt ?? open.sentAt;
  if (open.healing && !isWithinGrace(traits.reuseGraceMs, spentAt, now)) {
    return settleLost(surroundings, { record, attempt: open, claim });
  }
  const refreshDueAt = healAt(traits, { spentAt, sentAt: open.sentAt }, now);
  return now < refreshDueAt ? settleAmbiguous(surroundings, { record, attempt: open, claim, refreshDueAt }) : null;
}

async function writeIntent(
  surroundings: Surroundings,
  record: CredentialRecord,
  input: ClaimInput,
  claim: Claim,
  { traits, last, endpoint }: { traits: RefreshTraits; last: Attempt | null; endpoint: string },
): Promise<Outcome | typeof CLAIM_LOST> {
  const { records, vault, ports } = surroundings;
  const now = ports.clock.now();
  const attempt: Attempt = {
    attemptId: newId(ports),
    credentialId: record.id,
    generation: record.generation + 1,
    fence: claim.fence,
    phase: 'claimed',
    reason: input.reason,
    tokenFingerprint:
      traits.spends === null ? null : vault.keyedHash('token-fingerprint', traits.spends.unwrap()).toString('hex'),
    healing: last !== null && needsHealing(last),
    spentAt: last && perhapsSpentAt(last),
    claimedAt: now,
    sentAt: null,
    closedAt: null,
  };
  // Due from now on: when this holder dies, any scheduler takes over as soon as the claim has run out.
  const next = revised(record, { state: 'refreshing.claimed', reason: input.reason, refreshDueAt: now, endpoint }, now);
  const written = await records.compareAndSet({ record: next, expectedRevision: record.revision, claim, attempt });
  if (written) return { outcome: 'claimed', claim, attemptId: attempt.attemptId };
  // Somebody wrote without a claim, for example a revocation: look again. Or the claim is over: whoever looked again with that
  // would do so until its next holder has an answer, and for ever when that one has died.
  return (await records.renewClaim(claim, LEASE_MS)) ? claimedRefresh(surroundings, input, claim) : CLAIM_LOST;
}

/** Another holder has the credential now; nothing was sent. */
class ClaimLost extends Error {}

/** The process was held up between the journal and the write, and its claim may be over; nothing was sent. */
class HeldUp extends Error {}

/** Makes the request, seals its answer, then points the record at it: the new token is stored before anybody gets it. */
export async function sendRefresh(surroundings: Surroundings, input: SendInput, signal: AbortSignal): Promise<Outcome> {
  const { records } = surroundings;
  const { claim } = input;
  const record = await requireRecord(surroundings, input.credentialId);
  const attempt = await records.lastAttempt(record.id);
  if (claim === null || attempt?.attemptId !== input.attemptId) return settledAt(record);
  const opened = await openRecord(surroundings, record);
  const held = new HeldClaim(surroundings, claim);
  const stopRenewal = held.keep();
  try {
    const outcome = await sentRefresh(surroundings, { opened, attempt, held }, signal);
    // Superseded, and the successor has not ended yet: no outcome of ours, and nothing that its caller could not wait for.
    return outcome.outcome === 'settled' && isUnderWay(outcome) ? IN_PROGRESS : outcome;
  } finally {
    stopRenewal();
  }
}

async function sentRefresh(
  surroundings: Surroundings,
  { opened, attempt, held }: { opened: Opened; attempt: Attempt; held: HeldClaim },
  signal: AbortSignal,
): Promise<Outcome> {
  const { ports } = surroundings;
  const { claim } = held;
  let current = { record: opened.record, attempt };
  const beforeSend = async (): Promise<() => void> => {
    current = await writeSent(surroundings, attempt, held);
    return () => {
      if (!held.holds(LEFT_TO_SEND_MS)) throw new HeldUp();
    };
  };
  const traits = opened.driver.refreshTraits(plain(opened));
  try {
    const isUrgent = attempt.healing && traits.reuseGraceMs > 0;
    const passage = { isUrgent, isRequested: attempt.reason === 'refreshRequested' };
    return await surroundings.gate.pass(opened, passage, async () => {
      const issued = await sendInTime(() => opened.driver.refresh(driverInput(opened, signal), beforeSend));
      // Before anything else is written: until then the answer exists only in memory.
      return saveGrant(surroundings, { ...current, claim, issued, opened });
    });
  } catch (error) {
    if (error instanceof HeldUp) {
      const notSent = { ...current, attempt: { ...current.attempt, phase: 'claimed', sentAt: null } as const };
      return recordFailure(surroundings, { ...notSent, claim, failure: heldUpFailure(), traits });
    }
    if (error instanceof ClaimLost) return settledAt(await requireRecord(surroundings, opened.record.id));
    const failure: CredentialError = toCredentialError(error);
    if (failure.name === 'StorageError' || failure.name === 'KeyRingError') throw failure;
    ports.logger.warn({ credentialId: opened.record.id, code: failure.code }, 'A refresh failed.');
    return recordFailure(surroundings, { ...current, claim, failure, traits });
  }
}

/** A process that is held up connects and asks again, so that its claim is renewed or found to be lost. */
async function sendInTime<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof HeldUp) || tries >= SEND_TRIES) throw error;
    }
  }
}

function heldUpFailure(): TransientError {
  return new TransientError('ERR_REFRESH_HELD_UP', 'The process was held up right before it could send the request.');
}

/** Durable before the request leaves, and prolongs the claim. Refused when the claim or the record is not ours any more. */
async function writeSent(
  surroundings: Surroundings,
  attempt: Attempt,
  held: HeldClaim,
): Promise<{ record: CredentialRecord; attempt: Attempt }> {
  const { records, ports } = surroundings;
  for (;;) {
    const record = await requireRecord(surroundings, attempt.credentialId);
    if (record.generation >= attempt.generation || lifecycleStateOf(record.state) === 'revoked') throw new ClaimLost();
    const now = ports.clock.now();
    const sent: Attempt = { ...attempt, phase: 'sent', sentAt: now };
    const next = revised(record, { state: 'refreshing.sent' }, now);
    const change = { record: next, expectedRevision: record.revision, claim: held.claim, attempt: sent };
    if (await held.renewBy((leaseMs) => records.compareAndSet({ ...change, leaseMs })))
      return { record: next, attempt: sent };
    if (!(await held.renew())) throw new ClaimLost();
    // Refused by an edit without a claim (health, settings): build on it.
  }
}

function plain({ record, registered, grant }: Opened) {
  return { config: record.config, registered, grant };
}
