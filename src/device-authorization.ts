import type { AwaitOptions, DeviceAuthorization, DeviceAuthorizationOutcome } from './client.ts';
import type { CredentialEngine } from './engine.ts';
import { ConfigurationError, isCredentialError } from './errors.ts';
import { systemClock, type Clock } from './ports.ts';

type Engine = Pick<CredentialEngine, 'authorize' | 'reauthorize' | 'get'>;

/** Begins a sign-in by a code that a person enters elsewhere (RFC 8628). The device code itself stays sealed in the engine. */
export async function beginDeviceAuthorization(engine: Engine, credentialId: string): Promise<DeviceAuthorization> {
  const begun = await engine.authorize(credentialId);
  if (begun.kind !== 'device') throw unsupported(credentialId);
  const { authorizationId, userCode, verificationUri, verificationUriComplete, expiresAt } = begun;
  return { credentialId, authorizationId, userCode, verificationUri, verificationUriComplete, expiresAt };
}

/**
 * Waits until the person has decided, the code has expired, or the limit is reached. The limit ends the wait between two
 * questions only: an answer that is under way may be the grant, and it comes once.
 */
export async function awaitDeviceAuthorization(
  engine: Engine,
  { id, authorizationId }: { readonly id: string; readonly authorizationId: string },
  { limitMs = Number.POSITIVE_INFINITY, signal }: AwaitOptions = {},
  clock: Clock = systemClock,
): Promise<DeviceAuthorizationOutcome> {
  const limit = new AbortController();
  const startedAtMs = clock.hostTime().ms;
  const onPending = (): void => {
    if (clock.hostTime().ms - startedAtMs >= limitMs)
      limit.abort(new DOMException('The limit is reached.', 'AbortError'));
  };
  const signals = [limit.signal, ...(signal ? [signal] : [])];
  try {
    const answer = { signal: AbortSignal.any(signals), onPending };
    const { credential, advice } = await engine.reauthorize(id, { authorizationId }, answer);
    return { status: 'authorized', credential, advice };
  } catch (error) {
    const status = limit.signal.aborted && !isCredentialError(error) ? 'waiting' : endingOf(error);
    if (status === null) throw error;
    return { status, credential: await engine.get(id), advice: null };
  }
}

function endingOf(error: unknown): 'denied' | 'expired' | null {
  if (!isCredentialError(error)) return null;
  if (error.code === 'ERR_AUTHORIZATION_DENIED') return 'denied';
  return error.code === 'ERR_AUTHORIZATION_EXPIRED' ? 'expired' : null;
}

function unsupported(credentialId: string): ConfigurationError {
  const message = 'Nobody signs in for this credential by a code on another device.';
  return new ConfigurationError('ERR_AUTHORIZATION_UNSUPPORTED', message, { credentialId });
}
