import type { CredentialEngine } from '../../src/engine.ts';
import { systemFetch, type Fetch } from '../../src/ports.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { openDatabase, type SeenDatabase } from './support/database.ts';

const GRACE_MS = 30_000;
const NO_ANSWER = new Promise<Response>(() => undefined);

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let database: SeenDatabase;
let clock: TestClock;
let engine: CredentialEngine;

beforeAll(async () => {
  server = await startAuthorizationServer({ reuseGraceMs: GRACE_MS });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock } });
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await server.clearFaults();
  await engine.close();
  database.close();
  folder.dispose();
});

/** Registers a rotating credential and counts the server's requests from there on. */
async function registerRotating(reuseGraceMs: number) {
  const { id } = await engine.register(await rotatingEntry(server, { config: { reuseGraceMs } }));
  const before = (await server.tokenRequests('rotating')).length;
  return { id, requests: async () => (await server.tokenRequests()).slice(before) };
}

/** An engine that begins to refresh and is gone at a point of its network traffic. */
async function crashDuringRefresh(id: string, fetch: Fetch, phase: string): Promise<void> {
  const clockOfVictim = new TestClock();
  const victim = await openEngine(folder.path, { ports: { clock: clockOfVictim, fetch } });
  victim.refresh(id).catch(() => undefined);
  await eventually(() => database.lastAttempt(id)?.phase === phase);
  clockOfVictim.freeze();
}

test('F11 a stop after the claim costs nothing: the next engine makes the one request', async () => {
  const { id, requests } = await registerRotating(GRACE_MS);
  await crashDuringRefresh(id, () => NO_ANSWER, 'claimed');
  clock.advance(5_000);
  expect((await engine.refresh(id)).generation).toBe(2);
  expect(await requests()).toMatchObject([{ outcome: 'issued', graceReuse: false }]);
});

test('F12 a stop after the request left heals with the same token inside the grace window', async () => {
  const { id, requests } = await registerRotating(GRACE_MS);
  const losesAnswers: Fetch = async (url, init) => {
    const response = await systemFetch(url, init);
    return url === server.tokenEndpoint ? NO_ANSWER : response;
  };
  await crashDuringRefresh(id, losesAnswers, 'sent');
  await eventually(async () => (await requests()).length === 1);
  clock.advance(5_000);
  expect(await engine.refresh(id)).toMatchObject({ generation: 2, state: 'valid.fresh' });
  expect(await requests()).toMatchObject([
    { outcome: 'issued', graceReuse: false },
    { outcome: 'issued', graceReuse: true, spentTokenPresented: false },
  ]);
});

test('F13 an answer that was sealed but not yet pointed at is used without a second request', async () => {
  const { id, requests } = await registerRotating(0);
  database.execute(`CREATE TRIGGER full BEFORE UPDATE OF record ON records
    WHEN NEW.record ->> 'generation' > OLD.record ->> 'generation' BEGIN SELECT RAISE(ABORT, 'full'); END`);
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect([database.lastAttempt(id)?.phase, database.generations()]).toEqual(['sent', [1]]);
  database.execute('DROP TRIGGER full');
  clock.advance(61_000);
  expect(await engine.use(id)).toMatchObject({ generation: 3 });
  // One for the answer that was found, one because it had expired meanwhile, with the refresh token that it brought.
  expect(await requests()).toMatchObject([
    { outcome: 'issued', graceReuse: false },
    { outcome: 'issued', graceReuse: false, spentTokenPresented: false },
  ]);
});

test('a holder that died late heals by the grace window that began with an earlier failure of the server', async () => {
  const { id, requests } = await registerRotating(10_000);
  await server.failNext({ kind: 'status', status: 503 });
  await engine.refresh(id);
  const spentAt = database.lastAttempt(id)?.spentAt;
  expect(spentAt).not.toBeNull();
  clock.advance(5_000);
  const neverSends: Fetch = (url, init) => (url === server.tokenEndpoint ? NO_ANSWER : systemFetch(url, init));
  await crashDuringRefresh(id, neverSends, 'sent');
  expect(database.lastAttempt(id)).toMatchObject({ phase: 'sent', spentAt });
  clock.advance(8_000);
  // Ten seconds after the first request the server takes the token for stolen, five seconds after the second or not.
  expect(await engine.refresh(id)).toMatchObject({ state: 'refreshing.ambiguous', reason: 'answerLost' });
  expect(await requests()).toHaveLength(1);
});

test('a lost answer heals at once inside the grace window, and only the server knows', async () => {
  const { id, requests } = await registerRotating(GRACE_MS);
  await server.failNext({ kind: 'dropAnswer' });
  expect(await engine.refresh(id)).toMatchObject({ state: 'refreshing.ambiguous', reason: 'answerLost' });
  expect((await engine.use(id)).generation).toBe(1);
  await eventually(async () => (await engine.refresh(id)).state === 'valid.fresh');
  expect(await requests()).toMatchObject([{ outcome: 'dropped' }, { outcome: 'issued', graceReuse: true }]);
});

describe('without a grace window', () => {
  const told: string[] = [];

  beforeEach(async () => {
    await engine.close();
    engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
    told.length = 0;
    engine.on('*', (event) => told.push(event.type));
    await server.restart({ reuseGraceMs: 0 });
  });

  afterAll(async () => {
    await server.restart({ reuseGraceMs: GRACE_MS });
  });

  async function loseAnswer(kind: 'dropAnswer' | 'dropRequest') {
    const credential = await registerRotating(0);
    await server.failNext({ kind });
    const { state, dueAt } = await engine.refresh(credential.id);
    const waitMs = (dueAt?.getTime() ?? 0) - clock.now().getTime();
    expect([state, Math.round(waitMs / 1_000)]).toEqual(['refreshing.ambiguous', 25]);
    clock.advance(24_000);
    expect((await engine.use(credential.id)).generation).toBe(1);
    expect(await credential.requests()).toHaveLength(1);
    clock.advance(1_100);
    return credential;
  }

  test('waits for the deadline of the lost request and five seconds, tries once, and says what happened', async () => {
    const { id, requests } = await loseAnswer('dropAnswer');
    await eventually(async () => (await engine.get(id)).state === 'valid.degraded');
    clock.advance(36_000);
    const summary = await eventually(async () => {
      const now = await engine.get(id);
      return now.state === 'expired.needsUser' && now;
    });
    expect(summary).toMatchObject({ reason: 'ambiguousRefresh', failure: { code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH' } });
    await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH' });
    expect(await requests()).toMatchObject([{ outcome: 'dropped' }, { outcome: 'refused', error: 'invalid_grant' }]);
    expect(told).toEqual([
      ...['credential.registered', 'credential.refreshed', 'refresh.failed', 'refresh.failed', 'credential.degraded'],
      ...['credential.expired', 'credential.needsUser'],
    ]);
  });

  test('keeps the grant when the lost request had never arrived', async () => {
    const { id, requests } = await loseAnswer('dropRequest');
    await eventually(async () => (await engine.get(id)).generation === 2);
    expect(await requests()).toMatchObject([{ outcome: 'failed' }, { outcome: 'issued', spentTokenPresented: false }]);
    expect(told.slice(-2)).toEqual(['credential.refreshed', 'credential.recovered']);
  });

  test('remembers the lost answer through a try that was turned away and one that never left', async () => {
    const { id } = await registerRotating(1_000);
    await server.failNext({ kind: 'dropAnswer' });
    await server.failNext({ kind: 'status', status: 503 });
    await engine.refresh(id);
    await eventually(async () => (await engine.get(id)).failure?.code === 'ERR_ENDPOINT_UNAVAILABLE');
    await crashDuringRefresh(id, () => NO_ANSWER, 'claimed');
    expect(database.lastAttempt(id)).toMatchObject({ phase: 'claimed', healing: true });
    clock.advance(10_000);
    await eventually(async () => (await engine.get(id)).failure?.code === 'ERR_OAUTH2_AMBIGUOUS_REFRESH');
  });
});

test('an endpoint that loses every answer is not stormed, and ends as an ambiguous refresh', async () => {
  const { id, requests } = await registerRotating(GRACE_MS);
  await engine.close();
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  await server.failNext({ kind: 'dropAnswer' }, 1_000);
  await engine.refresh(id);
  await eventually(async () => {
    clock.advance(500);
    return (await engine.get(id)).failure?.code === 'ERR_OAUTH2_AMBIGUOUS_REFRESH';
  });
  const seen = await requests();
  expect(seen.length).toBeLessThanOrEqual(8);
  expect(seen.filter((request) => request.spentTokenPresented)).toEqual([]);
});
