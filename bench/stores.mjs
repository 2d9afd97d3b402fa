// A million records in one SQLite file beside ten thousand: open, first claim, claims and first pages, memory and file size; then
// what a durable commit costs with synchronous=FULL and NORMAL.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { aRecord, ports } from '../scripts/stores/built.mjs';
import { markdownTable, median } from './harness.mjs';

const require = createRequire(import.meta.url);
const { openSqlite, openSqliteDatabase } = require('../dist/src/storage/sqlite.js');
const { wordsOf } = require('../dist/src/storage/listing.js');
const Database = require('better-sqlite3');

const NOW = new Date('2026-03-01T12:00:00.000Z');
const MANY = Number(process.env.CREDLIFE_BENCH_RECORDS ?? 1_000_000);
const FEW = 10_000;
const MEBIBYTE = 2 ** 20;

/** A mix in which every filter has few and many to find: 200 owners, 50 scopes, 20 tags, 5 protocols; one record in four is due. */
function recordOf(index) {
  const secondsAway = (index * 7_919) % 4_000_000;
  return aRecord({
    id: idOf(index),
    name: `Service ${index % 1_000} of team ${index % 37} no. ${index}`,
    protocol: ['oauth2', 'saml', 'ldap', 'api-key', 'basic'][index % 5],
    state: index % 100 === 0 ? 'expired.needsUser' : 'valid.fresh',
    ownerId: `owner ${index % 200}`,
    scopeId: `scope ${index % 50}`,
    tags: [`tag ${index % 20}`, index % 50_000 === 0 ? 'rare' : 'common'],
    config: { issuer: 'https://as.example', grantType: 'refresh_token', clientId: `client-${index}` },
    refreshDueAt: new Date(NOW.getTime() + (secondsAway - 1_000_000) * 1_000),
    expiresAt: new Date(NOW.getTime() + secondsAway * 1_000),
  });
}

/** Straight into the tables and in their order, without a journal: what is measured is reading, not the fill. */
function fill(file, count) {
  openSqliteDatabase(file).close();
  const db = new Database(file);
  for (const setting of ['journal_mode = OFF', 'synchronous = OFF', 'cache_size = -200000', 'temp_store = FILE']) {
    db.pragma(setting);
  }
  const indexes = db
    .prepare(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('records', 'tags', 'words')",
    )
    .all();
  for (const { name } of indexes) db.exec(`DROP INDEX ${name}`);
  db.exec('CREATE TEMP TABLE some_tags (value, id); CREATE TEMP TABLE some_words (value, id);');
  const insert = db.prepare(
    `INSERT INTO records (id, revision, state, protocol, owner_id, scope_id, due_at, expires_at, record)
     VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const tag = db.prepare('INSERT INTO some_tags VALUES (?, ?)');
  const word = db.prepare('INSERT INTO some_words VALUES (?, ?)');
  const order = Array.from({ length: count }, (_, index) => ({ index, id: idOf(index) }));
  order.sort((one, other) => (one.id < other.id ? -1 : 1));
  db.transaction(() => {
    for (const { index } of order) {
      const record = recordOf(index);
      const { id, state, protocol, ownerId, scopeId, refreshDueAt, expiresAt } = record;
      const instants = [refreshDueAt.toISOString(), expiresAt.toISOString()];
      insert.run(id, state.split('.')[0], protocol, ownerId, scopeId, ...instants, JSON.stringify(record));
      for (const text of record.tags) tag.run(text, id);
      for (const text of wordsOf(record.name)) word.run(text, id);
    }
    db.exec('INSERT INTO tags SELECT value, id FROM some_tags ORDER BY value, id');
    db.exec('INSERT INTO words SELECT value, id FROM some_words ORDER BY value, id');
    for (const { sql } of indexes) db.exec(sql);
  })();
  db.close();
}

/** In no order that has to do with due times. */
function idOf(index) {
  return `cr_${((index * 2_654_435_761) % 4_294_967_296).toString(16).padStart(8, '0')}${index.toString(36)}`;
}

const FILTERS = {
  'no filter': {},
  owner: { ownerId: 'owner 7' },
  'owner that nobody is': { ownerId: 'nobody' },
  protocol: { protocol: 'oauth2' },
  'protocol that nobody has': { protocol: 'none' },
  'state of most': { state: 'valid' },
  'state of few': { state: 'expired' },
  'state of none': { state: 'revoked' },
  scope: { scopeId: 'scope 7' },
  'tag of most': { tags: ['common'] },
  'tag of few': { tags: ['rare'] },
  'two tags': { tags: ['rare', 'tag 0'] },
  'due before (few)': { dueBefore: new Date(NOW.getTime() - 999_990_000) },
  'due before (most)': { dueBefore: new Date(NOW.getTime() + 2_000_000_000) },
  'expiring before (few)': { expiringBefore: new Date(NOW.getTime() + 10_000) },
  'expiring before (most)': { expiringBefore: new Date(NOW.getTime() + 3_900_000_000) },
  'name: word of all': { name: 'serv' },
  'name: word of few': { name: '777' },
  'name: word of none': { name: 'zebra' },
};

/** Runs in a process of its own, so that its memory is that of a user who opened the file. */
async function measure(file) {
  const startedAt = performance.now();
  const { records } = openSqlite(file, ports.clock);
  const claim = () => records.claimDue({ limit: 100, owner: 'bench', leaseMs: 600_000, now: NOW });
  const first = await claim();
  const openMs = performance.now() - startedAt;
  const claimMs = [];
  for (let round = 0; round < 40; round += 1) {
    const at = performance.now();
    const claims = await claim();
    claimMs.push(performance.now() - at);
    // Given back, so that every round finds the same due records.
    for (const given of claims) await records.releaseClaim(given);
  }
  const lists = {};
  for (const [name, filter] of Object.entries(FILTERS)) {
    const times = [];
    let found = 0;
    for (let round = 0; round < 7; round += 1) {
      const at = performance.now();
      found = (await records.list(filter)).records.length;
      times.push(performance.now() - at);
    }
    lists[name] = { ms: median(times), firstMs: times[0], found };
  }
  const usage = process.memoryUsage().rss / MEBIBYTE;
  await records.close();
  process.stdout.write(JSON.stringify({ openMs, first: first.length, claimMs: median(claimMs), lists, usage }));
}

/** Durable commits, one at a time, as a refresh makes them. */
function commitsPerSecond(file, synchronous) {
  const db = openSqliteDatabase(file);
  db.pragma(`synchronous = ${synchronous}`);
  const write = db.prepare("INSERT INTO events (credential_id, event) VALUES ('x', '{}')");
  const endsAt = performance.now() + 1_000;
  let commits = 0;
  for (; performance.now() < endsAt; commits += 1) write.run();
  db.close();
  return commits;
}

function inOwnProcess(file) {
  const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), file], { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(child.stderr);
  return JSON.parse(child.stdout);
}

function compare() {
  const folder = mkdtempSync(path.join(tmpdir(), 'credlife-bench-'));
  try {
    const files = { few: path.join(folder, 'few.db'), many: path.join(folder, 'many.db') };
    fill(files.few, FEW);
    fill(files.many, MANY);
    const few = inOwnProcess(files.few);
    const many = inOwnProcess(files.many);
    const size = `${Math.round(statSync(files.many).size / MEBIBYTE).toLocaleString('en')} MiB`;
    const inBoth = (list) => `${ms(list.ms)} (cold ${ms(list.firstMs)})`;
    const ms = (value) => `${value.toFixed(1)} ms`;
    const row = (what, small, large, goal, isMet) => [what, small, large, size, goal, isMet ? 'yes' : 'no'];
    const rows = [
      row('open and first claim of 100', ms(few.openMs), ms(many.openMs), '≤ 2,000 ms', many.openMs <= 2_000),
      row(
        'resident memory',
        `${Math.round(few.usage)} MiB`,
        `${Math.round(many.usage)} MiB`,
        '≤ 200 MiB',
        many.usage <= 200,
      ),
      row('claimDue of 100 (median)', ms(few.claimMs), ms(many.claimMs), '≤ 1.5 ×', many.claimMs <= 1.5 * few.claimMs),
      ...Object.entries(many.lists).map(([name, list]) =>
        row(
          `first page: ${name} (${list.found} found)`,
          inBoth(few.lists[name]),
          inBoth(list),
          '≤ 20 ms',
          list.ms <= 20,
        ),
      ),
    ];
    const counts = [FEW, MANY].map((count) => `${count.toLocaleString('en')} records`);
    console.log(markdownTable(['SQLite', ...counts, 'file', 'goal', 'met'], rows));
    const commits = ['FULL', 'NORMAL'].map((mode) => [mode, commitsPerSecond(files.few, mode).toLocaleString('en')]);
    console.log(`\n${markdownTable(['synchronous', 'durable commits per second'], commits)}`);
    if (rows.some((cells) => cells.at(-1) === 'no')) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const file = process.argv[2];
if (file !== undefined && existsSync(file)) await measure(file);
else compare();
