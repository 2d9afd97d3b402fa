// The engines' database, seen from outside: what each credential says about itself, and the journal.
import Database from 'better-sqlite3';
import pg from 'pg';

/** @typedef {{ records(): Promise<any[]>, attempts(): Promise<any[]>, close(): Promise<void> }} Books */

/**
 * @param {string} database path or URL, as the engines have it
 * @returns {Promise<Books>}
 */
export async function openBooks(database) {
  return database.startsWith('postgres:') ? postgresBooks(database) : sqliteBooks(database);
}

/** @param {string[]} texts */
const parsed = (texts) => texts.map((text) => JSON.parse(text));

/**
 * @param {string} path
 * @returns {Books}
 */
function sqliteBooks(path) {
  const db = new Database(path, { readonly: true });
  const all = (/** @type {string} */ sql) => /** @type {string[]} */ (db.prepare(sql).pluck().all());
  return {
    records: async () => parsed(all('SELECT record FROM records')),
    attempts: async () => parsed(all('SELECT attempt FROM attempts ORDER BY fence')),
    close: async () => void db.close(),
  };
}

/**
 * @param {string} database
 * @returns {Promise<Books>}
 */
async function postgresBooks(database) {
  const url = new URL(database);
  const schema = url.searchParams.get('schema') ?? 'credlife';
  url.search = '';
  const client = new pg.Client({ connectionString: url.href, options: `-c search_path=${schema}` });
  await client.connect();
  const all = async (/** @type {string} */ sql) => (await client.query(sql)).rows.map(({ text }) => text);
  return {
    records: async () => parsed(await all('SELECT record AS text FROM records')),
    attempts: async () => parsed(await all('SELECT attempt AS text FROM attempts ORDER BY fence')),
    close: () => client.end(),
  };
}
