/** A value that survives `JSON.parse(JSON.stringify(value))` unchanged. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Canonical text of a JSON value (keys sorted at every level), so that equal values give equal bytes. */
export function canonicalJson(value: JsonValue): string {
  return JSON.stringify(value, (_key, part: unknown) => (isPlainObject(part) ? sortKeys(part) : part));
}

function sortKeys(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * For what `JSON.parse` gave, which is JSON all through. Schemas of zod walk the keys and lose `__proto__`, and refuse objects that
 * hold `constructor`.
 */
export function isJsonObject(value: unknown): value is JsonObject {
  return isPlainObject(value);
}

/** A copy as JSON keeps it: members that are undefined are left out. */
export function toJsonObject(value: object): JsonObject {
  const copy: unknown = JSON.parse(JSON.stringify(value));
  if (isJsonObject(copy)) return copy;
  throw new TypeError('Expected a JSON object.');
}
