import { isCredentialError, toCredentialError } from '../../errors.ts';
import type { Claim } from '../../storage/record-store.ts';
import { lifecycleStateOf, type CredentialRecord } from '../credential.ts';
import { newId, requireRecord, wait, type Surroundings } from '../effects.ts';
import { HeldClaim, LEASE_MS } from '../held-claim.ts';
import { endPending, owe } from '../revocations.ts';
import type { Rotating, RotationOrder, RotationOutcome, StepInput } from './contract.ts';
import { replannedDueAt } from './policy.ts';
import { collectSecrets } from './promote.ts';
import { openStepOf, type RotationProgress, type RotationStep } from './progress.ts';
import { createStep, failStep, finishStep, setStep, testStep } from './steps.ts';
import { ClaimLost, rotationOf, write, type Step } from './write.ts';

const POLL_MS = 50;
const LONGEST_WAIT_MS = 30_000;

const STEPS: Readonly<Record<RotationStep, (surroundings: Surroundings, step: Step) => Promise<Rotating>>> = {
  creating: createStep,
  setting: setStep,
  testing: testStep,
  finishing: finishStep,
};

const IN_PROGRESS: RotationOutcome = {
  outcome: 'interrupted',
  interruption: { code: 'ERR_ROTATION_IN_PROGRESS', message: 'Another process is working on this credential.' },
};

/** Makes one step of a rotation under the credential's claim, the same that refreshes run under. */
export async function runStep(
  surroundings: Surroundings,
  input: StepInput,
  signal: AbortSignal,
): Promise<RotationOutcome> {
  const claim = input.claim ?? (await takeClaim(surroundings, input, signal));
  if (claim === null) return IN_PROGRESS;
  const stopRenewal = new HeldClaim(surroundings, claim).keep();
  try {
    return await endedStep(surroundings, await claimedStep(surroundings, input, claim, signal), input);
  } catch (error) {
    // A claim of the scheduler runs out by itself: that paces what would otherwise fail again at once.
    if (error instanceof ClaimLost || input.claim === null) await surroundings.records.releaseClaim(claim);
    if (!(error instanceof ClaimLost)) throw error;
    await endPending(surroundings, input.credentialId);
    return at(await requireRecord(surroundings, input.credentialId), null);
  } finally {
    stopRenewal();
  }
}

/** After the last step: what was let go of is ended. */
async function endedStep(
  surroundings: Surroundings,
  outcome: RotationOutcome,
  { credentialId }: StepInput,
): Promise<RotationOutcome> {
  const isOver =
    outcome.outcome === 'rotating' && outcome.claim === null && openStepOf({ state: outcome.rotation }) === null;
  if (isOver) await endPending(surroundings, credentialId);
  return outcome;
}

async function takeClaim(surroundings: Surroundings, input: StepInput, signal: AbortSignal): Promise<Claim | null> {
  const { records, owner, ports } = surroundings;
  const startedMs = ports.clock.hostTime().ms;
  for (;;) {
    const claim = await records.claim(input.credentialId, owner, LEASE_MS);
    if (claim) return claim;
    if (ports.clock.hostTime().ms - startedMs > LONGEST_WAIT_MS) return null;
    await wait(ports, POLL_MS, signal);
  }
}

async function claimedStep(
  surroundings: Surroundings,
  input: StepInput,
  claim: Claim,
  signal: AbortSignal,
): Promise<RotationOutcome> {
  // A row read before the claim is stale.
  const record = await requireRecord(surroundings, input.credentialId);
  const open = openStepOf(record.rotation);
  if (lifecycleStateOf(record.state) === 'revoked') return leave(surroundings, record, claim);
  if (open === null && input.order !== null) return begin(surroundings, record, input.order, claim);
  if (record.rotation.state === 'overlapping' && input.step === 'overlapping') {
    return retirePrevious(surroundings, { record, claim });
  }
  if (open === null) return leave(surroundings, record, claim);
  // Another holder came further meanwhile: from there on it is ours.
  if (open !== input.step) return at(record, claim);
  return tried(surroundings, { record, claim, signal, resumed: input.resumed }, STEPS[open]);
}

async function tried(
  surroundings: Surroundings,
  step: Step,
  run: (surroundings: Surroundings, step: Step) => Promise<Rotating>,
): Promise<Rotating> {
  try {
    return await run(surroundings, step);
  } catch (error) {
    const failure = toCredentialError(error);
    if (error instanceof ClaimLost || failure.name === 'StorageError' || failure.name === 'KeyRingError') throw error;
    if (!isCredentialError(error)) {
      surroundings.ports.logger.error({ code: failure.code, err: failure }, 'A driver failed unexpectedly.');
    }
    const record = await requireRecord(surroundings, step.record.id);
    return failStep(surroundings, { ...step, record }, failure);
  }
}

async function leave(surroundings: Surroundings, record: CredentialRecord, claim: Claim): Promise<Rotating> {
  await surroundings.records.releaseClaim(claim);
  return at(record, null);
}

function at({ rotation }: CredentialRecord, claim: Claim | null): Rotating {
  return { outcome: 'rotating', rotation: rotation.state, claim, resumed: true, granted: null, events: [] };
}

/** Writes down that a rotation begins. What an earlier one has left to end is ended first. */
async function begin(
  surroundings: Surroundings,
  record: CredentialRecord,
  order: RotationOrder,
  claim: Claim,
): Promise<RotationOutcome> {
  // Somebody else's rotation is the answer.
  if (record.registered.generation !== order.registered) return leave(surroundings, record, claim);
  if (order.direction === 'back' && record.previous === null) return leave(surroundings, record, claim);
  const { ports } = surroundings;
  const overlap = rotationOf(surroundings.drivers.driver(record.protocol)).overlap(record.config);
  const released = order.direction === 'forward' && record.rotation.state === 'overlapping' ? record.previous : null;
  if (released !== null) await owe(surroundings, record, released);
  await collectSecrets(surroundings, record.id);
  return write(surroundings, { record, claim }, (current) => ({
    changes: {
      previous: released === null ? current.previous : null,
      rotation: begun(current.rotation, order, { overlap, attemptId: newId(ports), startedAt: ports.clock.now() }),
    },
  }));
}

function begun(
  { rotatedAt }: RotationProgress,
  { direction, reason }: RotationOrder,
  first: Pick<RotationProgress, 'overlap' | 'attemptId' | 'startedAt'>,
): RotationProgress {
  const none = { refusals: 0, failedTries: 0, grant: null, probedAt: null, retireDueAt: null, failure: null };
  return { state: 'creating', direction, reason, rotatedAt, candidate: 1, ...first, ...none };
}

/** Ends the overlap: the secret before is owed to the list of pending revocations first, then let go, then ended. */
async function retirePrevious(
  surroundings: Surroundings,
  { record, claim }: Pick<Step, 'record' | 'claim'>,
): Promise<Rotating> {
  const { previous } = record;
  if (previous !== null) await owe(surroundings, record, previous);
  return write(surroundings, { record, claim }, (current) => {
    const rotation: RotationProgress = { ...current.rotation, state: 'idle', retireDueAt: null };
    const ended = { ...current, previous: null, rotation };
    return { changes: { ...ended, rotationDueAt: replannedDueAt(ended, surroundings.ports.clock.now()) } };
  });
}
