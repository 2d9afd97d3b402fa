import { isPlainObject, toJsonObject } from '../../json.ts';
import { Secret } from '../../secret.ts';
import type { Issued } from '../protocol.ts';
import { isUserGrant, type OAuth2Config, type OAuth2Grant } from './config.ts';
import type { TokenResponse } from './request.ts';

const MAX_LIFETIME_SECONDS = 10 * 365 * 86_400;

/**
 * Turns a token response (RFC 6749 §5.1) into a grant. An omitted, empty or odd refresh token keeps the one before (§6).
 * The life counts from `requestedAt`, so that the network's delay never makes a token look younger than it is.
 */
export function processTokenResponse(
  response: TokenResponse,
  context: { config: OAuth2Config; previousRefreshToken: string | null; requestedAt: Date },
): Issued {
  const { config, previousRefreshToken, requestedAt } = context;
  const grant: OAuth2Grant = {
    accessToken: response.access_token,
    refreshToken: isUserGrant(config) ? refreshTokenOf(response, previousRefreshToken) : null,
    scope: typeof response.scope === 'string' ? response.scope : null,
  };
  return {
    grant: Secret.of(toJsonObject(grant)),
    issuedAt: requestedAt,
    expiresAt: expiryOf(response.expires_in, requestedAt),
    refreshable: !isUserGrant(config) || grant.refreshToken !== null,
  };
}

function refreshTokenOf(response: TokenResponse, previous: string | null): string | null {
  const { refresh_token: next } = response;
  return typeof next === 'string' && next !== '' ? next : previous;
}

/** `expires_in` (RFC 6749 §5.1, seconds) as an instant; `null` when absent, not positive or beyond ten years. */
function expiryOf(expiresIn: unknown, requestedAt: Date): Date | null {
  const seconds = typeof expiresIn === 'number' ? expiresIn : Number.NaN;
  if (!(seconds > 0 && seconds <= MAX_LIFETIME_SECONDS)) return null;
  return new Date(requestedAt.getTime() + Math.floor(seconds * 1000));
}

/**
 * Some servers say "no new refresh token" with an empty or null member. openid-client refuses the whole answer then, after
 * the token was spent; so it never gets to see the member.
 *
 * @param onEmpty Called when there was one: its owner wants to know, in case the server meant something else by it.
 */
export async function withoutEmptyRefreshToken(response: Response, onEmpty: () => void): Promise<Response> {
  const text = await response.text();
  const { status, headers } = response;
  const cleaned = withoutEmptyMember(text);
  if (cleaned !== text) onEmpty();
  return new Response(text === '' ? null : cleaned, { status, headers });
}

function withoutEmptyMember(text: string): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isPlainObject(body) || (body['refresh_token'] !== '' && body['refresh_token'] !== null)) return text;
  return JSON.stringify({ ...body, refresh_token: undefined });
}
