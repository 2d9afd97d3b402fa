import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/ports.ts';
import type { RecordStore } from '../../src/storage/record-store.ts';
import { SqliteHolders } from '../../src/storage/sqlite-holders.ts';
import { openSqlite } from '../../src/storage/sqlite.ts';
import { temporaryFolder } from '../support/folder.ts';
import { aRecord, NOW } from '../support/record.ts';
import { startHolder } from './support/workers.ts';

const HOUR = 3_600_000;
const id = 'cr_held';

let folder: ReturnType<typeof temporaryFolder>;
let records: RecordStore;
let holder: ChildProcess | null = null;
beforeEach(() => {
  folder = temporaryFolder();
  records = openStores().records;
});
afterEach(async () => {
  if (holder?.exitCode === null && holder.signalCode === null) await end(holder);
  holder = null;
  await records.close();
  folder.dispose();
});

const database = (): string => join(folder.path, 'c.db');
const openStores = () => openSqlite(database(), systemClock);
const holderFiles = (): string[] => readdirSync(folder.path).filter((name) => name.includes('-holder-'));
const insert = (state: 'refreshing.sent' | 'valid.fresh'): Promise<void> =>
  records.insert(aRecord({ id, state, refreshDueAt: NOW }), []);
const due = async (): Promise<string[]> =>
  (await records.listDue({ now: new Date(), limit: 10, exceptEndpoints: [] })).map(({ credentialId }) => credentialId);

async function hold(owner: string): Promise<ChildProcess> {
  holder = await startHolder({ database: database(), owner, ids: [id], leaseMs: HOUR });
  return holder;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** The holders are looked at four times a second. */
async function nextLook(): Promise<void> {
  const from = systemClock.hostTime().ms;
  while (systemClock.hostTime().ms - from < 300) await new Promise((resolve) => setImmediate(resolve));
}

describe('a claim of a process', () => {
  it('is over at once when the process was killed in the middle of a refresh, whatever its lease was', async () => {
    await insert('refreshing.sent');
    const child = await hold('other');
    expect(await records.claim(id, 'me', 1_000)).toBeNull();
    await end(child);
    await nextLook();
    expect(await records.claim(id, 'me', 1_000)).toMatchObject({ owner: 'me', fence: 2 });
  });

  it('lets the scheduler list the refresh that was cut off', async () => {
    await insert('refreshing.sent');
    const child = await hold('other');
    expect(await due()).toEqual([]);
    await end(child);
    await nextLook();
    expect(await due()).toEqual([id]);
  });

  it('lasts as long as the process, even when that is stopped', async () => {
    await insert('refreshing.sent');
    const child = await hold('other');
    child.kill('SIGSTOP');
    await nextLook();
    expect(await records.claim(id, 'me', 1_000)).toBeNull();
    expect(await due()).toEqual([]);
  });

  it('keeps to its lease where no refresh was under way', async () => {
    await insert('valid.fresh');
    await end(await hold('other'));
    await nextLook();
    expect(await records.claim(id, 'me', 1_000)).toBeNull();
  });

  it('keeps to its lease when its owner has no file', async () => {
    await insert('refreshing.sent');
    await end(await hold('an owner with no name for a file'));
    await nextLook();
    expect(await records.claim(id, 'me', 1_000)).toBeNull();
    expect(holderFiles()).toEqual(['c.db-holder-me']);
  });

  it('is no dead one because another engine of the same process looks at it', async () => {
    await insert('refreshing.sent');
    const other = openStores();
    await other.records.claim(id, 'beside', HOUR);
    await nextLook();
    expect(await records.claim(id, 'me', 1_000)).toBeNull();
    await other.records.close();
  });

  it('is not ended by a file of a name that no owner has', async () => {
    await insert('refreshing.sent');
    await hold('other');
    writeFileSync(`${database()}-holder-stranger`, '');
    await nextLook();
    expect(await records.claim(id, 'me', 1_000)).toBeNull();
  });
});

describe('the files of holders', () => {
  it('may go while another process looks at the same dead holder', async () => {
    await insert('refreshing.sent');
    await end(await hold('other'));
    const holders = new SqliteHolders(database());
    const released: string[] = [];
    await holders.ifDead('other', async () => {
      released.push('other');
      rmSync(`${database()}-holder-other`);
    });
    await holders.ifDead('other', async () => {
      released.push('again');
    });
    expect(released).toEqual(['other']);
  });

  it('are for their owner alone to read, hold nothing, and go with the store', async () => {
    await insert('refreshing.sent');
    await records.claim(id, 'me', 1_000);
    const file = `${database()}-holder-me`;
    expect(statSync(file)).toMatchObject({ size: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await records.close();
    expect(holderFiles()).toEqual([]);
    records = openStores().records;
  });

  it('that the dead left behind are swept up by the next holder', async () => {
    await insert('valid.fresh');
    await end(await hold('other'));
    expect(holderFiles()).toEqual(['c.db-holder-other']);
    await records.claim('cr_none', 'me', 1_000);
    expect(holderFiles()).toEqual(['c.db-holder-me']);
  });

  it('of the living stay', async () => {
    await insert('valid.fresh');
    await hold('other');
    await records.claim('cr_none', 'me', 1_000);
    expect(holderFiles().toSorted()).toEqual(['c.db-holder-me', 'c.db-holder-other']);
  });
});
