import { lifecycleStateOf, type CredentialRecord } from '../lifecycle/credential.ts';
import { wordsOf, type Listing, type ListPosition } from './listing.ts';
import { compareTexts } from './texts.ts';

export interface ListedRow {
  readonly record: CredentialRecord;
  /** What it is sorted by; empty in the order of ids. */
  readonly key: string;
}

/** What of a record a listing looks at. */
export type Listed = Pick<
  CredentialRecord,
  'name' | 'ownerId' | 'protocol' | 'state' | 'scopeId' | 'tags' | 'expiresAt'
> & { readonly dueAt: Date | null };

/** The sort key of a record that a listing shows; `null` for one that it does not. */
export function matchingKey(record: Listed, { filter, tags, words, order }: Listing): string | null {
  const { ownerId, protocol, state, scopeId, dueBefore, expiringBefore } = filter;
  const { dueAt, expiresAt } = record;
  const own = wordsOf(record.name);
  const matches =
    (ownerId === undefined || record.ownerId === ownerId) &&
    (protocol === undefined || record.protocol === protocol) &&
    (state === undefined || lifecycleStateOf(record.state) === state) &&
    (scopeId === undefined || record.scopeId === scopeId) &&
    (dueBefore === undefined || (dueAt !== null && dueAt < dueBefore)) &&
    (expiringBefore === undefined || (expiresAt !== null && expiresAt < expiringBefore)) &&
    tags.every((tag) => record.tags.includes(tag)) &&
    words.every((beginning) => own.some((word) => word.startsWith(beginning)));
  if (!matches) return null;
  if (order === 'dueAt') return dueAt?.toISOString() ?? '';
  if (order === 'expiresAt') return expiresAt?.toISOString() ?? '';
  if (order === 'id') return '';
  return own.filter((word) => word.startsWith(words[0] ?? '')).sort(compareTexts)[0] ?? '';
}

/** By key, then id, from behind a position. */
export function sortRows(rows: readonly ListedRow[], after: ListPosition | null): ListedRow[] {
  const sorted = rows.toSorted((a, b) => compareTexts(a.key, b.key) || compareTexts(a.record.id, b.record.id));
  if (after === null) return sorted;
  return sorted.filter(({ record, key }) => (compareTexts(key, after.key) || compareTexts(record.id, after.id)) > 0);
}
