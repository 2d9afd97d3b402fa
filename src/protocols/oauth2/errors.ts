import type { JsonObject } from '../../json.ts';
import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client';
import {
  ConfigurationError,
  isCredentialError,
  ProtocolError,
  ReauthorizationRequiredError,
  TransientError,
  type CredentialError,
} from '../../errors.ts';
import { meaningOf, type Meaning, type Profile } from './profile.ts';

/**
 * Turns what openid-client throws into an error of the catalogue. The library's errors carry tokens and bodies in
 * `cause`, so nothing of them is kept but the OAuth error code (RFC 6749 §5.2) and the HTTP status.
 */
export function translateOAuth2Error(error: unknown, host: string): unknown {
  const own = ownError(error);
  if (own) return own;
  if (error instanceof ResponseBodyError) return fromErrorResponse(error.error, error.status, host);
  if (error instanceof WWWAuthenticateChallengeError) return fromStatus(error.status, host);
  // Whatever the body is, a refusal is an answer: the request was not carried out.
  if (error instanceof ClientError && error.cause instanceof Response && error.cause.status >= 400) {
    return fromStatus(error.cause.status, host);
  }
  // The caller's own end of the exchange: it says nothing about the answer, which never came.
  if (error instanceof ClientError && (error.code === 'OAUTH_TIMEOUT' || error.code === 'OAUTH_ABORT'))
    return new TransientError('ERR_ENDPOINT_TIMEOUT', `${host} did not answer in time.`);
  if (error instanceof ClientError && NEVER_SENT.has(error.code ?? '')) {
    return new ConfigurationError(
      'ERR_OAUTH2_DISCOVERY_FAILED',
      `The metadata of the issuer names no endpoint at ${host} that may be asked (${error.code ?? ''}).`,
    );
  }
  if (error instanceof ClientError || error instanceof AuthorizationResponseError)
    return invalidResponse(error.code, host);
  return error;
}

/** Before a request: the metadata has no such endpoint, or one that is neither https nor allowed to be http. */
const NEVER_SENT = new Set([
  'OAUTH_MISSING_SERVER_METADATA',
  'OAUTH_INVALID_SERVER_METADATA',
  'OAUTH_HTTP_REQUEST_FORBIDDEN',
  'OAUTH_REQUEST_PROTOCOL_FORBIDDEN',
]);

/** The same for a discovery request, where every refusal means that the issuer is not what it was taken for. */
export function translateDiscoveryError(error: unknown, host: string): unknown {
  const own = ownError(error);
  if (own) return own;
  if (!(
    error instanceof ClientError ||
    error instanceof ResponseBodyError ||
    error instanceof WWWAuthenticateChallengeError
  ))
    return error;
  return new ConfigurationError(
    'ERR_OAUTH2_DISCOVERY_FAILED',
    `${host} has no authorization server metadata under this issuer.`,
  );
}

/** What was thrown below the library, in the fetch that it was given: it wraps that in an error without a code. */
function ownError(error: unknown): unknown {
  if (isCredentialError(error)) return error;
  return error instanceof ClientError && error.code === undefined ? error.cause : undefined;
}

/**
 * A refusal as the error of whoever must act: by the vendor's own words where its profile knows them, else by the error
 * code (RFC 6749 §5.2). Nothing of the answer is kept but that code, when it is one.
 */
export function errorOfRefusal(
  members: JsonObject,
  { status, host, profile }: { status: number; host: string; profile: Profile },
): CredentialError {
  const { error } = members;
  const rule = meaningOf(profile, members, status);
  if (rule === null) return fromErrorResponse(typeof error === 'string' ? error : '', status, host);
  const said = rule.says === undefined ? '' : `: ${rule.says}`;
  const message = `${host} refused the token request${said || `: ${nameOf(error)}`} (HTTP ${String(status)}).`;
  const options = rule.retryAfterMs === undefined ? {} : { retryAfterMs: rule.retryAfterMs };
  return ERROR_OF_MEANING[rule.means](message, options);
}

const ERROR_OF_MEANING: Record<Meaning, (message: string, options: { retryAfterMs?: number }) => CredentialError> = {
  grantRefused: (message) => new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', message),
  clientRefused: (message) => new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', message),
  requestRefused: (message) => new ConfigurationError('ERR_OAUTH2_REQUEST_REFUSED', message),
  unavailable: (message, options) => new TransientError('ERR_ENDPOINT_UNAVAILABLE', message, options),
  rateLimited: (message, options) => new TransientError('ERR_ENDPOINT_RATE_LIMITED', message, options),
};

function nameOf(oauthError: unknown): string {
  return typeof oauthError === 'string' && /^[a-z_]{1,40}$/.test(oauthError) ? oauthError : 'an unknown error';
}

function fromErrorResponse(oauthError: string, status: number, host: string): CredentialError {
  const message = `${host} refused the token request: ${nameOf(oauthError)} (HTTP ${String(status)}).`;
  switch (oauthError) {
    case 'invalid_client':
      return new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', message);
    case 'invalid_grant':
      return new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', message);
    case 'server_error':
    case 'temporarily_unavailable':
      return new TransientError('ERR_ENDPOINT_UNAVAILABLE', message);
    default:
      return status === 401
        ? new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', message)
        : new ConfigurationError('ERR_OAUTH2_REQUEST_REFUSED', message);
  }
}

function fromStatus(status: number, host: string): CredentialError {
  const message = `${host} refused the token request (HTTP ${String(status)}).`;
  if (status === 401) return new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', message);
  if (status >= 400) return new ConfigurationError('ERR_OAUTH2_REQUEST_REFUSED', message);
  return invalidResponse(`HTTP ${String(status)}`, host);
}

function invalidResponse(code: string | undefined, host: string): ProtocolError {
  return new ProtocolError(
    'ERR_OAUTH2_RESPONSE_INVALID',
    `${host} gave an answer that is no token response (${code ?? 'unknown'}).`,
  );
}
