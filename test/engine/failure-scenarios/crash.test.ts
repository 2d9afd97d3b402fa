import type { CredentialEngine } from '../../../src/engine.ts';
import { StorageError } from '../../../src/errors.ts';
import { SqliteRecordStore } from '../../../src/storage/sqlite-records.ts';
import type { Issuer } from '../../servers/issuer.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { Endpoint, json, tokens } from '../support/endpoint.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { judgedEntry, startJudge, type GraceClient } from '../support/judge.ts';

let issuer: Issuer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let clock: TestClock;
let database: SeenDatabase;

beforeAll(async () => {
  issuer = await startJudge();
});

afterAll(async () => {
  await issuer.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock } });
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await issuer.setFaults({});
  await engine.close();
  database.close();
  folder.dispose();
});

async function register(client: GraceClient) {
  const { entry, log } = await judgedEntry(issuer, client);
  const { id } = await engine.register(entry);
  return { id, log: async () => (await log()).slice(1) };
}

test('F11 kill -9 between claim and request costs nothing: the next holder makes the one request', async () => {
  let answersDiscovery = false;
  const endpoint = await Endpoint.start((response, request) => {
    if (request.path === '/token') tokens()(response, request);
    else if (answersDiscovery)
      json(200, { issuer: endpoint.url, token_endpoint: endpoint.tokenEndpoint })(response, request);
  });
  const { id } = await engine.register({
    protocol: 'oauth2',
    name: 'Discovered',
    config: { issuer: endpoint.url, grantType: 'refresh_token', clientId: 'c', allowInsecureTransport: true },
    secret: { clientSecret: 's', refreshToken: 'refresh-0' },
    test: false,
  });
  const victim = await EngineProcess.start(folder.path);
  victim.ask('refresh', id).catch(() => undefined);
  await eventually(() => database.lastAttempt(id)?.phase === 'claimed' && endpoint.requests.length > 0);
  await victim.kill();
  answersDiscovery = true;
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 1 });
  expect(endpoint.requests.filter(({ path }) => path === '/token')).toHaveLength(1);
  expect(database.lastAttempt(id)?.healing).toBe(false);
  await endpoint.stop();
}, 20_000);

/** Kills a process while its request is at the issuer: the token is spent and no answer can arrive. */
async function killInFlight(id: string, log: () => Promise<readonly unknown[]>): Promise<void> {
  await issuer.failNext({ kind: 'delay', ms: 3_000 });
  const victim = await EngineProcess.start(folder.path);
  victim.ask('refresh', id).catch(() => undefined);
  await eventually(async () => (await log()).length === 1);
  await victim.kill();
}

test('F12 kill -9 while the request is away heals with the same token, at once, inside the grace window', async () => {
  const { id, log } = await register('grace-10');
  await killInFlight(id, log);
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  expect(await log()).toMatchObject([{ verdict: 'rotated' }, { verdict: 'reanswered', successorWasUsed: false }]);
  expect(await engine.refresh(id)).toMatchObject({ generation: 3 });
}, 20_000);

test('F12 kill -9 while the request is away ends as an ambiguous refresh where there is no grace', async () => {
  const { id, log } = await register('grace-0');
  await killInFlight(id, log);
  expect(await engine.refresh(id)).toMatchObject({ state: 'refreshing.ambiguous', reason: 'answerLost' });
  expect(await log()).toHaveLength(1);
  clock.advance(26_000);
  const summary = await engine.refresh(id);
  expect(summary).toMatchObject({ reason: 'ambiguousRefresh', failure: { code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH' } });
  expect(await log()).toMatchObject([{ verdict: 'rotated' }, { verdict: 'reuseDetected' }]);
}, 20_000);

test('F13 kill -9 between answer and save heals, and the journal proves what happened and when', async () => {
  const { id, log } = await register('grace-10');
  const victim = await EngineProcess.start(folder.path);
  database.execute(`CREATE TRIGGER full BEFORE INSERT ON secrets BEGIN SELECT RAISE(ABORT, 'full'); END`);
  victim.ask('refresh', id).catch(() => undefined);
  const [answered] = await eventually(async () => {
    const entries = await log();
    return entries[0]?.delivered === true && entries;
  });
  await victim.kill();
  database.execute('DROP TRIGGER full');
  const attempt = database.lastAttempt(id);
  expect(attempt).toMatchObject({ phase: 'sent', healing: false });
  expect(Date.parse(attempt?.sentAt ?? '')).toBeLessThanOrEqual(Date.parse(answered?.at ?? ''));
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  expect(await log()).toMatchObject([{ verdict: 'rotated' }, { verdict: 'reanswered' }]);
  expect(database.lastAttempt(id)).toMatchObject({ phase: 'committed', healing: true, spentAt: attempt?.sentAt });
}, 20_000);

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with the store that it is of
const SAVE = SqliteRecordStore.prototype.compareAndSet;

test('F16 a save whose acknowledgement was lost is found, not repeated', async () => {
  const { id, log } = await register('grace-0');
  let lost = false;
  jest.spyOn(SqliteRecordStore.prototype, 'compareAndSet').mockImplementation(async function (
    this: SqliteRecordStore,
    change,
  ) {
    const written = await SAVE.call(this, change);
    if (change.attempt?.phase !== 'committed' || lost) return written;
    lost = true;
    throw new StorageError('ERR_STORE_UNAVAILABLE', 'The connection to the store broke.');
  });
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect(lost).toBe(true);
  expect(await engine.use(id)).toMatchObject({ generation: 2 });
  expect(await engine.get(id)).toMatchObject({ state: 'valid.fresh' });
  expect(await log()).toHaveLength(1);
  const { events } = await engine.readEvents(0);
  expect(events.filter(({ type }) => type === 'credential.refreshed')).toHaveLength(2);
});

test('F17 a store that takes no write is found out before a token is spent', async () => {
  const { id, log } = await register('grace-0');
  database.execute(`CREATE TRIGGER full BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'full'); END`);
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect(await log()).toEqual([]);
  expect((await engine.use(id)).generation).toBe(1);
  database.execute('DROP TRIGGER full');
  expect((await engine.refresh(id)).generation).toBe(2);
});

test('F21 a value that does not open is neither refreshed over nor overwritten', async () => {
  const { id, log } = await register('grace-0');
  const { id: other } = await register('grace-0');
  database.execute(`UPDATE secrets SET envelope = zeroblob(200) WHERE credential_id = ?`, id);
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_KEYRING_ENVELOPE_MALFORMED' });
  const damaged = '(SELECT 1 FROM secrets WHERE envelope = zeroblob(200))';
  expect(database.count(damaged)).toBe(database.secretsOf(id).length);
  expect(await log()).toEqual([]);
  expect((await engine.refresh(other)).generation).toBe(2);
});
