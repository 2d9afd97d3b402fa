import { join } from 'node:path';
import type { CredentialRecord } from '../../src/lifecycle/credential.ts';
import { LEASE_MS } from '../../src/lifecycle/held-claim.ts';
import { Scheduler } from '../../src/lifecycle/scheduler.ts';
import { silentLogger, systemFetch, systemRandom } from '../../src/ports.ts';
import { SqliteRecordStore } from '../../src/storage/sqlite-records.ts';
import { openSqlite } from '../../src/storage/sqlite.ts';
import type { Stores } from '../../src/storage/stores.ts';
import { temporaryFolder } from '../support/folder.ts';
import { aRecord, NOW, secondsAfter } from '../support/record.ts';
import { SteppedClock } from '../support/stepped-clock.ts';

const NEVER = new Promise<void>(() => undefined);

let folder: ReturnType<typeof temporaryFolder>;
let clock: SteppedClock;
/** The scheduler's own connection, and that of another process. */
let ours: Stores;
let theirs: Stores;
let woken: { id: string; at: Date }[];
/** Endpoints that must not be asked, and those that are being tried. */
const shut = new Set<string>();
const tried = new Set<string>();

beforeEach(() => {
  folder = temporaryFolder();
  clock = new SteppedClock();
  ours = openSqlite(join(folder.path, 'c.db'), clock);
  theirs = openSqlite(join(folder.path, 'c.db'), clock);
  woken = [];
  shut.clear();
  tried.clear();
});

afterEach(async () => {
  await ours.records.close();
  await theirs.records.close();
  folder.dispose();
});

function start(run: (id: string) => Promise<void> = () => NEVER): Scheduler {
  const ports = { clock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  const scheduler = new Scheduler({
    ports,
    records: ours.records,
    owner: 'us',
    run: (claim) => {
      woken.push({ id: claim.credentialId, at: clock.now() });
      return run(claim.credentialId);
    },
    busy: () => [],
    openness: (endpoint) => Promise.resolve({ waitMs: shut.has(endpoint) ? 60_000 : 0, isTried: tried.has(endpoint) }),
  });
  scheduler.start();
  return scheduler;
}

/** Another process takes a credential, writes its intent down, and dies. */
async function dieInRefresh(id: string): Promise<void> {
  const claim = await theirs.records.claim(id, 'them', LEASE_MS);
  const record = await theirs.records.get(id);
  if (!claim || !record) throw new Error('no claim');
  const next: CredentialRecord = {
    ...record,
    state: 'refreshing.sent',
    refreshDueAt: clock.now(),
    revision: record.revision + 1,
  };
  await theirs.records.compareAndSet({ record: next, expectedRevision: record.revision, claim });
}

it('takes over what another process died at within five seconds, however long it meant to sleep', async () => {
  await theirs.records.insert(aRecord({ id: 'cr', refreshDueAt: secondsAfter(NOW, 3_600) }), []);
  start();
  // It has looked, found nothing for an hour, and sleeps.
  await clock.advance(1_000);
  await dieInRefresh('cr');
  await clock.advance(5_000);
  expect(woken.map(({ id }) => id)).toEqual(['cr']);
});

it('takes over an interrupted refresh although its places are full of slow ones and hundreds are overdue', async () => {
  for (let count = 0; count < 100; count += 1)
    await theirs.records.insert(
      aRecord({ id: `slow-${String(count)}`, refreshDueAt: secondsAfter(NOW, -60), endpoint: `as-${String(count)}` }),
      [],
    );
  await theirs.records.insert(aRecord({ id: 'z-died' }), []);
  start();
  await clock.advance(1_000);
  expect(woken).toHaveLength(16);
  await dieInRefresh('z-died');
  await clock.advance(5_000);
  expect(woken.map(({ id }) => id).at(-1)).toBe('z-died');
  expect(woken).toHaveLength(17);
});

it('takes what was interrupted before what is overdue for longer', async () => {
  for (let count = 0; count < 30; count += 1)
    await theirs.records.insert(aRecord({ id: `overdue-${String(count)}`, refreshDueAt: secondsAfter(NOW, -60) }), []);
  await theirs.records.insert(aRecord({ id: 'z-died' }), []);
  await dieInRefresh('z-died');
  await clock.advance(LEASE_MS);
  start();
  await clock.advance(0);
  expect(woken[0]?.id).toBe('z-died');
});

it('asks a store in which nothing changes for its change mark only', async () => {
  await theirs.records.insert(aRecord({ id: 'cr', refreshDueAt: secondsAfter(NOW, 3_600) }), []);
  const looks = jest.spyOn(SqliteRecordStore.prototype, 'listDue');
  start();
  await clock.advance(60_000);
  expect(looks.mock.calls.length).toBeLessThanOrEqual(6);
});

it('begins eight at one endpoint, and those of other endpoints beside them', async () => {
  for (let count = 0; count < 20; count += 1) await overdue(`a-${String(count).padStart(2, '0')}`, 'one');
  await overdue('b', 'other');
  start();
  await clock.advance(0);
  expect(woken.map(({ id }) => id).filter((id) => id.startsWith('a'))).toHaveLength(8);
  expect(woken.map(({ id }) => id)).toContain('b');
});

it('passes over an endpoint that is shut, however much waits there, and looks again when it opens', async () => {
  for (let count = 0; count < 300; count += 1) await overdue(`a-${String(count).padStart(3, '0')}`, 'shut');
  await overdue('b', 'other');
  shut.add('shut');
  start();
  await clock.advance(50_000);
  expect(woken.map(({ id }) => id)).toEqual(['b']);
  shut.clear();
  await clock.advance(11_000);
  expect(woken).toHaveLength(9);
});

it('takes over an interrupted refresh at an endpoint that is shut: it may have to heal at once', async () => {
  await overdue('a', 'shut');
  await theirs.records.insert(aRecord({ id: 'died', endpoint: 'shut' }), []);
  await dieInRefresh('died');
  shut.add('shut');
  start();
  await clock.advance(LEASE_MS + 1_000);
  expect(woken.map(({ id }) => id)).toEqual(['died']);
});

it('begins one at a time at an endpoint that is being tried', async () => {
  for (let count = 0; count < 5; count += 1) await overdue(`a-${String(count)}`, 'tried');
  tried.add('tried');
  start();
  await clock.advance(30_000);
  expect(woken.map(({ id }) => id)).toEqual(['a-0']);
});

async function overdue(id: string, endpoint: string): Promise<void> {
  await theirs.records.insert(aRecord({ id, endpoint, refreshDueAt: secondsAfter(NOW, -60) }), []);
}

it('wakes a credential at its due time, also when the wall clock jumped there', async () => {
  await theirs.records.insert(aRecord({ id: 'cr', refreshDueAt: secondsAfter(NOW, 3_600) }), []);
  start(async () => {
    const record = await ours.records.get('cr');
    if (!record) throw new Error('gone');
    const next = { ...record, refreshDueAt: null, revision: record.revision + 1 };
    await ours.records.compareAndSet({ record: next, expectedRevision: record.revision });
  });
  await clock.advance(3_600_000);
  expect(woken).toEqual([{ id: 'cr', at: secondsAfter(NOW, 3_600) }]);
  await clock.advance(60_000);
  expect(woken).toHaveLength(1);
});

it('says that the store cannot be read and goes on when it can', async () => {
  await theirs.records.insert(aRecord({ id: 'cr', refreshDueAt: NOW }), []);
  const down = jest.spyOn(SqliteRecordStore.prototype, 'claimDue').mockRejectedValue(new Error('down'));
  start();
  await clock.advance(10_000);
  expect(woken).toEqual([]);
  expect(down.mock.calls.length).toBeLessThanOrEqual(6);
  down.mockRestore();
  await clock.advance(2_000);
  expect(woken.map(({ id }) => id)).toEqual(['cr']);
});
