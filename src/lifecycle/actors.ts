import { fromPromise } from 'xstate';
import { isCredentialError, toCredentialError } from '../errors.ts';
import type { Surroundings } from './effects.ts';
import type { ClaimInput, Outcome, RevokeInput, SendInput } from './machine.ts';
import { claimRefresh, sendRefresh } from './refresh.ts';
import { revokeCredential } from './revoke.ts';
import type { RotationOutcome, StepInput } from './rotation/contract.ts';
import { runStep } from './rotation/run.ts';

type Interrupted = Extract<Outcome, { outcome: 'interrupted' }>;

const IN_PROGRESS: Interrupted = {
  outcome: 'interrupted',
  interruption: { code: 'ERR_REFRESH_IN_PROGRESS', message: 'Another process took this refresh over.' },
};

/** A holder that was superseded finds its successor at work: that is no state to rest in. */
function isUnderWay(outcome: Outcome): boolean {
  return outcome.outcome === 'settled' && /^refreshing\.(claimed|sent)$/.test(outcome.state);
}

/** The machine's effects. An error becomes an outcome of code and sentence: nothing else may sit in a snapshot. */
export function createActors(surroundings: Surroundings) {
  const guarded = async <O>(operation: () => Promise<O>): Promise<O | Interrupted> => {
    try {
      return await operation();
    } catch (error) {
      const { code, message } = toCredentialError(error);
      if (!isCredentialError(error))
        surroundings.ports.logger.error({ code, err: toCredentialError(error) }, 'An effect failed unexpectedly.');
      return { outcome: 'interrupted', interruption: { code, message } };
    }
  };
  const settled = async (operation: () => Promise<Outcome>): Promise<Outcome> => {
    const outcome = await guarded(operation);
    return isUnderWay(outcome) ? IN_PROGRESS : outcome;
  };
  const rotationStep = fromPromise<RotationOutcome, StepInput>(({ input, signal }) =>
    guarded(() => runStep(surroundings, input, signal)),
  );
  return {
    claimRefresh: fromPromise<Outcome, ClaimInput>(({ input, signal }) =>
      settled(() => claimRefresh(surroundings, input, signal)),
    ),
    sendRefresh: fromPromise<Outcome, SendInput>(({ input, signal }) =>
      settled(() => sendRefresh(surroundings, input, signal)),
    ),
    revokeCredential: fromPromise<Outcome, RevokeInput>(({ input, signal }) =>
      settled(() => revokeCredential(surroundings, input, signal)),
    ),
    createCandidate: rotationStep,
    setCandidate: rotationStep,
    testCandidate: rotationStep,
    finishRotation: rotationStep,
    retirePrevious: rotationStep,
  };
}
