import { endOfPrefix, type Listing } from './listing.ts';

export interface Query {
  readonly sql: string;
  readonly parameters: readonly (string | number)[];
}

interface Part {
  readonly sql: string;
  readonly parameters: readonly string[];
}

/**
 * Query for one page: one row more than `limit`. The page walks one index in the order that it is sorted by, so that a filter
 * that few records match costs as little as one that all match. CROSS JOIN is SQLite's word for "in this order".
 */
export function listQuery(listing: Listing): Query {
  const { source, key, id } = sourceOf(listing);
  const conditions = conditionsOf(listing, key, id);
  const where = conditions.map(({ sql }) => sql).join(' AND ') || 'TRUE';
  return {
    sql: `SELECT r.id, r.record, ${key} AS key FROM ${source} WHERE ${where} ORDER BY ${orderOf(key, id)} LIMIT ?`,
    parameters: [...conditions.flatMap(({ parameters }) => parameters), listing.limit + 1],
  };
}

/** Where the page comes from, what it is sorted by, and where its ids are read. */
function sourceOf({ order, tags }: Listing): { source: string; key: string; id: string } {
  if (order === 'dueAt') return { source: 'records r', key: 'r.due_at', id: 'r.id' };
  if (order === 'expiresAt') return { source: 'records r', key: 'r.expires_at', id: 'r.id' };
  if (order === 'word') return { source: 'words w CROSS JOIN records r ON r.id = w.id', key: 'w.word', id: 'w.id' };
  if (tags.length > 0) return { source: 'tags t CROSS JOIN records r ON r.id = t.id', key: "''", id: 't.id' };
  return { source: 'records r', key: "''", id: 'r.id' };
}

function orderOf(key: string, id: string): string {
  return key === "''" ? id : `${key}, ${id}`;
}

function conditionsOf(listing: Listing, key: string, id: string): Part[] {
  const { filter, after, order } = listing;
  const parts: Part[] = [];
  const add = (sql: string, ...parameters: string[]): unknown => parts.push({ sql, parameters });
  if (filter.ownerId !== undefined) add('r.owner_id = ?', filter.ownerId);
  if (filter.protocol !== undefined) add('r.protocol = ?', filter.protocol);
  if (filter.state !== undefined) add('r.state = ?', filter.state);
  if (filter.scopeId !== undefined) add('r.scope_id = ?', filter.scopeId);
  if (filter.dueBefore) add('r.due_at < ?', filter.dueBefore.toISOString());
  if (filter.expiringBefore) add('r.expires_at < ?', filter.expiringBefore.toISOString());
  if (after && order === 'id') add(`${id} > ?`, after.id);
  if (after && order !== 'id') add(`(${key}, ${id}) > (?, ?)`, after.key, after.id);
  return [...parts, ...tagParts(listing), ...wordParts(listing)];
}

function tagParts({ tags, order }: Listing): Part[] {
  return tags.map((tag, index) =>
    order === 'id' && index === 0
      ? { sql: 't.tag = ?', parameters: [tag] }
      : { sql: 'EXISTS (SELECT 1 FROM tags WHERE tag = ? AND tags.id = r.id)', parameters: [tag] },
  );
}

function wordParts({ words, order }: Listing): Part[] {
  return words.flatMap((word, index): Part[] => {
    const range = [word, endOfPrefix(word)];
    if (order !== 'word' || index > 0) {
      return [
        { sql: 'EXISTS (SELECT 1 FROM words v WHERE v.id = r.id AND v.word >= ? AND v.word < ?)', parameters: range },
      ];
    }
    return [
      { sql: 'w.word >= ? AND w.word < ?', parameters: range },
      // A name with two such words is shown once, at the first of them.
      {
        sql: 'NOT EXISTS (SELECT 1 FROM words v WHERE v.id = w.id AND v.word >= ? AND v.word < w.word)',
        parameters: [word],
      },
    ];
  });
}
