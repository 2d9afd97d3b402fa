import { ConfigurationError } from '../errors.ts';
import type { CredentialRecord } from '../lifecycle/credential.ts';

/** Longest texts in UTF-16 code units: three bytes each, so that an index entry of tag and id fits PostgreSQL's 2,704 bytes. */
export const TEXT_LIMITS = {
  id: 256,
  protocol: 128,
  ownerId: 512,
  scopeId: 512,
  name: 1_024,
  tag: 512,
  key: 512,
} as const;

const FIRST_YEAR_MS = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_YEAR_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** Whether every driver gives this text back unchanged: PostgreSQL has no NUL, and a lone surrogate has no UTF-8. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field, never its value */
export function requireText(field: string, text: string, limit: number): void {
  if (text.length > limit) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${field} is longer than ${limit} characters.`);
  }
  if (!isStorable(text)) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${field} holds NUL or half a character.`);
  }
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function requireId(field: string, id: string, limit: number = TEXT_LIMITS.id): void {
  requireText(field, id, limit);
  if (id === '') throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${field} is empty.`);
}

/** ISO 8601, whose texts are in the order of their instants only from year 0000 to 9999. */
export function instantText(field: string, instant: Date): string {
  const ms = instant.getTime();
  if (ms >= FIRST_YEAR_MS && ms <= LAST_YEAR_MS) return instant.toISOString();
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The instant ${field} is not within the years 0000 to 9999.`);
}

const INSTANTS = [
  'refreshDueAt',
  'testDueAt',
  'rotationDueAt',
  'noticeDueAt',
  'expiresAt',
  'issuedAt',
  'createdAt',
  'updatedAt',
] as const;

/** Refuses a record that some driver could not keep, before anything is written. */
export function requireStorable(record: CredentialRecord): void {
  requireId('id', record.id);
  requireText('protocol', record.protocol, TEXT_LIMITS.protocol);
  requireText('name', record.name, TEXT_LIMITS.name);
  if (record.ownerId !== null) requireText('ownerId', record.ownerId, TEXT_LIMITS.ownerId);
  if (record.scopeId !== null) requireText('scopeId', record.scopeId, TEXT_LIMITS.scopeId);
  for (const tag of record.tags) requireText('tags', tag, TEXT_LIMITS.tag);
  for (const field of INSTANTS) {
    const instant = record[field];
    if (instant !== null) instantText(field, instant);
  }
}

/** Order of texts by code point, which is the order of their UTF-8 bytes in SQLite and PostgreSQL (collation "C"). */
export function compareTexts(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** The least text that is greater than all texts that begin with `prefix`; `null` when there is none. */
export function successorOf(prefix: string): string | null {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) ?? 0;
    if (point === 0x10ffff) continue;
    // Surrogates are no characters: what follows U+D7FF is U+E000.
    return points.join('') + String.fromCodePoint(point === 0xd7ff ? 0xe000 : point + 1);
  }
  return null;
}
