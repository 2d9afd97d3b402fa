import { join } from 'node:path';
import { CredentialEngine } from '../../../src/engine.ts';
import { systemFetch, type Fetch, type FetchInit } from '../../../src/ports.ts';
import { openSqlite } from '../../../src/storage/sqlite.ts';
import type { Issuer } from '../../servers/issuer.ts';
import { TestClock } from '../../support/clock.ts';
import { MASTER_KEY, openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { judgedEntry, startJudge } from '../support/judge.ts';

let issuer: Issuer;
let folder: ReturnType<typeof temporaryFolder>;
let database: SeenDatabase;
/** The engine that registers and takes over, and its clock. */
let successor: CredentialEngine;
let clock: TestClock;
let open: CredentialEngine[];

beforeAll(async () => {
  issuer = await startJudge();
});
afterAll(async () => {
  await issuer.stop();
});
beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  successor = await openEngine(folder.path, { ports: { clock } });
  open = [successor];
  database = openDatabase(folder.path);
});
afterEach(async () => {
  await Promise.all(open.map((engine) => engine.close()));
  database.close();
  folder.dispose();
});

async function register() {
  // The issuer ends a family at the second use; the engine believes in a grace window, and so it heals at once.
  const { entry, log } = await judgedEntry(issuer, 'grace-0', { config: { reuseGraceMs: 30_000 } });
  const { id } = await successor.register(entry);
  return { id, log: async () => (await log()).slice(1) };
}

/** A second engine; what it sends goes through `fetch`. */
async function openVictim(fetch: (url: string, init: FetchInit) => Promise<Response>) {
  const clockOfVictim = new TestClock();
  const connecting: Fetch = Object.assign((url: string, init: FetchInit = {}) => fetch(url, init), {
    connectsFirst: true,
  });
  const victim = await openEngine(folder.path, { ports: { clock: clockOfVictim, fetch: connecting } });
  open.push(victim);
  return { victim, clockOfVictim };
}

test('F03 a holder whose connection took longer than its claim sends nothing any more', async () => {
  const { id, log } = await register();
  const connected = Promise.withResolvers<undefined>();
  const { victim, clockOfVictim } = await openVictim(async (url, init) => {
    await connected.promise;
    return systemFetch(url, init);
  });
  const stalled = victim.refresh(id);
  await eventually(() => database.lastAttempt(id)?.phase === 'claimed');
  clockOfVictim.freeze();
  clock.advance(5_000);
  expect(await successor.refresh(id)).toMatchObject({ generation: 2 });
  expect(await successor.refresh(id)).toMatchObject({ generation: 3 });
  connected.resolve(undefined);
  expect(await stalled).toMatchObject({ generation: 3, state: 'valid.fresh' });
  expect((await log()).map(({ verdict, use }) => [verdict, use])).toEqual([
    ['rotated', 1],
    ['rotated', 1],
  ]);
});

/** Stops the process between the journal and the write, this often. */
async function openHeldUp(times: number) {
  let stops = 0;
  const opened = await openVictim((url, init) => {
    const beforeWrite = async (): Promise<() => void> => {
      const mayLeave = await init.beforeWrite?.();
      stops += 1;
      if (stops <= times) opened.clockOfVictim.stall(3_500);
      return () => mayLeave?.();
    };
    return systemFetch(url, init.beforeWrite === undefined ? init : { ...init, beforeWrite });
  });
  return { engine: opened.victim, stops: () => stops };
}

test('F03 a holder that is held up right before it writes asks for its claim again, and then writes', async () => {
  const { id, log } = await register();
  const { engine, stops } = await openHeldUp(1);
  expect(await engine.refresh(id)).toMatchObject({ generation: 2, state: 'valid.fresh' });
  expect(stops()).toBe(2);
  expect((await log()).map(({ use }) => use)).toEqual([1]);
});

test('F03 a holder that is held up again and again says so, and its token is not in doubt', async () => {
  const { id, log } = await register();
  const { engine } = await openHeldUp(3);
  expect(await engine.refresh(id)).toMatchObject({
    state: 'valid.expiringSoon',
    failure: { code: 'ERR_REFRESH_HELD_UP', class: 'transient' },
  });
  expect(await log()).toEqual([]);
  expect(database.lastAttempt(id)).toMatchObject({ phase: 'failed', sentAt: null, spentAt: null });
  expect(await successor.refresh(id)).toMatchObject({ generation: 2 });
  expect(database.lastAttempt(id)).toMatchObject({ healing: false, spentAt: null });
});

test('a holder whose claim was taken before he wrote his intent, by one who died, claims anew and is not caught in looking', async () => {
  const { id, log } = await register();
  const stores = openSqlite(join(folder.path, 'credentials.db'), new TestClock());
  let taken = 0;
  const records = new Proxy(stores.records, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        // Right before the intent is written; the lease of the dead has run out.
        if (name === 'compareAndSet' && taken++ === 0)
          database.execute(`UPDATE records SET claim_fence = claim_fence + 1, claim_owner = 'dead', claim_until = 0`);
        if (taken > 50) throw new Error('caught in looking');
        return Reflect.apply(member, target, args) as unknown;
      };
    },
  });
  const victim = await CredentialEngine.open({ database: { ...stores, records }, masterKey: MASTER_KEY });
  open.push(victim);
  taken = 0;
  expect(await victim.refresh(id)).toMatchObject({ generation: 2 });
  expect((await log()).map(({ verdict }) => verdict)).toEqual(['rotated']);
});

test('F12 a grant that was lost to a holder who was stopped before his write says so, and not that it was refused', async () => {
  const { id, log } = await register();
  const continued = Promise.withResolvers<undefined>();
  const { victim, clockOfVictim } = await openVictim(async (url, init) => {
    const { beforeWrite, ...plain } = init;
    if (beforeWrite === undefined) return systemFetch(url, plain);
    const mayLeave = await beforeWrite();
    mayLeave();
    await continued.promise;
    return systemFetch(url, plain);
  });
  const stopped = victim.refresh(id);
  await eventually(() => database.lastAttempt(id)?.phase === 'sent');
  clockOfVictim.freeze();
  clock.advance(5_000);
  expect(await successor.refresh(id)).toMatchObject({ generation: 2 });
  continued.resolve(undefined);
  await stopped;
  expect((await log()).map(({ verdict }) => verdict)).toEqual(['rotated', 'reuseDetected']);
  expect(await successor.refresh(id)).toMatchObject({
    state: 'valid.degraded',
    reason: 'ambiguousRefresh',
    failure: { code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH' },
  });
});

test('F29 a grant that was refused, and nobody stopped, is called refused', async () => {
  const { id } = await register();
  await successor.refresh(id);
  const [family] = (await issuer.log()).slice(-1);
  await issuer.end(family?.familyId ?? '');
  expect(await successor.refresh(id)).toMatchObject({
    reason: 'grantRefused',
    failure: { code: 'ERR_OAUTH2_INVALID_GRANT' },
  });
});
