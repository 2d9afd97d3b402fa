import { ConfigurationError } from '../errors.ts';
import type { RecordFilter } from './record-store.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;

/** Query for one page: one row more than `limit`, which tells whether another page follows. */
export function listQuery(filter: RecordFilter): { sql: string; parameters: unknown[]; limit: number } {
  const limit = filter.limit ?? DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      `The limit must be a whole number from 1 to ${String(MAX_LIMIT)}.`,
    );
  }
  const conditions: [string, unknown][] = [];
  if (filter.ownerId !== undefined) conditions.push(['owner_id = ?', filter.ownerId]);
  if (filter.protocol !== undefined) conditions.push(['protocol = ?', filter.protocol]);
  if (filter.state !== undefined) conditions.push(['state = ?', filter.state]);
  if (filter.scopeId !== undefined) conditions.push(['scope_id = ?', filter.scopeId]);
  if (filter.dueBefore !== undefined) conditions.push(['due_at < ?', filter.dueBefore.toISOString()]);
  if (filter.cursor !== undefined) conditions.push(['id > ?', decodeCursor(filter.cursor)]);
  for (const tag of filter.tags ?? [])
    conditions.push(['EXISTS (SELECT 1 FROM tags WHERE tag = ? AND tags.id = records.id)', tag]);
  const where = conditions.map(([condition]) => condition).join(' AND ') || 'TRUE';
  return {
    sql: `SELECT record FROM records WHERE ${where} ORDER BY id LIMIT ?`,
    parameters: [...conditions.map(([, parameter]) => parameter), limit + 1],
    limit,
  };
}

function decodeCursor(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString('utf8');
  if (id !== '' && Buffer.from(id, 'utf8').toString('base64url') === cursor) return id;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The cursor is not one that a list returned.');
}
