import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { SqliteLeases } from '../../src/lease/sqlite.ts';
import { systemRandom } from '../../src/ports.ts';
import { openSqlite, openSqliteDatabase } from '../../src/storage/sqlite.ts';
import { SCHEMA_VERSION } from '../../src/storage/sqlite-schema.ts';
import { temporaryFolder } from '../support/folder.ts';
import { StillClock } from '../support/still-clock.ts';

const FIXTURES = join(__dirname, '../fixtures/storage');
const OLD_VERSIONS = Array.from({ length: SCHEMA_VERSION - 1 }, (_, index) => index + 1);

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, 'c.db');
});
afterEach(() => {
  folder.dispose();
});

function restoreGolden(version: number): void {
  const db = new Database(path);
  db.exec(readFileSync(join(FIXTURES, `v${String(version)}.sql`), 'utf8'));
  db.close();
}

/** The tables and indexes of a database, without the white space that they were written with. */
function schemaOf(file: string): string[] {
  const db = new Database(file);
  const texts = db.prepare<[], string>('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL').pluck().all();
  db.close();
  return texts.map((text) => text.replace(/\s+/g, ' ').replace(/ ?([(),]) ?/g, '$1')).sort();
}

describe.each(OLD_VERSIONS)('a database of schema version %i', (version) => {
  it('opens with all that it held, and can be searched', async () => {
    restoreGolden(version);
    const { records, secrets } = openSqlite(path, new StillClock());
    expect((await records.list({})).records.map(({ id }) => id)).toEqual(['cr_plain', 'cr_valid']);
    expect(await records.get('cr_valid')).toMatchObject({ state: 'refreshing.sent', revision: 2, generation: 1 });
    expect(await records.lastAttempt('cr_valid')).toMatchObject({ attemptId: 'a2', phase: 'sent' });
    expect((await records.readEvents(0, 10)).events.map(({ eventId }) => eventId)).toEqual(['e1', 'e2']);
    expect(await records.getAccessKey('k1')).toMatchObject({ scopes: ['use'] });
    expect(await records.getKeyRing()).toBe('{"golden":true}');
    const name = { credentialId: 'cr_valid', field: 'grant', generation: 1, attemptId: 'a1' } as const;
    expect(await secrets.get(name)).toEqual(Buffer.from([0, 255, 16]));
    expect((await secrets.listMetadata({})).entries).toEqual([{ key: name, metadata: null }]);
    for (const filter of [{ name: 'production' }, { tags: ["it's"] }, { ownerId: 'alice' }, { scopeId: 's1' }]) {
      expect((await records.list(filter)).records.map(({ id }) => id)).toEqual(['cr_plain']);
    }
    expect((await records.list({ name: '日本' })).records.map(({ id }) => id)).toEqual(['cr_valid']);
    await records.close();
  });

  it('has the schema of a new database afterwards, to the letter', async () => {
    restoreGolden(version);
    await openSqlite(path, new StillClock()).records.close();
    const fresh = join(folder.path, 'fresh.db');
    await openSqlite(fresh, new StillClock()).records.close();
    expect(schemaOf(path)).toEqual(schemaOf(fresh));
  });

  it('stays as it was when the migration is cut off', async () => {
    restoreGolden(version);
    const before = schemaOf(path);
    const db = new Database(path);
    // The last statement of the migration meets a table that is in its way.
    db.exec('CREATE TABLE records_interrupted (in_the_way TEXT)');
    expect(() => openSqliteDatabase(path)).toThrow();
    expect(schemaOf(path)).toEqual([...before, 'CREATE TABLE records_interrupted(in_the_way TEXT)'].sort());
    expect(db.pragma('user_version', { simple: true })).toBe(version);
    db.exec('DROP TABLE records_interrupted');
    db.close();
    const leases = SqliteLeases.open(path, { clock: new StillClock(), random: systemRandom });
    expect(await leases.acquire('work', 1_000)).toMatchObject({ fence: 1 });
    await leases.close();
  });
});

it('there is a golden file of every older version', () => {
  for (const version of OLD_VERSIONS) {
    expect(readFileSync(join(FIXTURES, `v${String(version)}.sql`), 'utf8')).toContain(
      `user_version = ${String(version)};`,
    );
  }
});

it('every connection waits for the disk at each commit, and journals by WAL', () => {
  const db = openSqliteDatabase(path);
  // 2 is FULL. With NORMAL a power cut may take back commits that were acknowledged.
  expect(db.pragma('synchronous', { simple: true })).toBe(2);
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
  db.close();
});
