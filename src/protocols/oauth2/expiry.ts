import { isPlainObject, type JsonObject, type JsonValue } from '../../json.ts';

/** Where the end of an access token's life is known from, best first. */
export type ExpirySource = 'response' | 'token' | 'profile' | 'learned' | 'unknown';

export interface Expiry {
  /** `null` when nobody says; then `source` is `unknown`. */
  readonly expiresAt: Date | null;
  readonly source: ExpirySource;
  /** The answer said something about its life that cannot be understood. */
  readonly odd: boolean;
}

export interface ExpiryContext {
  readonly requestedAt: Date;
  /** How far the server's clock is ahead of ours; instants by its clock are turned into ours by it. */
  readonly serverAheadMs: number;
  /** The documented lifetime of a server that is silent. */
  readonly profileLifetimeMs: number | null;
  /** What this server said the last time. */
  readonly learnedLifetimeMs: number | null;
}

const MAX_LIFETIME_MS = 10 * 365 * 86_400_000;
/** Two lifetimes mean the same one when neither is more than this many times the other. */
const SAME_LIFETIME = 1.5;

/** The end of an access token's life, from a token response (RFC 6749 §5.1) and what else is known. Never throws. */
export function expiryOf(answer: JsonObject, accessToken: string, context: ExpiryContext): Expiry {
  const { requestedAt, profileLifetimeMs, learnedLifetimeMs } = context;
  const after = (lifetimeMs: number): Date => new Date(requestedAt.getTime() + lifetimeMs);
  const tokenMs = tokenLifetimeMs(accessToken, context);
  const stated = statedLifetimeMs(answer, { ...context, hints: [tokenMs, profileLifetimeMs, learnedLifetimeMs] });
  const odd = stated === 'odd';
  if (typeof stated === 'number') return { expiresAt: after(stated), source: 'response', odd };
  if (tokenMs !== null) return { expiresAt: after(tokenMs), source: 'token', odd };
  if (profileLifetimeMs !== null) return { expiresAt: after(profileLifetimeMs), source: 'profile', odd };
  if (learnedLifetimeMs !== null) return { expiresAt: after(learnedLifetimeMs), source: 'learned', odd };
  return { expiresAt: null, source: 'unknown', odd };
}

type Hints = readonly (number | null)[];

/** Members that servers state a life in, best first: seconds from now, and instants. */
const RELATIVE_MEMBERS = ['expires_in', 'stated_expires_in', 'expires'];
const ABSOLUTE_MEMBERS = ['expires_at', 'expires_on'];

function statedLifetimeMs(answer: JsonObject, context: ExpiryContext & { hints: Hints }): number | 'odd' | null {
  const read: (number | 'odd')[] = [
    ...valuesOf(answer, RELATIVE_MEMBERS).map((value) => readLifetimeMs(value, context) ?? 'odd'),
    ...valuesOf(answer, ABSOLUTE_MEMBERS).map((value) => readInstantMs(value, context) ?? 'odd'),
  ];
  return read.find((value) => typeof value === 'number') ?? read[0] ?? null;
}

function valuesOf(answer: JsonObject, names: readonly string[]): JsonValue[] {
  return names.flatMap((name) => {
    const value = Object.hasOwn(answer, name) ? answer[name] : undefined;
    return value === undefined || value === null ? [] : [value];
  });
}

/**
 * `expires_in` in its shapes: seconds as a number or as a text of digits, also with a unit (`3600s`); milliseconds, where
 * seconds would be absurd or something else says so; an instant in its place. `null` for everything that is not a life:
 * zero, negative, `3600abc`, lists.
 */
export function readLifetimeMs(value: unknown, context: ExpiryContext & { hints: Hints }): number | null {
  const seconds = readNumber(value);
  if (seconds === null || seconds <= 0) return null;
  const asSecondsMs = Math.floor(seconds * 1000);
  const confirms = (ms: number): boolean => context.hints.some((hint) => hint !== null && isSameLifetime(hint, ms));
  if (asSecondsMs <= MAX_LIFETIME_MS && (!confirms(seconds) || confirms(asSecondsMs))) return asSecondsMs || null;
  return readInstantMs(seconds, context) ?? (seconds <= MAX_LIFETIME_MS ? Math.floor(seconds) : null);
}

function isSameLifetime(a: number, b: number): boolean {
  return a > 0 && b > 0 && Math.max(a, b) / Math.min(a, b) <= SAME_LIFETIME;
}

/** An instant by the server's clock, in seconds or milliseconds since 1970 or as ISO 8601, as a life from now. */
function readInstantMs(value: unknown, { requestedAt, serverAheadMs }: ExpiryContext): number | null {
  const number = readNumber(value);
  const isText = number === null && typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value);
  const candidates = number === null ? [isText ? Date.parse(value) : Number.NaN] : [number * 1000, number];
  const lives = candidates.map((instantMs) => instantMs - serverAheadMs - requestedAt.getTime());
  return lives.find((ms) => ms > 0 && ms <= MAX_LIFETIME_MS) ?? null;
}

function readNumber(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string' || value.length > 40) return null;
  const digits = /^\s*(\d+(?:\.\d+)?)\s*(?:s|sec|seconds)?\s*$/i.exec(value)?.[1];
  return digits === undefined ? null : Number(digits);
}

/**
 * The life that an access token in JWT form (RFC 9068) says it has. Its signature is not looked at: the token came from
 * the server itself, and the worst that a wrong `exp` does is a refresh too early or too late.
 */
function tokenLifetimeMs(accessToken: string, { requestedAt, serverAheadMs }: ExpiryContext): number | null {
  const claims = unverifiedClaims(accessToken);
  const { exp, iat } = claims ?? {};
  if (typeof exp !== 'number' || !(exp > 0 && exp < 2 ** 40)) return null;
  const leftMs = Math.floor(exp * 1000 - serverAheadMs - requestedAt.getTime());
  const wholeMs = typeof iat === 'number' && iat > 0 && iat < exp ? Math.floor((exp - iat) * 1000) : Infinity;
  const lifetimeMs = Math.min(leftMs, wholeMs);
  return lifetimeMs > 0 && lifetimeMs <= MAX_LIFETIME_MS ? lifetimeMs : null;
}

function unverifiedClaims(token: string): Record<string, unknown> | null {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token)?.[1];
  if (payload === undefined) return null;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    return isPlainObject(claims) ? claims : null;
  } catch {
    return null;
  }
}

/** Members that servers state the life of a refresh token in, in seconds. Keycloak's 0 means that it has no end. */
const REFRESH_TOKEN_MEMBERS = ['refresh_token_expires_in', 'refresh_expires_in', 'x_refresh_token_expires_in'];

/** The end of the refresh token's life as the answer states it; `null` when it does not. */
export function refreshTokenExpiresAt(answer: JsonObject, context: ExpiryContext): Date | null {
  const [value] = valuesOf(answer, REFRESH_TOKEN_MEMBERS);
  const lifetimeMs = readLifetimeMs(value, { ...context, hints: [] });
  return lifetimeMs === null ? null : new Date(context.requestedAt.getTime() + lifetimeMs);
}
