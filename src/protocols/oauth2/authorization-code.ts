import * as client from 'openid-client';
import { z } from 'zod/v4';
import {
  ConfigurationError,
  ReauthorizationRequiredError,
  TransientError,
  type CredentialError,
} from '../../errors.ts';
import type { Fetch } from '../../ports.ts';
import {
  checkingConfigurationOf,
  configurationOf,
  dpopOptions,
  hostOf,
  tokenParameters,
  type Exchange,
  type TokenResponse,
} from './request.ts';
import { dpopKeySchema } from './dpop.ts';
import { translateOAuth2Error } from './errors.ts';
import { signInParametersOf } from './sign-in-parameters.ts';

/** What the first half of an authorization leaves for the second. All of it is SECRET. */
export const begunCodeSchema = z.strictObject({
  kind: z.literal('redirect'),
  redirectUri: z.string(),
  state: z.string(),
  /** PKCE, RFC 7636 §4.1. */
  codeVerifier: z.string(),
  /** OpenID Connect Core §3.1.2.1; `null` when no ID token is asked for. */
  nonce: z.string().nullable(),
  dpopKey: dpopKeySchema.nullable(),
});
export type BegunCode = z.infer<typeof begunCodeSchema>;

/** @throws ConfigurationError `ERR_OAUTH2_PKCE_UNSUPPORTED` when the metadata names other ways only */
export function requirePkce(server: client.ServerMetadata): void {
  const methods: unknown = server.code_challenge_methods_supported;
  // Many servers have it and do not say so.
  if (methods === undefined || (Array.isArray(methods) && methods.includes('S256'))) return;
  const { host } = new URL(server.issuer);
  throw new ConfigurationError('ERR_OAUTH2_PKCE_UNSUPPORTED', `${host} does not offer PKCE with S256.`);
}

/**
 * A place where a browser may be sent back to with a code: https, this machine, or a program's own scheme (RFC 8252 §7).
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`
 */
export function requireRedirectUri(
  text: string,
  { allowInsecureTransport }: { allowInsecureTransport: boolean },
): void {
  const url = URL.parse(text);
  const loopback = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  const plain = url?.protocol === 'http:' && (loopback || allowInsecureTransport);
  const own = url !== null && /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol);
  const bare = url?.search === '' && url.hash === '' && url.username === '' && !/[?#]/.test(text);
  if (bare && (url.protocol === 'https:' || plain || own)) return;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    'The redirect URI must be https, on this machine or of a scheme with a dot, without user, query or fragment.',
  );
}

/** The URL that a person opens (RFC 6749 §4.1.1), sent ahead by the back channel when `pushed` (RFC 9126). */
export async function authorizationRequest(exchange: Exchange, begun: BegunCode, pushed: boolean): Promise<string> {
  try {
    const configuration = configurationOf(exchange);
    const options = await dpopOptions(exchange, configuration);
    const parameters = await requestParameters(exchange, begun, options);
    const url = pushed
      ? await client.buildAuthorizationUrlWithPAR(configuration, parameters, options)
      : client.buildAuthorizationUrl(configuration, parameters);
    requireWebPage(url, exchange);
    return url.href;
  } catch (error) {
    throw translateOAuth2Error(error, hostOf(exchange));
  }
}

/** The metadata names it, and a browser opens it: no scheme may do anything else there. */
function requireWebPage({ protocol }: URL, exchange: Exchange): void {
  if (protocol === 'https:' || protocol === 'http:') return;
  throw new ConfigurationError(
    'ERR_OAUTH2_DISCOVERY_FAILED',
    `The metadata of ${hostOf(exchange)} names an authorization endpoint that is no web page.`,
  );
}

async function requestParameters(
  { config }: Exchange,
  { redirectUri, state, codeVerifier, nonce }: BegunCode,
  { DPoP }: client.DPoPOptions,
): Promise<URLSearchParams> {
  const { scope, parameters: further } = signInParametersOf(config);
  const parameters = tokenParameters({ ...config, scope });
  for (const [name, value] of Object.entries(further)) parameters.set(name, value);
  parameters.set('redirect_uri', redirectUri);
  parameters.set('state', state);
  parameters.set('code_challenge', await client.calculatePKCECodeChallenge(codeVerifier));
  parameters.set('code_challenge_method', 'S256');
  if (nonce !== null) parameters.set('nonce', nonce);
  if (DPoP !== undefined) parameters.set('dpop_jkt', await DPoP.calculateThumbprint());
  return parameters;
}

/**
 * An answer that came elsewhere is one to another request, perhaps of another server: where servers do not name themselves
 * (RFC 9207), a redirect URI for each tells them apart (RFC 9700 §4.4.2.2).
 *
 * @throws ReauthorizationRequiredError `ERR_AUTHORIZATION_ISSUER_MISMATCH`
 */
export function requireArrival(arrivedAt: string, { redirectUri }: BegunCode): void {
  if (withoutAnswer(arrivedAt) === withoutAnswer(redirectUri)) return;
  throw new ReauthorizationRequiredError(
    'ERR_AUTHORIZATION_ISSUER_MISMATCH',
    'The answer to the sign-in came to another redirect URI than the one that was asked for.',
  );
}

function withoutAnswer(text: string): string {
  const url = new URL(text);
  url.search = '';
  url.hash = '';
  return url.href;
}

/**
 * Trades the code for tokens (RFC 6749 §4.1.3). State, issuer (RFC 9207) and the ID token's nonce must be those of the request.
 *
 * @throws CredentialError `ERR_AUTHORIZATION_*` for what came to the redirect URI, else the codes of token requests
 */
export async function authorizationCodeGrantRequest(
  exchange: Exchange,
  begun: BegunCode,
  parameters: URLSearchParams,
): Promise<TokenResponse> {
  const { config } = exchange;
  const answer = new URLSearchParams(parameters);
  requireIssuer(answer, exchange);
  requireSuccess(answer, hostOf(exchange));
  const currentUrl = new URL(begun.redirectUri);
  currentUrl.search = answer.toString();
  const fetch = withRedirectUri(exchange.fetch, begun.redirectUri);
  const configuration = checkingConfigurationOf({ ...exchange, fetch });
  const checks = {
    pkceCodeVerifier: begun.codeVerifier,
    expectedState: begun.state,
    ...(begun.nonce !== null && { expectedNonce: begun.nonce }),
  };
  const resources = new URLSearchParams(
    (config.resources ?? []).map((resource): [string, string] => ['resource', resource]),
  );
  try {
    const options = await dpopOptions(exchange, configuration);
    return await client.authorizationCodeGrant(configuration, currentUrl, checks, resources, options);
  } catch (error) {
    throw translateOAuth2Error(error, hostOf(exchange));
  }
}

/** The library writes the redirect URI anew; the server compares it as a text with that of the request (RFC 6749 §4.1.3). */
function withRedirectUri(fetch: Fetch, redirectUri: string): Fetch {
  return (url, init = {}) => {
    const { body } = init;
    if (!(body instanceof URLSearchParams) || !body.has('redirect_uri')) return fetch(url, init);
    const exact = new URLSearchParams(body);
    exact.set('redirect_uri', redirectUri);
    return fetch(url, { ...init, body: exact });
  };
}

/** RFC 9207 §2.4: an answer of another server is not even looked at. */
function requireIssuer(answer: URLSearchParams, { config, server }: Exchange): void {
  if (config.issuer === undefined) {
    // There is nothing to compare it with; the redirect URI alone tells servers apart.
    answer.delete('iss');
    return;
  }
  const issuers = answer.getAll('iss');
  const promised = server.authorization_response_iss_parameter_supported === true;
  const [issuer] = issuers;
  if (issuers.length === 0 ? !promised : issuers.length === 1 && issuer === server.issuer) return;
  throw new ReauthorizationRequiredError(
    'ERR_AUTHORIZATION_ISSUER_MISMATCH',
    `The answer to the sign-in does not say that it comes from ${new URL(server.issuer).host}.`,
  );
}

/** RFC 6749 §4.1.2.1. The description is the server's own text and is left out. */
function requireSuccess(answer: URLSearchParams, host: string): void {
  const error = answer.get('error');
  if (error !== null) throw refusalOf(error, host);
  if (answer.getAll('code').length === 1 && answer.get('code') !== '') return;
  throw new ReauthorizationRequiredError('ERR_AUTHORIZATION_INVALID', 'The answer to the sign-in holds no code.');
}

/** What the server says instead of a code (RFC 6749 §4.1.2.1) or of a token for a device (RFC 8628 §3.5). */
export function refusalOf(error: string, host: string): CredentialError {
  const name = /^[a-z_]{1,40}$/.test(error) ? error : 'an unknown error';
  switch (error) {
    case 'access_denied':
      return new ReauthorizationRequiredError('ERR_AUTHORIZATION_DENIED', `The sign-in at ${host} was refused.`);
    case 'server_error':
    case 'temporarily_unavailable':
      return new TransientError('ERR_ENDPOINT_UNAVAILABLE', `${host} could not carry out the sign-in: ${name}.`);
    default:
      return new ConfigurationError('ERR_AUTHORIZATION_REFUSED', `${host} refused the sign-in: ${name}.`);
  }
}
