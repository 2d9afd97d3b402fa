import { TransientError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { Fetch, FetchInit, Logger } from '../../ports.ts';
import { certainSkewMs, describeSkew, NOTABLE_SKEW_MS, type ClockSkew } from '../clock-skew.ts';
import type { BeforeSend } from '../protocol.ts';
import { sendOnce } from '../send-once.ts';
import { errorOfRefusal } from './errors.ts';
import { profileOf, saysExpired, type Profile, type ProfileName } from './profile.ts';
import { readTokenAnswer, type Oddity } from './token-answer.ts';

export interface TokenEndpointOptions {
  readonly profile: Profile;
  readonly clockSkew: ClockSkew;
  readonly logger: Logger;
  /** Asked before each token request that leaves; absent where nothing is spent. */
  readonly beforeSend?: BeforeSend;
  /** Whether the ID token of the answer is looked at; default: not at all, so that it cannot harm the tokens beside it. */
  readonly wantsIdToken?: boolean;
}

/**
 * The fetch that openid-client asks the token endpoint with. What it hands on is a token response that keeps to the
 * letter of RFC 6749 §5.1, or one of the refusals that the library acts upon; every other refusal is thrown as the error
 * of whoever must act.
 *
 * Errors: `ERR_OAUTH2_INVALID_GRANT`, `ERR_OAUTH2_INVALID_CLIENT`, `ERR_OAUTH2_REQUEST_REFUSED`,
 * `ERR_ENDPOINT_UNAVAILABLE`, `ERR_ENDPOINT_RATE_LIMITED`, `ERR_CLOCK_SKEWED`, and those of the fetch.
 */
export function tokenEndpointFetch(fetch: Fetch, options: TokenEndpointOptions): Fetch {
  const { profile, beforeSend } = options;
  return async (url, init = {}) => {
    // The keys that an ID token is checked with: fetching them spends nothing.
    if (init.method === 'GET') return fetch(url, init);
    const { host } = new URL(url);
    const body = withRefreshParameters(init.body, profile);
    const reckonedMs = certainSkewMs(options.clockSkew.of(host));
    const request = { ...init, ...(body !== undefined && { body }) };
    const sent = beforeSend === undefined ? fetch(url, request) : sendOnce(fetch, url, request, beforeSend);
    const response = await sent;
    const text = await response.text();
    const answer = readTokenAnswer(text, {
      status: response.status,
      companions: profile.companions?.value ?? [],
      wantsIdToken: options.wantsIdToken ?? false,
    });
    if (answer.kind === 'unreadable') return handedOn(response, text);
    if (answer.kind === 'tokens') {
      warnOf(answer.oddities, url, options.logger);
      return handedOn(response, JSON.stringify(answer.members), 200);
    }
    if (isForLibrary(answer.members)) return handedOn(response, text, Math.max(response.status, 400));
    refuseByClock(answer.members, { host, init, reckonedMs, clockSkew: options.clockSkew });
    throw errorOfRefusal(answer.members, { status: response.status, host, profile });
  };
}

/** Headers that the library looks at. Others could make it refuse an answer that is good. */
const HANDED_ON = ['dpop-nonce', 'date'];

function handedOn(response: Response, text: string, status = response.status): Response {
  const headers = new Headers();
  const type = status === 200 && text.startsWith('{') ? 'application/json' : response.headers.get('content-type');
  if (type !== null) headers.set('content-type', type);
  for (const name of HANDED_ON) {
    const value = response.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(text === '' ? null : text, { status, headers });
}

/** Refusals that are steps of a flow (RFC 8628 §3.5, RFC 9449 §8). */
const STEPS = new Set(['authorization_pending', 'slow_down', 'access_denied', 'expired_token', 'use_dpop_nonce']);

function isForLibrary({ error }: JsonObject): boolean {
  return typeof error === 'string' && STEPS.has(error);
}

const WARNINGS: Record<Oddity, string> = {
  emptyRefreshToken: 'The answer holds an empty refresh token; the one before is kept.',
  oddRefreshToken: 'The answer holds a refresh token that is no text; the one before is kept.',
  oddTokenType: 'The answer names an unknown token type; the token is used as a bearer token.',
  oddScope: 'The answer holds a scope that is no text; it is left out.',
  oddIdToken: 'The answer holds an ID token that is no text; it is left out.',
};

function warnOf(oddities: readonly Oddity[], endpoint: string, logger: Logger): void {
  for (const oddity of oddities) logger.warn({ endpoint }, WARNINGS[oddity]);
}

function withRefreshParameters(body: RequestInit['body'], { refreshParameters }: Profile): RequestInit['body'] {
  if (refreshParameters === undefined || !(body instanceof URLSearchParams)) return body;
  if (body.get('grant_type') !== 'refresh_token') return body;
  const extended = new URLSearchParams(body);
  for (const [name, value] of Object.entries(refreshParameters.value)) {
    if (!extended.has(name)) extended.set(name, value);
  }
  return extended;
}

/** Refusals by which a server says that an assertion or a proof is too old or not yet valid. */
const CLOCK_BOUND = new Set(['invalid_grant', 'invalid_client', 'invalid_dpop_proof', 'invalid_request']);

/**
 * A request that carries an instant (an assertion, a proof) and was made by a clock that is wrong is refused for that; the
 * answer that refuses it tells how wrong, and the next request reckons with it.
 */
function refuseByClock(
  { error }: JsonObject,
  sent: { host: string; init: RequestInit; reckonedMs: number; clockSkew: ClockSkew },
): void {
  if (typeof error !== 'string' || !CLOCK_BOUND.has(error) || !carriesInstant(sent.init)) return;
  const skew = sent.clockSkew.of(sent.host);
  const unreckonedMs = Math.abs(certainSkewMs(skew) - sent.reckonedMs);
  if (unreckonedMs < NOTABLE_SKEW_MS) return;
  const how = describeSkew(skew, sent.host) ?? 'The clock here was set meanwhile.';
  throw new TransientError('ERR_CLOCK_SKEWED', `${sent.host} refused a request that bears the time. ${how}`);
}

function carriesInstant({ body, headers }: RequestInit): boolean {
  if (new Headers(headers).has('dpop')) return true;
  return body instanceof URLSearchParams && (body.has('client_assertion') || body.has('assertion'));
}

/** The fetch that an access token is tried with: an answer that says "expired" in a vendor's own way becomes HTTP 401. */
export function protectedResourceFetch(fetch: Fetch, name: ProfileName | undefined): Fetch {
  const profile = profileOf(name);
  if (profile.expiredWhen.length === 0) return fetch;
  return async (url, init) => {
    const response = await fetch(url, init);
    const { status, headers } = response;
    // It says so itself, and perhaps which nonce it wants.
    if (status === 401) return response;
    const body = await response.text();
    if (saysExpired(profile, { status, headers, body })) return new Response(null, { status: 401 });
    return new Response([204, 205, 304].includes(status) ? null : body, { status, headers });
  };
}

/** The fetch that knows which hosts the owner named: a URL at any other came out of the server's own documents. */
export function ownersFetch(
  fetch: Fetch,
  config: { readonly issuer?: string | undefined; readonly tokenEndpoint?: string | undefined },
): Fetch {
  const entered = Object.values(config).flatMap((value) => (typeof value === 'string' ? (URL.parse(value) ?? []) : []));
  const hosts = new Set(entered.map(({ hostname }) => hostname));
  const learnedFrom = URL.parse(config.issuer ?? config.tokenEndpoint ?? '')?.host;
  const trusted = (url: string, init: FetchInit = {}): Promise<Response> => {
    const isEntered = hosts.has(new URL(url).hostname);
    return fetch(url, isEntered || learnedFrom === undefined ? init : { ...init, learnedFrom });
  };
  return Object.assign(trusted, { connectsFirst: fetch.connectsFirst ?? false });
}
