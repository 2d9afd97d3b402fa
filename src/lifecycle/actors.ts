import { fromPromise } from 'xstate';
import { isCredentialError, toCredentialError } from '../errors.ts';
import type { Surroundings } from './effects.ts';
import type { ClaimInput, Outcome, RevokeInput, SendInput } from './machine.ts';
import { claimRefresh, sendRefresh } from './refresh.ts';
import { revokeCredential } from './revoke.ts';

const IN_PROGRESS: Outcome = {
  outcome: 'interrupted',
  interruption: { code: 'ERR_REFRESH_IN_PROGRESS', message: 'Another process took this refresh over.' },
};

/** A holder that was superseded finds its successor at work: that is no state to rest in. */
function isUnderWay(outcome: Outcome): boolean {
  return outcome.outcome === 'settled' && /^refreshing\.(claimed|sent)$/.test(outcome.state);
}

/** The machine's effects. An error becomes an outcome of code and sentence: nothing else may sit in a snapshot. */
export function createActors(surroundings: Surroundings) {
  const guarded = async (operation: () => Promise<Outcome>): Promise<Outcome> => {
    try {
      const outcome = await operation();
      return isUnderWay(outcome) ? IN_PROGRESS : outcome;
    } catch (error) {
      const { code, message } = toCredentialError(error);
      if (!isCredentialError(error))
        surroundings.ports.logger.error({ code, err: toCredentialError(error) }, 'An effect failed unexpectedly.');
      return { outcome: 'interrupted', interruption: { code, message } };
    }
  };
  return {
    claimRefresh: fromPromise<Outcome, ClaimInput>(({ input, signal }) =>
      guarded(() => claimRefresh(surroundings, input, signal)),
    ),
    sendRefresh: fromPromise<Outcome, SendInput>(({ input, signal }) =>
      guarded(() => sendRefresh(surroundings, input, signal)),
    ),
    revokeCredential: fromPromise<Outcome, RevokeInput>(({ input, signal }) =>
      guarded(() => revokeCredential(surroundings, input, signal)),
    ),
  };
}
