import * as client from 'openid-client';
import { z } from 'zod/v4';
import { isCredentialError, ProtocolError, ReauthorizationRequiredError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import { refusalOf } from './authorization-code.ts';
import { dpopKeySchema } from './dpop.ts';
import { translateOAuth2Error } from './errors.ts';
import {
  checkingConfigurationOf,
  configurationOf,
  dpopOptions,
  hostOf,
  tokenParameters,
  type Exchange,
  type TokenResponse,
} from './request.ts';
import { signInParametersOf } from './sign-in-parameters.ts';

/** What the first half of a device authorization leaves for the second. The code is SECRET. */
export const begunDeviceSchema = z.strictObject({
  kind: z.literal('device'),
  deviceCode: z.string(),
  intervalMs: z.number(),
  expiresAt: z.iso.datetime().transform((text) => new Date(text)),
  dpopKey: dpopKeySchema.nullable(),
});
export type BegunDevice = z.output<typeof begunDeviceSchema>;

export interface DeviceAuthorization {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly verificationUri: string;
  readonly verificationUriComplete: string | null;
  readonly intervalMs: number;
  readonly lifetimeMs: number;
}

const GRANT_TYPE = 'urn:ietf:params:oauth:grant-type:device_code';
const DEFAULT_INTERVAL_MS = 5_000;
const SLOW_DOWN_MS = 5_000;
const LONGEST_INTERVAL_MS = 60_000;
const LONGEST_LIFETIME_MS = 3_600_000;

/** Device authorization request, RFC 8628 §3.1. */
export async function deviceAuthorizationRequest(exchange: Exchange): Promise<DeviceAuthorization> {
  const { config } = exchange;
  const host = hostOf(exchange);
  const response = await translated(host, async () =>
    client.initiateDeviceAuthorization(
      configurationOf(exchange),
      tokenParameters({ ...config, scope: signInParametersOf(config).scope }),
    ),
  );
  const { verification_uri: uri, verification_uri_complete: complete, interval, expires_in: expiresIn } = response;
  requireShowable(response.user_code, uri, complete, { host, allowInsecureTransport: config.allowInsecureTransport });
  return {
    deviceCode: response.device_code,
    userCode: response.user_code,
    verificationUri: uri,
    verificationUriComplete: complete ?? null,
    intervalMs: interval === undefined ? DEFAULT_INTERVAL_MS : Math.min(interval * 1000, LONGEST_INTERVAL_MS),
    lifetimeMs: Math.min(expiresIn * 1000, LONGEST_LIFETIME_MS),
  };
}

/** Code and links go to a terminal and to a browser: only what can do no harm there is passed on. */
function requireShowable(
  userCode: string,
  uri: string,
  complete: string | undefined,
  { host, allowInsecureTransport }: { host: string; allowInsecureTransport: boolean },
): void {
  const schemes = allowInsecureTransport ? ['https:', 'http:'] : ['https:'];
  const isLink = (text: string): boolean =>
    schemes.includes(URL.parse(text)?.protocol ?? '') && !/[^\x21-\x7e]/.test(text);
  if (/^[\x20-\x7e]{1,64}$/.test(userCode) && isLink(uri) && (complete === undefined || isLink(complete))) return;
  throw new ProtocolError('ERR_OAUTH2_RESPONSE_INVALID', `${host} gave a code or link that cannot be shown.`);
}

/**
 * Asks for the token until the person has decided (RFC 8628 §3.4): at the server's pace, slower when it says so, and slower
 * still when it does not answer.
 *
 * @throws CredentialError `ERR_AUTHORIZATION_EXPIRED`, `ERR_AUTHORIZATION_DENIED`, or the codes of token requests
 */
export async function pollDeviceToken(
  exchange: Exchange,
  begun: BegunDevice,
  { clock, onPending }: { clock: Clock; onPending: () => void },
): Promise<TokenResponse> {
  for (let { intervalMs } = begun; ;) {
    await pause(clock, intervalMs, exchange.signal);
    if (clock.now() >= begun.expiresAt) throw expired();
    const outcome = await deviceTokenRequest(exchange, begun.deviceCode);
    if (typeof outcome !== 'string') return outcome;
    if (outcome === 'slowDown') intervalMs += SLOW_DOWN_MS;
    if (outcome === 'unanswered') intervalMs = Math.min(intervalMs * 2, LONGEST_INTERVAL_MS);
    onPending();
  }
}

async function deviceTokenRequest(
  exchange: Exchange,
  deviceCode: string,
): Promise<TokenResponse | 'pending' | 'slowDown' | 'unanswered'> {
  const host = hostOf(exchange);
  try {
    return await translated(host, async () => {
      const configuration = checkingConfigurationOf(exchange);
      const parameters = new URLSearchParams({ device_code: deviceCode });
      for (const resource of exchange.config.resources ?? []) parameters.append('resource', resource);
      return client.genericGrantRequest(
        configuration,
        GRANT_TYPE,
        parameters,
        await dpopOptions(exchange, configuration),
      );
    });
  } catch (error) {
    if (error instanceof Undecided) return error.outcome;
    if (isCredentialError(error) && error.name === 'TransientError' && !exchange.signal.aborted) return 'unanswered';
    throw error;
  }
}

/** Not an error: the person has not decided yet. */
class Undecided extends Error {
  readonly outcome: 'pending' | 'slowDown';

  constructor(outcome: 'pending' | 'slowDown') {
    super(outcome);
    this.outcome = outcome;
  }
}

async function translated<T>(host: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    const code = error instanceof client.ResponseBodyError ? error.error : null;
    if (code === 'authorization_pending') throw new Undecided('pending');
    if (code === 'slow_down') throw new Undecided('slowDown');
    if (code === 'expired_token') throw expired();
    if (code === 'access_denied') throw refusalOf(code, host);
    throw translateOAuth2Error(error, host);
  }
}

function expired(): ReauthorizationRequiredError {
  return new ReauthorizationRequiredError('ERR_AUTHORIZATION_EXPIRED', 'Nobody signed in while the code was valid.');
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const cancel = clock.schedule(
    ms,
    () => {
      resolve(undefined);
    },
    { keepAlive: true },
  );
  const onAbort = (): void => {
    cancel();
    reject(signal.reason instanceof Error ? signal.reason : new DOMException('Aborted', 'AbortError'));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
