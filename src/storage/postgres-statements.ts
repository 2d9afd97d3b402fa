/** Any numbers; they only have to be the same in every process. */
const EVENTS_LOCK = 7_236_002;
export const SEAL_LOCK = 7_236_003;

export const IS_FREE = '(claim_owner IS NULL OR claim_until <= clock_timestamp())';

/** Free records that are due at `$1` and not among `$5`, the longest due first. */
export function dueRecords(which: string, limit: string): string {
  return `SELECT id FROM records WHERE ${which} AND due_at <= $1 AND ${IS_FREE} AND id <> ALL ($5::text[])
    ORDER BY due_at, id LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
}

/** A lease of so many milliseconds, of a holder whose death the server would notice or not. */
export function leasedFor(milliseconds: string, isHeld: string): string {
  return `claim_until = clock_timestamp() + ${milliseconds} * interval '1 millisecond',
    claim_bound_at = CASE WHEN ${isHeld}::boolean THEN clock_timestamp() END`;
}

/**
 * Appends events when `written` has a row. They get their numbers in the order of commits, by a lock: otherwise a reader's cursor
 * could pass an event that is committed late. `rows` is JSON, a list of [credential, event].
 */
export function eventsAppended(rows: string): string {
  return `numbering AS MATERIALIZED (
      SELECT pg_advisory_xact_lock(${String(EVENTS_LOCK)}, hashtext(current_schema()))
      FROM written WHERE json_array_length(${rows}::json) > 0),
    told AS (
      INSERT INTO events (credential_id, event)
      SELECT event ->> 0, event ->> 1 FROM numbering, json_array_elements(${rows}::json) WITH ORDINALITY AS e (event, place)
      ORDER BY place)`;
}

/** Tags and words of the record that was `written`. */
export function indexed(tags: string, words: string): string {
  return `${indexedBy('tags', 'tag', tags)}, ${indexedBy('words', 'word', words)}`;
}

function indexedBy(table: string, column: string, values: string): string {
  return `${table}_gone AS (
      DELETE FROM ${table} WHERE id IN (SELECT id FROM written) AND ${column} <> ALL (${values}::text[])),
    ${table}_added AS (
      INSERT INTO ${table} SELECT unnest(${values}::text[]), id FROM written ON CONFLICT DO NOTHING)`;
}

/** The record that is at revision `$11` as it shall be, with its journal. `durable` is made sure of before. */
export const RECORD_WRITTEN = `written AS (
    UPDATE records SET revision = $2, state = $3, protocol = $4, owner_id = $5, scope_id = $6, due_at = $7,
      expires_at = $8, record = $9, due_endpoint = $10,
      claim_owner = CASE WHEN claim_fence = $13 THEN NULL ELSE claim_owner END
    WHERE id = $1 AND revision = $11 AND ($12::bigint IS NULL OR claim_fence = $12) AND (SELECT count(*) FROM durable) >= 0
    RETURNING id),
  ${indexed('$14', '$15')},
  journaled AS (
    INSERT INTO attempts SELECT id, $16::bigint, $17 FROM written WHERE $17::text IS NOT NULL
    ON CONFLICT (credential_id, fence) DO UPDATE SET attempt = excluded.attempt)`;
