import { ConfigurationError, isCredentialError, type ErrorCode } from '../errors.ts';
import { parseRecord, type CredentialRecord } from '../lifecycle/credential.ts';
import type { RecordFilter, RecordPage, UnreadableRecord } from './record-store.ts';
import { instantText, isStorable, requireText, TEXT_LIMITS } from './texts.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const WORD_LIMIT = 64;
const FILTERS: ReadonlySet<string> = new Set<keyof RecordFilter>([
  'ownerId',
  'protocol',
  'state',
  'scopeId',
  'tags',
  'name',
  'dueBefore',
  'expiringBefore',
  'limit',
  'cursor',
]);

/** What a page is sorted by; the id decides between equals. */
export type ListOrder = 'id' | 'dueAt' | 'expiresAt' | 'word';

/** A checked filter. Drivers turn it into a query that walks one index in order, whatever the number of records. */
export interface Listing {
  readonly filter: RecordFilter;
  readonly tags: readonly string[];
  /** Beginnings of words; the page is sorted by the word that begins with the first of them. */
  readonly words: readonly string[];
  readonly order: ListOrder;
  readonly limit: number;
  /** Where the page before ended. */
  readonly after: ListPosition | null;
}

export interface ListPosition {
  /** Instant or word; empty in the order of ids. */
  readonly key: string;
  readonly id: string;
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the filter */
export function parseListing(filter: RecordFilter): Listing {
  requireKnownFilters(filter);
  for (const field of ['ownerId', 'protocol', 'scopeId', 'name'] as const) {
    const text = filter[field];
    if (text !== undefined) requireText(field, text, TEXT_LIMITS.name);
  }
  for (const tag of filter.tags ?? []) requireText('tags', tag, TEXT_LIMITS.tag);
  if (filter.dueBefore) instantText('dueBefore', filter.dueBefore);
  if (filter.expiringBefore) instantText('expiringBefore', filter.expiringBefore);
  const words = filter.name === undefined ? [] : wordsOf(filter.name);
  if (filter.name !== undefined && words.length === 0) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The name to search for must hold a letter or a digit.');
  }
  const order = orderOf(filter);
  const after = filter.cursor === undefined ? null : decodeCursor(filter.cursor, order);
  return { filter, tags: [...new Set(filter.tags)], words, order, limit: pageLimit(filter.limit), after };
}

/** A misspelt filter would list everybody's credentials. */
function requireKnownFilters(filter: RecordFilter): void {
  const unknown = Object.keys(filter).find((name) => !FILTERS.has(name));
  if (unknown !== undefined) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', `There is no filter ${JSON.stringify(unknown.slice(0, 40))}.`);
  }
  for (const name of ['dueBefore', 'expiringBefore'] as const) {
    const instant: unknown = filter[name];
    if (instant === undefined || instant instanceof Date) continue;
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The filter ${name} must be a Date.`);
  }
}

/** A whole number from 1 to 1,000. @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function pageLimit(limit: number = DEFAULT_LIMIT): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The limit must be a whole number from 1 to ${MAX_LIMIT}.`);
}

/** A page out of one row more than was asked for, which tells whether another page follows. */
export function pageOf(listing: Listing, rows: readonly { record: CredentialRecord; key: string }[]): RecordPage {
  const page = rows.slice(0, listing.limit);
  const last = page.at(-1);
  return {
    records: page.map((row) => row.record),
    unreadable: [],
    nextCursor: rows.length > listing.limit && last ? encodeCursor(listing.order, last.key, last.record.id) : null,
  };
}

/** The same out of records as they are stored: one that cannot be read does not keep the others back. */
export function pageOfTexts(
  listing: Listing,
  rows: readonly { readonly id: string; readonly record: string; readonly key: string }[],
): RecordPage {
  const page = rows.slice(0, listing.limit);
  const last = page.at(-1);
  const records: CredentialRecord[] = [];
  const unreadable: UnreadableRecord[] = [];
  for (const { id, record } of page) {
    const read = parsedOrCode(record);
    if (typeof read === 'string') unreadable.push({ id, name: nameIn(record), code: read });
    else records.push(read);
  }
  const nextCursor = rows.length > listing.limit && last ? encodeCursor(listing.order, last.key, last.id) : null;
  return { records, unreadable, nextCursor };
}

function parsedOrCode(text: string): CredentialRecord | ErrorCode {
  try {
    return parseRecord(text);
  } catch (error) {
    if (isCredentialError(error)) return error.code;
    throw error;
  }
}

/** The name in a record of whatever version. */
function nameIn(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    return value instanceof Object && 'name' in value && typeof value.name === 'string' ? value.name : null;
  } catch {
    return null;
  }
}

/** The words of a text, without case and accents, each once. Long words are cut: a search finds them by their beginning. */
export function wordsOf(text: string): string[] {
  const plain = text.normalize('NFKD').toLowerCase().replace(/\p{M}/gu, '');
  return [...new Set([...plain.matchAll(/[\p{L}\p{N}]+/gu)].map(([word]) => cut(word)))];
}

/** The least text that is greater than all texts that begin with `prefix`, for words: none of them holds U+10FFFF. */
export function endOfPrefix(prefix: string): string {
  return `${prefix}\u{10FFFF}`;
}

/** The first units of a word, without half a character at the end. */
function cut(word: string): string {
  const start = word.slice(0, WORD_LIMIT);
  return start.isWellFormed() ? start : start.slice(0, -1);
}

function orderOf(filter: RecordFilter): ListOrder {
  if (filter.dueBefore) return 'dueAt';
  if (filter.expiringBefore) return 'expiresAt';
  return filter.name === undefined ? 'id' : 'word';
}

/** Only the list that gave a cursor takes it back: one of another order would skip records unseen. */
export function encodeCursor(order: string, key: string, id: string): string {
  return Buffer.from(JSON.stringify([order, key, id]), 'utf8').toString('base64url');
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function decodeCursor(cursor: string, order: string): ListPosition {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const parts = parseTexts(text);
  const [cursorOrder, key, id] = parts;
  if (parts.length === 3 && cursorOrder === order && key !== undefined && id !== undefined) return { key, id };
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The cursor is not one that this list returned.');
}

function parseTexts(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    const isTexts = Array.isArray(value) && value.every((part): part is string => typeof part === 'string');
    return isTexts && value.every(isStorable) ? value : [];
  } catch {
    return [];
  }
}
