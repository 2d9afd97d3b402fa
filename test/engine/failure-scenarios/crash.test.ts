import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
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
  clock.advance(6_000);
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

const spoolOf = (): string => join(folder.path, 'spool');
const spooled = (): string[] => (existsSync(spoolOf()) ? readdirSync(spoolOf()) : []);
const FULL = `CREATE TRIGGER full BEFORE INSERT ON secrets BEGIN SELECT RAISE(ABORT, 'full'); END`;

test('F14 an answer that cannot be saved is used meanwhile, and saved when the store is back, for one request', async () => {
  const { id, log } = await register('grace-0');
  database.execute(FULL);
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  const used = await engine.use(id);
  expect(used).toMatchObject({ generation: 2, storeDown: true });
  expect(spooled()).toHaveLength(1);
  database.execute('DROP TRIGGER full');
  clock.advance(1_000);
  await eventually(async () => (await engine.get(id)).generation === 2);
  await eventually(() => spooled().length === 0);
  const saved = await engine.use(id);
  expect(saved.headers).toEqual(used.headers);
  expect(saved.storeDown).toBeUndefined();
  expect((await log()).map(({ verdict }) => verdict)).toEqual(['rotated']);
  expect(await engine.refresh(id)).toMatchObject({ generation: 3 });
});

test('F14 an answer waits in memory where there is no folder for it', async () => {
  const { id, log } = await register('grace-0');
  const other = await openEngine(folder.path, { ports: { clock }, spoolFolder: null });
  database.execute(FULL);
  await expect(other.refresh(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect([spooled(), await other.use(id)]).toMatchObject([[], { generation: 2, storeDown: true }]);
  database.execute('DROP TRIGGER full');
  clock.advance(1_000);
  await eventually(async () => (await engine.get(id)).generation === 2);
  expect(await log()).toHaveLength(1);
  await other.close();
});

/** An engine of another process brings an answer that it cannot save, and dies. */
async function dieWithAnswer(id: string): Promise<void> {
  const victim = await EngineProcess.start(folder.path);
  database.execute(FULL);
  await expect(victim.ask('refresh', id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  await victim.kill();
  database.execute('DROP TRIGGER full');
  clock.advance(5_000);
}

test('F14 kill -9 while an answer waits: the next engine saves it from the spool before it asks anybody', async () => {
  const { id, log } = await register('grace-0');
  await dieWithAnswer(id);
  const [file = ''] = spooled();
  const path = join(spoolOf(), file);
  expect([statSync(spoolOf()).mode & 0o077, statSync(path).mode & 0o077]).toEqual([0, 0]);
  expect(readFileSync(path).toString('latin1')).not.toMatch(/[ar]t_|access|refresh/);
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  expect([await log(), spooled()]).toMatchObject([[{ verdict: 'rotated' }], []]);
  expect(await engine.refresh(id)).toMatchObject({ generation: 3 });
}, 20_000);

test('F14 a spooled answer that was altered is neither used nor deleted', async () => {
  const { id, log } = await register('grace-0');
  await dieWithAnswer(id);
  const [file = ''] = spooled();
  const altered = readFileSync(join(spoolOf(), file));
  altered.writeUInt8(altered.readUInt8(altered.length - 1) ^ 1, altered.length - 1);
  writeFileSync(join(spoolOf(), file), altered);
  expect(await engine.refresh(id)).toMatchObject({ state: 'refreshing.ambiguous', generation: 1 });
  expect([await log(), spooled()]).toMatchObject([[{ verdict: 'rotated' }], [file]]);
}, 20_000);

function takeDown(): () => void {
  const down = new StorageError('ERR_STORE_UNAVAILABLE', 'The database is away.');
  const reads = jest.spyOn(SqliteRecordStore.prototype, 'get').mockRejectedValue(down);
  const marks = jest.spyOn(SqliteRecordStore.prototype, 'changeMark').mockImplementation(() => {
    throw down;
  });
  return () => {
    reads.mockRestore();
    marks.mockRestore();
  };
}

test('F15 while the store cannot be read, the last token is served until it ends, and no longer', async () => {
  const { id, log } = await register('grace-0');
  const before = await engine.use(id);
  const bringUp = takeDown();
  expect(await engine.use(id)).toEqual({ ...before, storeDown: true });
  // The life of a token here is a minute; a refresh is due, and cannot be made.
  clock.advance(55_000);
  expect(await engine.use(id)).toEqual({ ...before, storeDown: true });
  clock.advance(5_000);
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect(await log()).toEqual([]);
  bringUp();
  const after = await engine.use(id);
  expect([after.generation, after.storeDown]).toEqual([2, undefined]);
});

test('F15 nothing is served from memory that was never handed out, or was revoked', async () => {
  const { id } = await register('grace-0');
  const { id: revoked } = await register('grace-0');
  await engine.use(revoked);
  await engine.revoke(revoked);
  takeDown();
  for (const name of [id, revoked])
    await expect(engine.use(name)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
});

test('F20 records that cannot be read are listed by name, and the others work', async () => {
  const { id } = await register('grace-0');
  const { id: newer } = await register('grace-0');
  const { id: broken } = await register('grace-0');
  const { name } = await engine.get(newer);
  database.execute(`UPDATE records SET record = json_set(record, '$.state', 'valid.golden') WHERE id = ?`, newer);
  database.execute(`UPDATE records SET record = '{' WHERE id = ?`, broken);
  const { credentials, unreadable, nextCursor } = await engine.list();
  expect([credentials.map((credential) => credential.id), nextCursor]).toEqual([[id], null]);
  expect(new Set(unreadable)).toEqual(
    new Set([
      { id: newer, name, code: 'ERR_STORE_RECORD_INVALID' },
      { id: broken, name: null, code: 'ERR_STORE_RECORD_INVALID' },
    ]),
  );
  expect((await engine.refresh(id)).generation).toBe(2);
  await expect(engine.use(newer)).rejects.toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' });
  await expect(engine.refresh(broken)).rejects.toMatchObject({ code: 'ERR_STORE_RECORD_INVALID' });
  expect(database.count(`records WHERE record = '{'`)).toBe(1);
  // Page by page too.
  const first = await engine.list({ limit: 1 });
  const second = await engine.list({ limit: 2, cursor: first.nextCursor ?? '' });
  expect(first.credentials.length + first.unreadable.length).toBe(1);
  expect(second.credentials.length + second.unreadable.length).toBe(2);
});

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
