import { endOfPrefix, type Listing } from './listing.ts';
import type { Parameter } from './postgres-database.ts';

export interface PostgresQuery {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
}

/** Query for one page: one row more than `limit`, walking the index that the page is sorted by. */
export function postgresListQuery(listing: Listing): PostgresQuery {
  const parameters: Parameter[] = [];
  const bind = (parameter: Parameter): string => `$${parameters.push(parameter)}`;
  const { source, key, id } = sourceOf(listing);
  const conditions = [
    ...columnConditions(listing, bind),
    ...positionConditions(listing, { key, id }, bind),
    ...tagConditions(listing, bind),
    ...wordConditions(listing, bind),
  ];
  const where = conditions.join(' AND ') || 'TRUE';
  const order = key === "''" ? id : `${key}, ${id}`;
  const limit = bind(listing.limit + 1);
  return {
    sql: `SELECT r.id, r.record, ${key} AS key FROM ${source} WHERE ${where} ORDER BY ${order} LIMIT ${limit}`,
    parameters,
  };
}

type Bind = (parameter: Parameter) => string;

function sourceOf({ order, tags }: Listing): { source: string; key: string; id: string } {
  if (order === 'dueAt') return { source: 'records r', key: 'r.due_at', id: 'r.id' };
  if (order === 'expiresAt') return { source: 'records r', key: 'r.expires_at', id: 'r.id' };
  if (order === 'word') return { source: 'words w JOIN records r ON r.id = w.id', key: 'w.word', id: 'w.id' };
  if (tags.length > 0) return { source: 'tags t JOIN records r ON r.id = t.id', key: "''", id: 't.id' };
  return { source: 'records r', key: "''", id: 'r.id' };
}

function columnConditions({ filter }: Listing, bind: Bind): string[] {
  const { ownerId, protocol, state, scopeId, dueBefore, expiringBefore } = filter;
  return [
    ...(ownerId === undefined ? [] : [`r.owner_id = ${bind(ownerId)}`]),
    ...(protocol === undefined ? [] : [`r.protocol = ${bind(protocol)}`]),
    ...(state === undefined ? [] : [`r.state = ${bind(state)}`]),
    ...(scopeId === undefined ? [] : [`r.scope_id = ${bind(scopeId)}`]),
    ...(dueBefore ? [`r.due_at < ${bind(dueBefore.toISOString())}`] : []),
    ...(expiringBefore ? [`r.expires_at < ${bind(expiringBefore.toISOString())}`] : []),
  ];
}

function positionConditions({ after, order }: Listing, column: { key: string; id: string }, bind: Bind): string[] {
  if (after === null) return [];
  if (order === 'id') return [`${column.id} > ${bind(after.id)}`];
  return [`(${column.key}, ${column.id}) > (${bind(after.key)}, ${bind(after.id)})`];
}

function tagConditions({ tags, order }: Listing, bind: Bind): string[] {
  return tags.map((tag, index) =>
    order === 'id' && index === 0
      ? `t.tag = ${bind(tag)}`
      : `EXISTS (SELECT 1 FROM tags WHERE tag = ${bind(tag)} AND tags.id = r.id)`,
  );
}

function wordConditions({ words, order }: Listing, bind: Bind): string[] {
  return words.flatMap((word, index) => {
    const [from, to] = [bind(word), bind(endOfPrefix(word))];
    if (order !== 'word' || index > 0) {
      return [`EXISTS (SELECT 1 FROM words v WHERE v.id = r.id AND v.word >= ${from} AND v.word < ${to})`];
    }
    return [
      `w.word >= ${from} AND w.word < ${to}`,
      // A name with two such words is shown once, at the first of them.
      `NOT EXISTS (SELECT 1 FROM words v WHERE v.id = w.id AND v.word >= ${from} AND v.word < w.word)`,
    ];
  });
}
