import { join } from 'node:path';
import Database from 'better-sqlite3';
import { systemClock } from '../../src/ports.ts';
import { SqliteWriter } from '../../src/storage/sqlite-writer.ts';
import { temporaryFolder } from '../support/folder.ts';

let folder: ReturnType<typeof temporaryFolder>;
let db: Database.Database;
let writer: SqliteWriter;
beforeEach(() => {
  folder = temporaryFolder();
  db = new Database(join(folder.path, 'w.db'));
  db.pragma('journal_mode = WAL');
  db.exec('CREATE TABLE t (n INTEGER PRIMARY KEY) STRICT');
  writer = new SqliteWriter(db, systemClock);
});
afterEach(() => {
  db.close();
  folder.dispose();
});

const add = (n: number) => (): number => db.prepare('INSERT INTO t VALUES (?)').run(n).changes;
const stored = (connection = db): unknown[] => connection.prepare('SELECT n FROM t ORDER BY n').pluck().all();
/** What another process sees. */
const seenElsewhere = (): unknown[] => {
  const other = new Database(db.name);
  try {
    return stored(other);
  } finally {
    other.close();
  }
};

describe('writes of one turn', () => {
  it('are committed together, in their order, and answered each for itself', async () => {
    const watcher = new Database(db.name);
    const before = Number(watcher.pragma('data_version', { simple: true }));
    const order: number[] = [];
    const writes = [1, 2, 3].map((n) =>
      writer.write(() => {
        order.push(n);
        return add(n)() * n;
      }),
    );
    expect(stored()).toEqual([]);
    await expect(Promise.all(writes)).resolves.toEqual([1, 2, 3]);
    expect(order).toEqual([1, 2, 3]);
    // Another connection's mark counts the commits of this one.
    expect(Number(watcher.pragma('data_version', { simple: true }))).toBe(before + 1);
    watcher.close();
  });

  it('are durable when they are answered', async () => {
    await writer.write(add(1));
    expect(seenElsewhere()).toEqual([1]);
  });

  it('do not take each other with them when one fails, nor leave half of the one that did', async () => {
    const failing = writer.write(() => {
      add(2)();
      throw new Error('refused');
    });
    const results = await Promise.allSettled([
      writer.write(add(1)),
      failing,
      writer.write(add(3)),
      writer.write(add(3)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected']);
    expect(seenElsewhere()).toEqual([1, 3]);
  });

  it('fail in our own words', async () => {
    await writer.write(add(1));
    await expect(writer.write(add(1))).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  });

  it('that come while others wait for the lock follow them', async () => {
    const other = new Database(db.name);
    other.exec('BEGIN IMMEDIATE');
    db.pragma('busy_timeout = 0');
    const first = writer.write(add(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const second = writer.write(() => stored().length);
    expect(seenElsewhere()).toEqual([]);
    other.exec('COMMIT');
    other.close();
    await expect(Promise.all([first, second])).resolves.toEqual([1, 1]);
  });

  it('all fail when their transaction ends under them', async () => {
    const full = writer.write(() => {
      db.exec('ROLLBACK');
      throw new Error('the disk is full');
    });
    const results = await Promise.allSettled([writer.write(add(1)), full, writer.write(add(2))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(seenElsewhere()).toEqual([]);
    await writer.write(add(4));
    expect(seenElsewhere()).toEqual([4]);
  });

  it('are made at once when the process has no time left', async () => {
    const waiting = writer.write(add(1));
    writer.flush();
    expect(seenElsewhere()).toEqual([1]);
    await expect(waiting).resolves.toBe(1);
  });

  it('that are refused at the last moment say so', async () => {
    const refused = writer.write(() => {
      throw new Error('refused');
    });
    writer.flush();
    await expect(refused).rejects.toThrow('refused');
  });
});
