import { isCredentialError } from '../../errors.ts';
import { isJsonObject, toJsonObject, type JsonObject } from '../../json.ts';
import { Secret } from '../../secret.ts';
import type { Issued } from '../protocol.ts';
import { companionOf, companionsOf, earliestCompanionEnd, withCompanion } from './companions.ts';
import { isUserGrant, type OAuth2Config, type OAuth2Grant } from './config.ts';
import { expiryOf, refreshTokenExpiresAt, type Expiry, type ExpiryContext } from './expiry.ts';
import { profileOf, refreshTokenAdvice, type Profile } from './profile.ts';
import type { TokenResponse } from './request.ts';
import { signInParametersOf } from './sign-in-parameters.ts';

/** A grant whose life nobody states is refreshed after this long, so that it is not used for ever in silence. */
export const ASSUMED_LIFETIME_MS = 3_600_000;
/** How long a token whose remaining life has shrunk to nothing is left alone, when the server gives it once more. */
export const LEAST_REMAINDER_MS = 10_000;
const LEAST_STATED_REMAINDER_MS = 1_000;

export interface TokenResponseContext {
  readonly config: OAuth2Config;
  readonly previousRefreshToken: string | null;
  readonly requestedAt: Date;
  /** The grant that was refreshed; `null` or absent for the first. */
  readonly previous?: OAuth2Grant | null;
  /** How far the server's clock is ahead of ours; default 0. */
  readonly serverAheadMs?: number;
}

/**
 * Turns a token response (RFC 6749 §5.1) into a grant. An omitted, empty or odd refresh token keeps the one before (§6).
 * The life counts from `requestedAt`, so that the network's delay never makes a token look younger than it is.
 */
export function processTokenResponse(response: TokenResponse, context: TokenResponseContext): Issued {
  const { config, previousRefreshToken, requestedAt, previous = null } = context;
  const profile = profileOf(config.profile);
  const answer = membersOf(response);
  const lives = livesOf(context, profile);
  const { expiresAt, source } = accessTokenExpiry(answer, response.access_token, lives, previous);
  const refreshToken = isUserGrant(config) ? refreshTokenOf(answer, previousRefreshToken) : null;
  const grant: OAuth2Grant = {
    accessToken: response.access_token,
    refreshToken,
    // What is not said is what was asked for, or was granted before (§5.1, §6).
    scope: typeof response.scope === 'string' ? response.scope : (previous?.scope ?? null),
    expiresAt: expiresAt?.toISOString() ?? null,
    ...(source === 'response' && expiresAt !== null && { lifetimeMs: expiresAt.getTime() - requestedAt.getTime() }),
    ...(source !== 'response' && previous?.lifetimeMs !== undefined && { lifetimeMs: previous.lifetimeMs }),
    ...grantedAtOf(context),
    ...companionsOf(answer, { profile, previous, lives, primary: response.access_token }),
  };
  const refreshable = !isUserGrant(config) || refreshToken !== null;
  return issuedOf(
    { ...grant, ...statedGrantEnd(answer, grant, context, lives) },
    { context, profile, answer, refreshable },
  );
}

/**
 * The facts of a grant, old or new.
 *
 * @param answer The response that the grant came in, where there was one.
 */
export function issuedOf(
  grant: OAuth2Grant,
  more: { context: TokenResponseContext; profile: Profile; answer: JsonObject; refreshable: boolean },
): Issued {
  const { context, profile, answer, refreshable } = more;
  const { config, requestedAt, previous = null } = context;
  const expiresAt = instant(grant.expiresAt);
  const refreshBy = expiresAt ?? new Date(requestedAt.getTime() + ASSUMED_LIFETIME_MS);
  const companionEnd = earliestCompanionEnd(grant);
  const unchangedUntil = previous?.accessToken === grant.accessToken ? remainderOf(grant, requestedAt) : null;
  return {
    grant: Secret.of(toJsonObject(grant)),
    issuedAt: requestedAt,
    expiresAt,
    refreshable,
    ...(refreshable && { refreshBy: companionEnd !== null && companionEnd < refreshBy ? companionEnd : refreshBy }),
    ...(unchangedUntil !== null && { unchangedUntil }),
    grantExpiresAt: grantEndOf(grant, profile),
    idleExpiresAt: idleEndOf(grant, { answer, context, profile }),
    ...(!refreshable && { advice: refreshTokenAdvice(signInOf(config)) }),
  };
}

/** As it will be asked for, once the scope is there that goes with the parameters. */
function signInOf(config: OAuth2Config): Parameters<typeof refreshTokenAdvice>[0] {
  const needed = profileOf(config.profile).refreshTokenNeeds?.authorizationParameters;
  const authorizationParameters = { ...needed, ...config.authorizationParameters };
  return { profile: config.profile, scope: signInParametersOf(config).scope, authorizationParameters };
}

/** A token that is given again is no younger for it: only what the server or the token itself says counts anew. */
function accessTokenExpiry(
  answer: JsonObject,
  accessToken: string,
  lives: ExpiryContext,
  previous: OAuth2Grant | null,
): Expiry {
  const expiry = expiryOf(answer, accessToken, lives);
  const isReckoned = expiry.source === 'profile' || expiry.source === 'learned';
  const known = previous?.accessToken === accessToken && isReckoned ? instant(previous.expiresAt) : null;
  if (known === null) return expiry;
  return known > lives.requestedAt
    ? { ...expiry, expiresAt: known }
    : { ...expiry, expiresAt: null, source: 'unknown' };
}

function membersOf(response: TokenResponse): JsonObject {
  // Without the functions that the library adds.
  const members: unknown = JSON.parse(JSON.stringify(response));
  return isJsonObject(members) ? members : {};
}

export function livesOf(
  { requestedAt, serverAheadMs = 0, previous = null }: TokenResponseContext,
  profile: Profile,
): ExpiryContext {
  return {
    requestedAt,
    serverAheadMs,
    profileLifetimeMs: profile.accessTokenLifetimeMs?.value ?? null,
    learnedLifetimeMs: previous?.lifetimeMs ?? null,
  };
}

function refreshTokenOf({ refresh_token: next }: JsonObject, previous: string | null): string | null {
  return typeof next === 'string' && next !== '' ? next : previous;
}

/** A grant that came without a refresh token being spent is one that a person just gave. */
function grantedAtOf(context: TokenResponseContext): { grantedAt?: string } {
  const { previous = null, previousRefreshToken, requestedAt } = context;
  if (previous?.grantedAt !== undefined) return { grantedAt: previous.grantedAt };
  return previousRefreshToken === null ? { grantedAt: requestedAt.toISOString() } : {};
}

/** The end that the server states for a refresh token which it does not replace: it is the end of the grant. */
function statedGrantEnd(
  answer: JsonObject,
  grant: OAuth2Grant,
  { previous = null, previousRefreshToken }: TokenResponseContext,
  lives: ExpiryContext,
): { grantExpiresAt?: string } {
  const stated = grant.refreshToken === null ? null : refreshTokenExpiresAt(answer, lives);
  const isReplaced = previousRefreshToken !== null && grant.refreshToken !== previousRefreshToken;
  if (stated !== null && !isReplaced) return { grantExpiresAt: stated.toISOString() };
  const known = isReplaced ? undefined : previous?.grantExpiresAt;
  return known === undefined ? {} : { grantExpiresAt: known };
}

function grantEndOf(grant: OAuth2Grant, { grantLifetimeMs }: Profile): Date | null {
  if (grant.grantExpiresAt !== undefined) return instant(grant.grantExpiresAt);
  if (grantLifetimeMs === undefined || grant.grantedAt === undefined || grant.refreshToken === null) return null;
  return new Date(Date.parse(grant.grantedAt) + grantLifetimeMs.value);
}

/** When the refresh token lapses unless it is used: as stated with a token that was just replaced, or as documented. */
function idleEndOf(
  grant: OAuth2Grant,
  { answer, context, profile }: { answer: JsonObject; context: TokenResponseContext; profile: Profile },
): Date | null {
  if (grant.refreshToken === null) return null;
  if (grant.grantExpiresAt === undefined) {
    const stated = refreshTokenExpiresAt(answer, livesOf(context, profile));
    if (stated !== null) return stated;
  }
  const idleMs = profile.refreshTokenIdleMs?.value;
  return idleMs === undefined ? null : new Date(context.requestedAt.getTime() + idleMs);
}

/** No refresh brings another token before this one ends. `null` where no end was ever stated: it may have none. */
function remainderOf({ expiresAt, lifetimeMs }: OAuth2Grant, requestedAt: Date): Date | null {
  const after = (ms: number): Date => new Date(requestedAt.getTime() + ms);
  const endsAt = instant(expiresAt);
  if (endsAt === null) return lifetimeMs === undefined ? null : after(LEAST_REMAINDER_MS);
  const least = after(LEAST_STATED_REMAINDER_MS);
  return endsAt > least ? endsAt : least;
}

function instant(text: string | null | undefined): Date | null {
  return text === undefined || text === null ? null : new Date(text);
}

/**
 * The answer to the refresh of a companion: its token is exchanged, the others stay.
 *
 * @param name The member in which the companion came.
 */
export function processCompanionResponse(response: TokenResponse, name: string, context: TokenResponseContext): Issued {
  const { previous = null, config } = context;
  if (previous === null) return processTokenResponse(response, context);
  const profile = profileOf(config.profile);
  const known = previous.companions?.[name] ?? null;
  const companion = companionOf(membersOf(response), known, livesOf(context, profile));
  const grant = companion === null ? previous : withCompanion(previous, name, companion);
  return issuedBeside(grant, context, profile);
}

/**
 * A companion that the server refuses for good is given up, and the grant lives on without it. Every other failure is the
 * failure of the refresh.
 */
export function companionRefused(error: unknown, name: string | null, context: TokenResponseContext): Issued {
  const { previous = null, config, requestedAt } = context;
  const companion = name === null ? undefined : previous?.companions?.[name];
  const isFinal = isCredentialError(error) && error.code === 'ERR_OAUTH2_INVALID_GRANT';
  if (name === null || previous === null || companion === undefined || !isFinal) throw error;
  const given = withCompanion(previous, name, { ...companion, refusedAt: requestedAt.toISOString() });
  return issuedBeside(given, context, profileOf(config.profile));
}

function issuedBeside(grant: OAuth2Grant, context: TokenResponseContext, profile: Profile): Issued {
  const refreshable = grant.refreshToken !== null;
  return issuedOf(grant, { context: { ...context, previous: null }, profile, answer: {}, refreshable });
}
