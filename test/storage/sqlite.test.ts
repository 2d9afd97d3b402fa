import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { openSqlite } from '../../src/storage/sqlite.ts';
import { recordStoreConformance } from '../conformance/record-store.ts';
import { secretStoreConformance } from '../conformance/secret-store.ts';
import { codeOf } from '../support/codes.ts';
import { StillClock } from '../support/still-clock.ts';
import { temporaryFolder } from '../support/engine.ts';
import { aRecord } from '../support/record.ts';

const clock = new StillClock();

function inFile() {
  const folder = temporaryFolder();
  const ownClock = new StillClock();
  const { records, secrets } = openSqlite(join(folder.path, 'c.db'), ownClock);
  const dispose = async (): Promise<void> => {
    await records.close();
    folder.dispose();
  };
  return { store: records, records, secrets, clock: ownClock, dispose };
}

function inMemory() {
  const ownClock = new StillClock();
  const { records, secrets } = openSqlite('memory', ownClock);
  return { store: records, secrets, clock: ownClock, dispose: () => records.close() };
}

recordStoreConformance('SQLite file', async () => inFile());
recordStoreConformance('SQLite in memory', async () => inMemory());
secretStoreConformance('SQLite file', async () => {
  const { secrets, dispose } = inFile();
  return { store: secrets, dispose };
});
secretStoreConformance('SQLite in memory', async () => {
  const { secrets, dispose } = inMemory();
  return { store: secrets, dispose };
});

describe('a SQLite file', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let path: string;
  beforeEach(() => {
    folder = temporaryFolder();
    path = join(folder.path, 'c.db');
  });
  afterEach(() => {
    folder.dispose();
  });

  it('is readable by its owner alone, with its journal', async () => {
    const { records } = openSqlite(path, clock);
    await records.insert(aRecord(), []);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) expect(statSync(file).mode & 0o077).toBe(0);
    await records.close();
  });

  it('shows a write of one process to another, and its mark tells', async () => {
    const one = openSqlite(path, clock).records;
    const two = openSqlite(path, clock).records;
    const before = two.changeMark();
    await one.insert(aRecord(), []);
    expect(two.changeMark()).not.toBe(before);
    expect((await two.get(aRecord().id))?.name).toBe('Example');
    await Promise.all([one.close(), two.close()]);
  });

  it('refuses a missing folder with one code', () => {
    expect(codeOf(() => openSqlite(join(folder.path, 'missing', 'c.db'), clock))).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('refuses what is no database and leaves it as it is', () => {
    writeFileSync(path, 'this is a text file, and a long enough one to be looked at');
    expect(codeOf(() => openSqlite(path, clock))).toBe('ERR_STORE_CORRUPT');
    expect(readFileSync(path, 'utf8')).toContain('this is a text file');
  });

  it('refuses a folder in the place of the file', () => {
    expect(codeOf(() => openSqlite(folder.path, clock))).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('refuses a database of a newer version and changes nothing', async () => {
    await openSqlite(path, clock).records.close();
    const db = new Database(path);
    db.pragma('user_version = 99');
    db.close();
    expect(codeOf(() => openSqlite(path, clock))).toBe('ERR_STORE_SCHEMA_TOO_NEW');
    expect(new Database(path).pragma('user_version', { simple: true })).toBe(99);
  });

  it('refuses one record of a newer version or shape and still gives the others', async () => {
    const { records } = openSqlite(path, clock);
    await records.insert(aRecord({ id: 'good' }), []);
    await records.insert(aRecord({ id: 'newer' }), []);
    await records.insert(aRecord({ id: 'broken' }), []);
    const db = new Database(path);
    db.exec(`UPDATE records SET record = json_set(record, '$.schemaVersion', 99) WHERE id = 'newer'`);
    db.exec(`UPDATE records SET record = '{' WHERE id = 'broken'`);
    await expect(records.get('newer')).rejects.toMatchObject({ code: 'ERR_STORE_SCHEMA_TOO_NEW' });
    await expect(records.get('broken')).rejects.toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' });
    expect((await records.get('good'))?.id).toBe('good');
    db.close();
    await records.close();
  });

  it('frees the claims of another boot of the host', async () => {
    const first = openSqlite(path, clock).records;
    await first.insert(aRecord(), []);
    expect(await first.claim(aRecord().id, 'a', 1_000_000)).not.toBeNull();
    const rebooted = new StillClock();
    rebooted.hostTime = () => ({ epoch: 'next boot', ms: 1 });
    const second = openSqlite(path, rebooted).records;
    expect(await second.claim(aRecord().id, 'b', 4_000)).not.toBeNull();
    await Promise.all([first.close(), second.close()]);
  });

  it('leaves no file behind when its folder may not be written', () => {
    if (process.getuid?.() === 0) {
      // Root may write anywhere: a file in the place of the folder is refused for everybody.
      writeFileSync(join(folder.path, 'file'), '');
      expect(codeOf(() => openSqlite(join(folder.path, 'file', 'c.db'), clock))).toBe('ERR_STORE_UNAVAILABLE');
      return;
    }
    chmodSync(folder.path, 0o500);
    expect(codeOf(() => openSqlite(path, clock))).toBe('ERR_STORE_UNAVAILABLE');
    expect(existsSync(path)).toBe(false);
    chmodSync(folder.path, 0o700);
  });
});
