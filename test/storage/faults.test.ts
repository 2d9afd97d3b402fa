import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { isCredentialError } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { AuthStorage } from '../../src/sessions/auth-storage.ts';
import { SqliteAuthRows } from '../../src/sessions/sqlite-rows.ts';
import { silentLogger } from '../../src/ports.ts';
import { SqliteRecordStore } from '../../src/storage/sqlite-records.ts';
import { openSqlite, openSqliteDatabase } from '../../src/storage/sqlite.ts';
import { aToken, hash } from '../conformance/auth-storage.ts';
import { codeOf } from '../support/codes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { aRecord } from '../support/record.ts';
import { StillClock } from '../support/still-clock.ts';

const clock = new StillClock();

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.dispose();
});

/** A page limit is a full disk to SQLite: the same code, met in the same places, without a mount. */
function fill(db: Database.Database): () => void {
  const pages = Number(db.pragma('page_count', { simple: true }));
  db.pragma(`max_page_count = ${String(pages)}`);
  return () => db.pragma('max_page_count = 1073741823');
}

describe('a full disk', () => {
  it('refuses a record with one code, keeps nothing of it, and takes it once there is room', async () => {
    const db = openSqliteDatabase(join(folder.path, 'c.db'));
    const store = new SqliteRecordStore(db, clock);
    await store.insert(aRecord({ id: 'before' }), []);
    const makeRoom = fill(db);
    const big = aRecord({ id: 'big', tags: ['t'], name: 'Big one', config: { padding: 'x'.repeat(100_000) } });
    await expect(store.insert(big, [])).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(await store.get('big')).toBeNull();
    expect((await store.list({ tags: ['t'] })).records).toEqual([]);
    expect((await store.list({ name: 'big' })).records).toEqual([]);
    expect((await store.readEvents(0, 10)).events).toEqual([]);
    expect(await store.get('before')).not.toBeNull();
    makeRoom();
    await store.insert(big, []);
    expect(await store.get('big')).toEqual(big);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    await store.close();
  });

  it('refuses a token with one code and leaves no index entry of it', async () => {
    const db = openSqliteDatabase(join(folder.path, 'c.db'));
    const rows = new SqliteAuthRows(db);
    const auth = new AuthStorage({ rows, ports: { clock, logger: silentLogger }, hash });
    const makeRoom = fill(db);
    const token = aToken('t', { metadata: { padding: 'x'.repeat(100_000) } });
    await expect(auth.tokens.put(token)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(await auth.tokens.getByAccessToken(Secret.of('access-t'))).toBeNull();
    expect(await auth.tokens.listByUser('alice')).toEqual([]);
    makeRoom();
    await auth.tokens.put(token);
    expect(await auth.tokens.getByAccessToken(Secret.of('access-t'))).not.toBeNull();
    await auth.close();
  });
});

/** A file system of its own where we may mount one, which takes the rights of root. */
function mountedDisk(): string | null {
  const path = join(folder.path, 'disk');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path], { stdio: 'pipe' });
    return path;
  } catch {
    return null;
  }
}

function unmount(disk: string | null): void {
  if (disk !== null) execFileSync('umount', ['-l', disk]);
}

it('a disk that fills up record by record loses nothing that was acknowledged, and works again', async () => {
  const disk = mountedDisk();
  const path = join(disk ?? folder.path, 'c.db');
  const db = openSqliteDatabase(path);
  const ballast = join(disk ?? folder.path, 'ballast');
  writeFileSync(ballast, Buffer.alloc(1_000_000));
  // Without a disk of our own the limit on pages stands for its end.
  if (disk === null) db.pragma('max_page_count = 200');
  const store = new SqliteRecordStore(db, clock);
  const kept: string[] = [];
  const fillUp = async (): Promise<never> => {
    for (;;) {
      const id = `cr_${String(kept.length).padStart(4, '0')}`;
      await store.insert(aRecord({ id, tags: ['t'], config: { padding: 'x'.repeat(4_000) } }), []);
      kept.push(id);
    }
  };
  const listed = async (): Promise<string[]> =>
    (await store.list({ tags: ['t'], limit: 1_000 })).records.map(({ id }) => id);
  try {
    await expect(fillUp()).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(kept.length).toBeGreaterThan(10);
    expect(await listed()).toEqual(kept);
    rmSync(ballast);
    if (disk === null) db.pragma('max_page_count = 1073741823');
    await store.insert(aRecord({ id: 'zz', tags: ['t'] }), []);
    expect(await listed()).toEqual([...kept, 'zz']);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
    await store.close();
  } finally {
    unmount(disk);
  }
});

it('a folder that may only be read gives one code and gets no file', async () => {
  const disk = mountedDisk();
  // Where nothing can be mounted: a folder that not even root may write.
  const place = disk ?? '/proc';
  try {
    if (disk !== null) {
      await openSqlite(join(disk, 'old.db'), clock).records.close();
      execFileSync('mount', ['-o', 'remount,ro', disk]);
      expect(codeOf(() => openSqlite(join(disk, 'old.db'), clock))).toBe('ERR_STORE_UNAVAILABLE');
    }
    expect(codeOf(() => openSqlite(join(place, 'new.db'), clock))).toBe('ERR_STORE_UNAVAILABLE');
    expect(existsSync(join(place, 'new.db'))).toBe(false);
  } finally {
    unmount(disk);
  }
});

it('a database file that may only be read refuses writes with one code', async () => {
  const path = join(folder.path, 'c.db');
  const { records } = openSqlite(path, clock);
  await records.insert(aRecord(), []);
  await records.close();
  const db = new Database(path);
  db.pragma('query_only = ON');
  const store = new SqliteRecordStore(db, clock);
  const refused = await store.insert(aRecord({ id: 'b' }), []).catch((error: unknown) => error);
  expect(isCredentialError(refused) && refused.code).toBe('ERR_STORE_UNAVAILABLE');
  expect((await store.list({})).records).toEqual([aRecord()]);
  db.pragma('query_only = OFF');
  await store.insert(aRecord({ id: 'b' }), []);
  await store.close();
});
