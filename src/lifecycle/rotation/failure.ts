import { toCredentialError, type CredentialError } from '../../errors.ts';
import type { CredentialRecord, SecretPointer } from '../credential.ts';
import { driverInput, newId, openRecord, type Surroundings } from '../effects.ts';
import { classify } from '../failure-classes.ts';
import { owe } from '../revocations.ts';
import type { Rotating } from './contract.ts';
import { stepRetryAt } from './policy.ts';
import type { RotationFailure, RotationProgress, RotationReason } from './progress.ts';
import { rotationOf, write, type Step, type StepWrite } from './write.ts';

/** So often the other side may refuse one candidate. */
export const POISONED_AFTER = 3;
/** So many candidates one rotation tries. */
const CANDIDATES = 3;
/** So many failures in a row for a passing cause are told once. */
const TOLD_AFTER = 5;

/**
 * What follows from a step that failed. Refused: the same candidate again, after three times another one, after three of
 * those nothing until a person asks. Misconfigured: nothing until then. Anything else is tried again, without end.
 */
export async function settleStepFailed(
  surroundings: Surroundings,
  step: Step,
  error: CredentialError,
): Promise<Rotating> {
  const now = surroundings.ports.clock.now();
  const failure: RotationFailure = { code: error.code, message: error.message, at: now };
  if (error.code === 'ERR_ROTATION_CANDIDATE_REFUSED') return refused(surroundings, step, failure, error);
  if (classify(error) !== 'transient') return dropCandidate(surroundings, step, failure);
  return tryLater(surroundings, step, error);
}

async function tryLater(surroundings: Surroundings, step: Step, error: CredentialError): Promise<Rotating> {
  const now = surroundings.ports.clock.now();
  return write(surroundings, step, (record) => {
    const { rotation } = record;
    const failure = { code: error.code, message: error.message, at: now };
    const failedTries = rotation.failedTries + 1;
    return {
      changes: {
        rotation: { ...rotation, failedTries, failure },
        rotationDueAt: stepRetryAt(record, rotation.failedTries, error, now),
      },
      waits: true,
      events: failedTries === TOLD_AFTER ? [{ type: 'rotation.failed', reason: 'transientFailure' }] : [],
    };
  });
}

/**
 * A refused `set` has changed nothing, so the candidate goes back to where it came from and callers get what is in use. A
 * refused `test` is tried again beside a secret that works; where there is no other, nobody can use the credential
 * meanwhile, and the candidate is given up at once.
 */
async function refused(
  surroundings: Surroundings,
  step: Step,
  failure: RotationFailure,
  error: CredentialError,
): Promise<Rotating> {
  const now = surroundings.ports.clock.now();
  return write(surroundings, step, (record) => {
    const { rotation } = record;
    const isOnly = rotation.overlap === 'none' && rotation.state !== 'setting';
    const refusals = isOnly ? POISONED_AFTER : rotation.refusals + 1;
    const poisoned = refusals >= POISONED_AFTER;
    const state = rotation.state === 'setting' ? 'creating' : rotation.state;
    const retryAt = stepRetryAt(record, rotation.refusals, error, now);
    return {
      changes: { rotation: { ...rotation, state, refusals, failure }, rotationDueAt: poisoned ? now : retryAt },
      waits: !poisoned,
    };
  });
}

/**
 * Gives a candidate up: what is in use stays in use, and the candidate is ended at the other side, now or later. Where there
 * is only one secret and the candidate may be it, the one in use is brought back first: until then nobody gets either.
 */
export async function dropCandidate(
  surroundings: Surroundings,
  step: Step,
  failure?: RotationFailure,
): Promise<Rotating> {
  const { next, rotation } = step.record;
  if (next !== null && rotation.overlap === 'none' && rotation.state !== 'creating') {
    try {
      await bringBack(surroundings, step, next);
    } catch (error) {
      const passing = toCredentialError(error);
      if (passing.name === 'StorageError' || passing.name === 'KeyRingError') throw error;
      return tryLater(surroundings, step, passing);
    }
  }
  if (next !== null && rotation.overlap !== 'none' && rotation.direction === 'forward') {
    await owe(surroundings, step.record, next);
  }
  return write(surroundings, step, (current) => dropped(surroundings, current, failure));
}

async function bringBack(surroundings: Surroundings, { record, signal }: Step, next: SecretPointer): Promise<void> {
  const opened = await openRecord(surroundings, record);
  const retired = await surroundings.vault.get(record, next);
  await rotationOf(opened.driver).retire({ ...driverInput(opened, signal), retired });
}

function dropped({ ports }: Surroundings, record: CredentialRecord, failure?: RotationFailure): StepWrite {
  const { rotation } = record;
  const isLast = failure !== undefined || rotation.candidate >= CANDIDATES || rotation.direction === 'back';
  const reason: RotationReason = failure ? 'configurationFailure' : isLast ? 'candidatesExhausted' : 'candidateRefused';
  const told = isLast || rotation.candidate === 1;
  const shared = { refusals: 0, failedTries: 0, grant: null, probedAt: null };
  const next: RotationProgress = isLast
    ? { ...rotation, ...shared, state: 'failed', attemptId: null, reason, failure: failure ?? exhausted(rotation) }
    : { ...rotation, ...shared, state: 'creating', attemptId: newId(ports), candidate: rotation.candidate + 1 };
  return {
    changes: { next: null, rotation: next, ...(isLast && { rotationDueAt: null }) },
    events: told ? [{ type: 'rotation.failed', reason }] : [],
  };
}

function exhausted({ failure }: RotationProgress): RotationFailure | null {
  return failure && { ...failure, code: 'ERR_ROTATION_CANDIDATES_EXHAUSTED' };
}
