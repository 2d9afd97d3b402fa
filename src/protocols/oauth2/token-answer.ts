import { isJsonObject, type JsonObject, type JsonValue } from '../../json.ts';

/** What a token endpoint answered, whatever it was written in. */
export type TokenAnswer =
  | { readonly kind: 'tokens'; readonly members: JsonObject; readonly oddities: readonly Oddity[] }
  | { readonly kind: 'refusal'; readonly members: JsonObject }
  /** Neither JSON nor a form, or neither tokens nor an error in it. */
  | { readonly kind: 'unreadable' };

/** What was put right in an answer. Its owner is told, in case the server meant something else by it. */
export type Oddity = 'emptyRefreshToken' | 'oddRefreshToken' | 'oddTokenType' | 'oddScope' | 'oddIdToken';

export interface AnswerReading {
  readonly status: number;
  /** Names of members that hold a second token of the same grant. */
  readonly companions: readonly string[];
  /** Whether somebody looks at the ID token: only then it is handed on, to be checked. */
  readonly wantsIdToken: boolean;
}

/**
 * Reads the body of a token response (RFC 6749 §5). Only an access token makes it one; whatever else is odd is put right
 * or left out, because a token that was rotated exists nowhere but in this answer. Never throws.
 */
export function readTokenAnswer(text: string, reading: AnswerReading): TokenAnswer {
  const body = parseBody(text);
  if (body === null) return { kind: 'unreadable' };
  const members = reading.status < 400 && body['ok'] !== false ? tokensIn(body, reading.companions) : null;
  if (members !== null) return { kind: 'tokens', ...putRight(members, reading) };
  const isRefusal = reading.status >= 400 || body['ok'] === false || isStated(body['error']);
  return isRefusal ? { kind: 'refusal', members: body } : { kind: 'unreadable' };
}

/** JSON, or a form: GitHub answers in forms by default, and so did early drafts. */
function parseBody(text: string): JsonObject | null {
  const trimmed = text.replace(/^\uFEFF/, '').trim();
  try {
    const value: unknown = JSON.parse(trimmed);
    return isJsonObject(value) ? value : null;
  } catch {
    return /^[\w.~-]+=[^<>{}\s]*$/.test(trimmed) ? Object.fromEntries(new URLSearchParams(trimmed)) : null;
  }
}

/** The members with the access token. Where only a companion brings one, that is the token. */
function tokensIn(body: JsonObject, companions: readonly string[]): JsonObject | null {
  if (isText(body['access_token'])) return body;
  const only = companions.map((name) => body[name]).find((part) => isJsonObject(part) && isText(part['access_token']));
  return isJsonObject(only) ? { ...body, ...only } : null;
}

function putRight(
  body: JsonObject,
  { wantsIdToken }: AnswerReading,
): { members: JsonObject; oddities: readonly Oddity[] } {
  const members = new Map<string, JsonValue>(Object.entries(body));
  const oddities: Oddity[] = [];
  const refreshToken = readRefreshToken(body['refresh_token']);
  if (refreshToken.text === null) members.delete('refresh_token');
  else members.set('refresh_token', refreshToken.text);
  if (refreshToken.oddity !== null) oddities.push(refreshToken.oddity);
  const scope = readScope(body['scope']);
  if (scope === null) members.delete('scope');
  else members.set('scope', scope);
  if (scope === null && isStated(body['scope'])) oddities.push('oddScope');
  const type = isText(body['token_type']) ? body['token_type'] : '';
  members.set('token_type', /^dpop$/i.test(type) ? 'dpop' : 'bearer');
  if (type !== '' && !KNOWN_TOKEN_TYPE.test(type)) oddities.push('oddTokenType');
  // The library refuses the whole answer for a life that it cannot read; `expiry.ts` reads it under its other name.
  const lifetime = body['expires_in'];
  if (!(typeof lifetime === 'number' && lifetime > 0)) members.delete('expires_in');
  if (lifetime !== undefined && !members.has('expires_in')) members.set('stated_expires_in', lifetime);
  if (!wantsIdToken || !isText(body['id_token'])) members.delete('id_token');
  if (wantsIdToken && isStated(body['id_token']) && !isText(body['id_token'])) oddities.push('oddIdToken');
  return { members: Object.fromEntries(members), oddities };
}

const KNOWN_TOKEN_TYPE = /bearer|^(dpop|bot|user|jwt|n_a|access_token)$/i;

function readRefreshToken(value: JsonValue | undefined): { text: string | null; oddity: Oddity | null } {
  if (isText(value)) return { text: value, oddity: null };
  if (typeof value === 'number' && Number.isSafeInteger(value)) return { text: String(value), oddity: null };
  if (value === undefined) return { text: null, oddity: null };
  return { text: null, oddity: isStated(value) ? 'oddRefreshToken' : 'emptyRefreshToken' };
}

/** RFC 6749 §3.3 in its shapes: a text, a list of texts, and names between commas. */
function readScope(value: JsonValue | undefined): string | null {
  const list: readonly JsonValue[] = Array.isArray(value) ? value : [];
  const names = isText(value) ? value.split(/[\s,]+/) : list.filter((name) => isText(name));
  const scope = names.filter((name) => name !== '').join(' ');
  return scope === '' ? null : scope;
}

function isText(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && value !== '';
}

function isStated(value: JsonValue | undefined): boolean {
  return value !== undefined && value !== null && value !== '';
}
