import { spawn } from 'node:child_process';
import { createHmac, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { silentLogger, systemClock, systemFetch, systemRandom } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { openAuthStorage } from '../../src/sessions/open.ts';
import type { AuthStorage } from '../../src/sessions/auth-storage.ts';
import { wordsOf } from '../../src/storage/listing.ts';
import { openStores } from '../../src/storage/open.ts';
import type { Stores } from '../../src/storage/stores.ts';
import { temporaryFolder } from '../support/folder.ts';
import { seeded } from './random.ts';

/** `npm run chaos -- stores` sets both. */
const KILLS = Number(process.env['CREDLIFE_CHAOS_KILLS'] ?? 12);
const SEED = Number(process.env['CREDLIFE_CHAOS_SEED'] ?? randomInt(2 ** 31));
const STEPS = 200;
const LONGEST_LIFE_MS = 120;
const NAMES_PER_KIND = 8;

const KINDS = ['record', 'secret', 'token', 'session', 'keyValue'] as const;
type Kind = (typeof KINDS)[number];

interface Step {
  readonly what: Kind;
  readonly name: string;
  readonly version: number;
}

const ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
const hash = (purpose: string, text: string): Buffer =>
  createHmac('sha256', 'key').update(`${purpose}:${text}`).digest();
const random = seeded(SEED);
const choose = (count: number): number => Math.floor(random() * count);

/** The last version of each item that was acknowledged, and the step that was under way when its writer was killed. */
const acknowledged = new Map<string, Step>();
const secretsWritten: Step[] = [];
let inDoubt: Step | null = null;
let version = 0;
const tally = { kills: 0, acknowledged: 0, inDoubt: 0, tookEffect: 0 };

function nextCourse(): Step[] {
  return Array.from({ length: STEPS }, () => {
    version += 1;
    const what = KINDS[choose(KINDS.length)] ?? 'record';
    return { what, name: `${what} ${String(choose(NAMES_PER_KIND))}`, version };
  });
}

async function runUntilKilled(database: string): Promise<void> {
  const victim = spawn(
    process.execPath,
    [join(__dirname, 'stores-victim.mjs'), JSON.stringify({ database, course: nextCourse() })],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
  );
  const gone = once(victim, 'close');
  const lines = createInterface({ input: victim.stdout });
  const started = once(lines, 'line');
  lines.on('line', hear);
  await Promise.race([started, gone]);
  await delay(random() * LONGEST_LIFE_MS);
  victim.kill('SIGKILL');
  await gone;
  tally.kills += 1;
  if (inDoubt) tally.inDoubt += 1;
}

function hear(line: string): void {
  const { intended, acknowledged: done } = JSON.parse(line) as { intended?: Step; acknowledged?: Step };
  if (intended) inDoubt = intended;
  if (!done) return;
  tally.acknowledged += 1;
  inDoubt = null;
  settle(done);
}

function settle(step: Step): void {
  if (step.what === 'secret') secretsWritten.push(step);
  else acknowledged.set(step.name, step);
}

/** What should be there: a version that is a multiple of seven was a deletion, except for records. */
function isDeletion({ what, version: of }: Step): boolean {
  return what !== 'record' && of % 7 === 0;
}

async function versionOf({ records }: Stores, auth: AuthStorage, { what, name }: Step): Promise<number | null> {
  if (what === 'record') return numberOf((await records.get(name))?.config['version']);
  if (what === 'token') return numberOf((await auth.tokens.get(name))?.metadata['version']);
  if (what === 'session') return numberOf((await auth.sessions.get(name))?.data['version']);
  return numberOf((await auth.keyValues.get(name))?.toString());
}

function numberOf(value: unknown): number | null {
  return value === undefined ? null : Number(value);
}

/** Every acknowledged write is there; the one in doubt is there whole or not at all. */
async function examineItems(stores: Stores, auth: AuthStorage): Promise<void> {
  if (inDoubt && inDoubt.what !== 'secret') {
    const found = await versionOf(stores, auth, inDoubt);
    const wanted = isDeletion(inDoubt) ? null : inDoubt.version;
    const before = acknowledged.get(inDoubt.name);
    const beforeVersion = before && !isDeletion(before) ? before.version : null;
    expect([wanted, beforeVersion]).toContain(found);
    if (found === wanted) {
      tally.tookEffect += 1;
      settle(inDoubt);
    }
  }
  inDoubt = null;
  for (const step of acknowledged.values()) {
    expect({ step, found: await versionOf(stores, auth, step) }).toEqual({
      step,
      found: isDeletion(step) ? null : step.version,
    });
  }
  for (const { name, version: generation } of secretsWritten) {
    const value = await stores.secrets.get({ credentialId: name, field: 'grant', generation, attemptId: 'a' });
    expect(value?.toString()).toBe(`${name} ${String(generation)}`);
  }
}

/** Each token answers to its last access token and to no earlier one, and is listed once, for its last user. */
async function examineIndexes(auth: AuthStorage): Promise<void> {
  const tokens = [...acknowledged.values()].filter(({ what }) => what === 'token');
  const sessions = [...acknowledged.values()].filter(({ what }) => what === 'session');
  for (const { name, version: of } of tokens) {
    const found = await auth.tokens.getByAccessToken(Secret.of(`${name} ${String(of)}`));
    expect(found?.tokenId ?? null).toBe(of % 7 === 0 ? null : name);
  }
  const living = (steps: Step[], user: number): string[] =>
    steps.filter((step) => !isDeletion(step) && step.version % 5 === user).map(({ name }) => name);
  for (let user = 0; user < 5; user += 1) {
    const listed = (await auth.tokens.listByUser(`user ${String(user)}`)).map(({ tokenId }) => tokenId);
    expect(listed.sort()).toEqual(living(tokens, user).sort());
  }
  expect(await auth.statistics()).toMatchObject({
    tokens: tokens.filter((step) => !isDeletion(step)).length,
    sessions: sessions.filter((step) => !isDeletion(step)).length,
  });
}

/** The file is intact, and the tables that say which records have a tag or a word say just what the records say. */
function examineFile(path: string): void {
  const db = new Database(path);
  try {
    expect(db.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    const records = db.prepare<[], string>('SELECT record FROM records').pluck().all();
    const said = records.map((text) => JSON.parse(text) as { id: string; name: string; tags: string[] });
    const pairs = (table: string, column: string): string[] =>
      db.prepare<[], string>(`SELECT ${column} || ' ' || id FROM ${table}`).pluck().all().sort();
    expect(pairs('tags', 'tag')).toEqual(said.flatMap(({ id, tags }) => tags.map((tag) => `${tag} ${id}`)).sort());
    expect(pairs('words', 'word')).toEqual(
      said.flatMap(({ id, name }) => wordsOf(name).map((word) => `${word} ${id}`)).sort(),
    );
  } finally {
    db.close();
  }
}

it(
  `keeps every acknowledged write through ${String(KILLS)} kills (seed ${String(SEED)})`,
  async () => {
    const folder = temporaryFolder();
    const database = join(folder.path, 'c.db');
    while (tally.kills < KILLS) {
      await runUntilKilled(database);
      const stores = await openStores(database, ports);
      const auth = await openAuthStorage(database, { ports, hash });
      await examineItems(stores, auth);
      await examineIndexes(auth);
      await Promise.all([stores.records.close(), auth.close()]);
      examineFile(database);
    }
    folder.dispose();
    process.stdout.write(`chaos stores: seed ${String(SEED)}, ${JSON.stringify(tally)}\n`);
    // A run that never caught a writer at work has shown nothing.
    expect(tally.acknowledged).toBeGreaterThan(KILLS);
    expect(tally.inDoubt).toBeGreaterThan(0);
  },
  KILLS * 10_000,
);
