import type { CredentialEngine } from '../../src/engine.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { eventually, quietFor } from '../support/eventually.ts';

const folder = temporaryFolder();
let server: AuthorizationServer;
let engine: CredentialEngine;
let clock: TestClock;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.stop();
  folder.dispose();
});

beforeEach(async () => {
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock } });
});

afterEach(async () => {
  await server.clearFaults();
  await engine.close();
});

async function requestsDuring(work: () => Promise<unknown>): Promise<number> {
  const before = (await server.tokenRequests()).length;
  await work();
  return (await server.tokenRequests()).length - before;
}

async function registered(): Promise<string> {
  return (await engine.register(machineEntry(server))).id;
}

test('a hundred concurrent callers of a new credential share one token request', async () => {
  const { id } = await engine.register({ ...machineEntry(server), test: false });
  const requests = await requestsDuring(async () => {
    const materials = await Promise.all(Array.from({ length: 100 }, () => engine.use(id)));
    expect(new Set(materials.map(({ headers }) => headers['authorization'])).size).toBe(1);
  });
  expect(requests).toBe(1);
});

test('F02 a hundred concurrent callers of an expired rotating credential share one token request', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  clock.advance(61_000);
  const requests = await requestsDuring(async () => {
    const materials = await Promise.all(Array.from({ length: 100 }, () => engine.use(id)));
    expect(materials.every(({ generation }) => generation === 2)).toBe(true);
  });
  expect(requests).toBe(1);
  expect((await server.tokenRequests('rotating')).filter((request) => request.spentTokenPresented)).toEqual([]);
});

test('serves a fresh grant from memory, the same object again', async () => {
  const id = await registered();
  await engine.use(id);
  const requests = (await server.requests()).length;
  const [first, second] = [await engine.use(id), await engine.use(id)];
  expect(second).toBe(first);
  expect((await server.requests()).length).toBe(requests);
});

test('F22 does not serve from memory what another process changed', async () => {
  const id = await registered();
  await engine.use(id);
  await engine.use(id);
  const other = await openEngine(folder.path);
  await other.refresh(id);
  expect((await engine.use(id)).generation).toBe(2);
  await other.revoke(id);
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
  await other.close();
});

test('hands out the token that it has and refreshes behind the caller inside the margin', async () => {
  const id = await registered();
  await server.setLatency(300);
  clock.advance(40_000);
  const requests = await requestsDuring(async () => {
    expect(await Promise.all([engine.use(id), engine.use(id)])).toMatchObject([{ generation: 1 }, { generation: 1 }]);
    await eventually(async () => (await engine.use(id)).generation === 2);
  });
  expect(requests).toBe(1);
});

test('makes callers wait for the refresh when the token is nearly expired', async () => {
  const id = await registered();
  clock.advance(55_000);
  expect((await engine.use(id)).generation).toBe(2);
});

test('keeps serving a nearly expired token when its refresh fails', async () => {
  const id = await registered();
  clock.advance(55_000);
  await server.failNext({ kind: 'status', status: 503 });
  expect((await engine.use(id)).generation).toBe(1);
});

test('leaves what is due alone when it is no keeper, also after a refresh of its own', async () => {
  const [due, used] = [await registered(), await registered()];
  clock.advance(61_000);
  const requests = await requestsDuring(async () => {
    await engine.use(used);
    await quietFor(300);
  });
  expect(requests).toBe(1);
  expect((await engine.get(due)).generation).toBe(1);
});

test('one caller who leaves does not end the refresh of the others', async () => {
  const { id } = await engine.register({ ...machineEntry(server), test: false });
  await server.setLatency(300);
  const leaving = new AbortController();
  const requests = await requestsDuring(async () => {
    const callers = [engine.use(id, { signal: leaving.signal }), engine.use(id), engine.use(id)];
    leaving.abort(new Error('I have no more time'));
    const [left, ...stayed] = await Promise.allSettled(callers);
    expect(left).toMatchObject({ status: 'rejected', reason: { message: 'I have no more time' } });
    expect(stayed).toMatchObject([{ value: { generation: 1 } }, { value: { generation: 1 } }]);
  });
  expect(requests).toBe(1);
});

test('a caller who had left before he came neither ends the process nor hides the error from others', async () => {
  const unheard: unknown[] = [];
  const listen = (reason: unknown): number => unheard.push(reason);
  process.on('unhandledRejection', listen);
  await expect(engine.test('unknown', { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', listen);
  expect(unheard).toEqual([]);
});

test('an engine that is closed under its callers answers them first', async () => {
  const { id } = await engine.register({ ...machineEntry(server), test: false });
  const fresh = await registered();
  const closing = await openEngine(folder.path);
  await server.setLatency(200);
  const callers = [closing.use(id), closing.use(fresh), closing.refresh(id).then((summary) => summary.id)];
  await closing.close();
  const [used, served, refreshed] = await Promise.allSettled(callers);
  expect([used, served]).toMatchObject([{ value: { generation: 1 } }, { value: { generation: 1 } }]);
  expect(refreshed).toMatchObject({ reason: { code: 'ERR_ENGINE_CLOSED' } });
  await expect(closing.use(id)).rejects.toMatchObject({ code: 'ERR_ENGINE_CLOSED' });
});
