import { isJsonObject, type JsonObject } from '../../json.ts';
import type { OAuth2Grant } from './config.ts';
import { expiryOf, type ExpiryContext } from './expiry.ts';
import type { Companion } from './grant-facts.ts';
import type { Profile } from './profile.ts';

/** Which of a grant's refresh tokens a refresh spends: that of a companion by its name, or (`null`) the grant's own. */
export interface NextToken {
  readonly companion: string | null;
  readonly refreshToken: string | null;
}

/**
 * The token that ends first is refreshed first: one request, one token. It follows from the grant alone, so that the same
 * token is named before the request, in the journal, and in the request.
 */
export function nextToken(grant: OAuth2Grant | null, enteredRefreshToken: string | null): NextToken {
  const own: NextToken = { companion: null, refreshToken: grant?.refreshToken ?? enteredRefreshToken };
  const ownEndMs = endMs(grant?.expiresAt ?? null);
  const first = livingCompanions(grant).sort(([, a], [, b]) => endMs(a.expiresAt) - endMs(b.expiresAt))[0];
  if (first === undefined || endMs(first[1].expiresAt) >= ownEndMs) return own;
  return { companion: first[0], refreshToken: first[1].refreshToken };
}

/** When the first companion ends that can still be refreshed; `null` without one. */
export function earliestCompanionEnd(grant: OAuth2Grant): Date | null {
  const ends = livingCompanions(grant).map(([, { expiresAt }]) => endMs(expiresAt));
  const first = Math.min(...ends);
  return Number.isFinite(first) ? new Date(first) : null;
}

function livingCompanions(grant: OAuth2Grant | null): [string, Companion][] {
  return Object.entries(grant?.companions ?? {}).filter(
    ([, { refreshToken, refusedAt }]) => refreshToken !== null && refusedAt === null,
  );
}

function endMs(expiresAt: string | null): number {
  return expiresAt === null ? Infinity : Date.parse(expiresAt);
}

/** The companions of a grant after an answer: those that it brings, and those that it is silent about. */
export function companionsOf(
  answer: JsonObject,
  context: { profile: Profile; previous: OAuth2Grant | null; lives: ExpiryContext; primary: string },
): { companions?: Record<string, Companion> } {
  const { profile, previous, lives, primary } = context;
  const companions = new Map(Object.entries(previous?.companions ?? {}));
  for (const name of profile.companions?.value ?? []) {
    const part = answer[name];
    if (!isJsonObject(part) || part['access_token'] === primary) continue;
    const companion = companionOf(part, companions.get(name) ?? null, lives);
    if (companion !== null) companions.set(name, companion);
  }
  return companions.size === 0 ? {} : { companions: Object.fromEntries(companions) };
}

/** A token of its own out of the members that describe it; `null` when they hold none. */
export function companionOf(part: JsonObject, previous: Companion | null, lives: ExpiryContext): Companion | null {
  const { access_token: accessToken, refresh_token: refreshToken, scope } = part;
  if (typeof accessToken !== 'string' || accessToken === '') return null;
  const { expiresAt } = expiryOf(part, accessToken, lives);
  return {
    accessToken,
    refreshToken:
      typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : (previous?.refreshToken ?? null),
    scope: typeof scope === 'string' && scope !== '' ? scope : (previous?.scope ?? null),
    expiresAt: expiresAt?.toISOString() ?? null,
    refusedAt: null,
  };
}

/** The grant with one companion exchanged; the tokens beside it stay as they are. */
export function withCompanion(grant: OAuth2Grant, name: string, companion: Companion): OAuth2Grant {
  return { ...grant, companions: { ...grant.companions, [name]: companion } };
}
