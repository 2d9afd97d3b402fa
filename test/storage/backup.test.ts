import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { restoreBackup } from '../../src/storage/restore.ts';
import { codeOf } from '../support/codes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { openTestVault, RAW_KEY, type TestVault } from '../support/vault.ts';

jest.setTimeout(60_000);

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
let file: string;
let one: TestVault;

beforeEach(async () => {
  folder = temporaryFolder();
  path = join(folder.path, 'c.db');
  file = join(folder.path, 'backup.db');
  one = await openTestVault({ path });
});
afterEach(async () => {
  await one.close();
  folder.dispose();
});

async function backup(to = file): Promise<void> {
  await one.stores.backup?.(to);
}

/** Reopens the store of this test on what now lies at its path. */
async function reopened(): Promise<TestVault> {
  one = await openTestVault({ path });
  return one;
}

describe('a backup', () => {
  it('is one file, for its owner alone, that opens with the same master key', async () => {
    await one.register('a');
    await backup();
    expect(statSync(file).mode & 0o077).toBe(0);
    const copy = await openTestVault({ path: file, masterKey: RAW_KEY });
    expect(await copy.read('a')).toEqual([{ clientSecret: 'secret of a' }]);
    expect(await copy.keys.verify()).toMatchObject({ unreadable: [], seal: 'intact' });
    await copy.close();
    await expect(openTestVault({ path: file, masterKey: Buffer.alloc(32) })).rejects.toMatchObject({
      code: 'ERR_KEYRING_MASTER_KEY_MISMATCH',
    });
  });

  it('is as sealed as the database', async () => {
    await one.register('a', { clientSecret: 'canary-in-a-backup' });
    await backup();
    expect(readFileSync(file).includes('canary-in-a-backup')).toBe(false);
  });

  it('is consistent while others write: every record in it opens, and its seal fits', async () => {
    for (let index = 0; index < 40; index += 1) await one.register(`c${String(index)}`);
    const other = await openTestVault({ path });
    const stop = new AbortController();
    const writer = (async () => {
      for (let turn = 0; !stop.signal.aborted; turn += 1) {
        await other.commitGrant(`c${String(turn % 40)}`, `turn ${String(turn)}`);
        await new Promise(setImmediate);
      }
    })();
    await backup();
    stop.abort();
    await writer;
    await other.close();
    const copy = await openTestVault({ path: file });
    expect(await copy.keys.verify()).toMatchObject({ records: 40, unreadable: [], seal: 'intact' });
    await copy.close();
  });

  it('overwrites nothing and leaves no half of itself', async () => {
    writeFileSync(file, 'something else');
    await expect(backup()).rejects.toMatchObject({ code: 'ERR_STORE_EXISTS' });
    expect(readFileSync(file, 'utf8')).toBe('something else');
    await expect(backup(join(folder.path, 'missing', 'b.db'))).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(existsSync(`${file}.partial`)).toBe(false);
  });
});

describe('a restore', () => {
  beforeEach(async () => {
    await one.register('a');
    await backup();
  });

  it('makes a database where there is none', async () => {
    const elsewhere = join(folder.path, 'elsewhere.db');
    expect(restoreBackup({ from: file, to: elsewhere })).toMatchObject({ replaced: null, older: false, kept: null });
    const copy = await openTestVault({ path: elsewhere });
    expect(await copy.read('a')).toEqual([{ clientSecret: 'secret of a' }]);
    await copy.close();
  });

  it('refuses to overwrite and says that the file is older than the store', async () => {
    await one.commitGrant('a', 'newer');
    const db = new Database(path);
    db.exec(`UPDATE records SET record = json_set(record, '$.updatedAt', '2099-01-01T00:00:00.000Z')`);
    db.close();
    await one.close();
    const restore = () => restoreBackup({ from: file, to: path });
    expect(codeOf(restore)).toBe('ERR_STORE_EXISTS');
    expect(restore).toThrow(/The backup is older than the database/);
    expect((await (await reopened()).record('a')).generation).toBe(1);
  });

  it('with force replaces the store, says that it is older and keeps the replaced one', async () => {
    await one.commitGrant('a', 'newer');
    const db = new Database(path);
    db.exec(`UPDATE records SET record = json_set(record, '$.updatedAt', '2099-01-01T00:00:00.000Z')`);
    db.close();
    await one.close();
    const restored = restoreBackup({ from: file, to: path, force: true });
    expect(restored).toMatchObject({ older: true, kept: `${path}.replaced`, backup: { records: 1 } });
    expect((await (await reopened()).record('a')).generation).toBe(0);
    const kept = await openTestVault({ path: `${path}.replaced` });
    expect((await kept.record('a')).generation).toBe(1);
    await kept.close();
  });

  it.each<[string, (at: string) => void]>([
    [
      'no database any more',
      (at) => {
        writeFileSync(at, 'x'.repeat(5_000));
      },
    ],
    [
      'damaged inside',
      (at) => {
        const bytes = readFileSync(at);
        bytes.fill(0xff, 4_096 * 3, 4_096 * 6);
        writeFileSync(at, bytes);
      },
    ],
  ])('with force replaces a store that is %s, and keeps that as well', async (_sentence, damage) => {
    await one.close();
    damage(path);
    const damaged = readFileSync(path);
    expect(() => restoreBackup({ from: file, to: path })).toThrow(/It is damaged/);
    expect(restoreBackup({ from: file, to: path, force: true })).toMatchObject({ replaced: null, older: false });
    // But for the header, in which SQLite notes that the journal has ended.
    expect(readFileSync(`${path}.replaced`).subarray(100)).toEqual(damaged.subarray(100));
    expect(await (await reopened()).read('a')).toEqual([{ clientSecret: 'secret of a' }]);
  });

  it('never replaces a store that somebody has open', async () => {
    expect(codeOf(() => restoreBackup({ from: file, to: path, force: true }))).toBe('ERR_STORE_IN_USE');
    expect(await one.read('a')).toEqual([{ clientSecret: 'secret of a' }]);
  });

  it.each<[string, string, (file: string) => void]>([
    [
      'what is no database',
      'ERR_STORE_CORRUPT',
      (at) => {
        writeFileSync(at, 'x'.repeat(5_000));
      },
    ],
    [
      'a database of something else',
      'ERR_STORE_FOREIGN',
      (at) => {
        new Database(at).exec('CREATE TABLE t (a)').close();
      },
    ],
    [
      'a database of a newer version',
      'ERR_STORE_SCHEMA_TOO_NEW',
      (at) => {
        const db = new Database(at);
        db.pragma(`application_id = ${String(0x63726c66)}`);
        db.pragma('user_version = 99');
        db.close();
      },
    ],
  ])('refuses %s and leaves the store as it is', async (_sentence, code, make) => {
    const other = join(folder.path, 'other.db');
    make(other);
    await one.close();
    expect(codeOf(() => restoreBackup({ from: other, to: path, force: true }))).toBe(code);
    expect(await (await reopened()).read('a')).toEqual([{ clientSecret: 'secret of a' }]);
  });

  it('refuses a damaged backup', async () => {
    const bytes = readFileSync(file);
    bytes.fill(0xff, 4_096 * 3, 4_096 * 6);
    writeFileSync(file, bytes);
    await one.close();
    expect(codeOf(() => restoreBackup({ from: file, to: path, force: true }))).toBe('ERR_STORE_CORRUPT');
    await reopened();
  });

  it('does not play the journal of a deleted database into the new one', async () => {
    await one.close();
    const elsewhere = join(folder.path, 'elsewhere.db');
    writeFileSync(`${elsewhere}-wal`, 'left behind');
    restoreBackup({ from: file, to: elsewhere });
    expect(existsSync(`${elsewhere}-wal`)).toBe(false);
    await reopened();
  });
});
