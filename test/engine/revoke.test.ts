import type { CredentialEngine } from '../../src/engine.ts';
import { systemFetch } from '../../src/ports.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { introspect, refresh } from '../sandbox/token-request.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { openDatabase, type SeenDatabase } from './support/database.ts';

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let database: SeenDatabase;
let engine: CredentialEngine;
let issued: { access_token: string; refresh_token?: string }[];

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  issued = [];
  const fetch: typeof systemFetch = async (url, init) => {
    const response = await systemFetch(url, init);
    if (url === server.tokenEndpoint && response.ok) issued.push((await response.clone().json()) as (typeof issued)[0]);
    return response;
  };
  engine = await openEngine(folder.path, { keeper: true, ports: { fetch } });
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await server.clearFaults();
  await engine.close();
  database.close();
  folder.dispose();
});

async function isActive(client: 'machine' | 'rotating'): Promise<boolean> {
  const answers = await Promise.all(issued.map(({ access_token: token }) => introspect(server, client, token)));
  return answers.some((answer) => JSON.stringify(answer).includes('"active":true'));
}

test('ends the grant at the server, deletes its secrets here, and refuses from then on', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  await engine.use(id);
  const told: string[] = [];
  engine.on('*', ({ type }) => told.push(type));
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser', reason: 'revokedByUser', dueAt: null });
  expect(await isActive('rotating')).toBe(false);
  expect((await refresh(server, 'rotating', issued[0]?.refresh_token ?? '')).status).toBe(400);
  expect(database.secretsOf(id)).toEqual([]);
  const requests = (await server.requests()).length;
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED', credentialId: id });
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
  const test = await engine.test(id);
  expect([test.success, test.message]).toEqual([false, expect.stringContaining('ERR_CREDENTIAL_REVOKED')]);
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser' });
  expect((await server.requests()).length).toBe(requests);
  expect(await engine.get(id)).toMatchObject({ state: 'revoked.byUser' });
  expect((await engine.list({ state: 'revoked' })).credentials).toMatchObject([{ id }]);
  expect(told).toEqual(['credential.revoked']);
});

test.each(['machine', 'rotating'] as const)(
  'F08 a %s credential revoked during its refresh stays revoked, and what the refresh brings is revoked too',
  async (client) => {
    const { id } = await engine.register(client === 'machine' ? machineEntry(server) : await rotatingEntry(server));
    await server.setLatency(500);
    const refreshing = engine.refresh(id);
    await eventually(() => database.openAttempts() === 1);
    expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser' });
    expect(await refreshing).toMatchObject({ state: 'revoked.byUser', generation: 1 });
    expect(await isActive(client)).toBe(false);
    expect(database.secretsOf(id)).toEqual([]);
    expect(await engine.get(id)).toMatchObject({ state: 'revoked.byUser' });
  },
);

test('F08 a refresh that another engine has in flight is revoked like one of its own', async () => {
  const { id } = await engine.register(machineEntry(server));
  const other = await openEngine(folder.path);
  await server.setLatency(500);
  const refreshing = engine.refresh(id);
  await eventually(() => database.openAttempts() === 1);
  await other.revoke(id);
  expect(await refreshing).toMatchObject({ state: 'revoked.byUser' });
  expect([issued.length, await isActive('machine'), database.secretsOf(id)]).toEqual([2, false, []]);
  await other.close();
});

test('keeps the secrets while the server cannot be told, and tells it when asked again', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  await server.kill();
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser' });
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
  await server.restart();
  expect(await isActive('rotating')).toBe(true);
  await engine.revoke(id);
  expect([await isActive('rotating'), database.secretsOf(id)]).toEqual([false, []]);
});

test('revokes what was never used, without a request', async () => {
  const { id } = await engine.register({ ...machineEntry(server), test: false });
  const requests = (await server.tokenRequests()).length;
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser' });
  expect(database.secretsOf(id)).toEqual([]);
  expect((await server.tokenRequests()).length).toBe(requests);
});

test('twenty concurrent revocations end in one event', async () => {
  const { id } = await engine.register(machineEntry(server));
  await Promise.all(Array.from({ length: 20 }, () => engine.revoke(id)));
  const { events } = await engine.readEvents(0);
  expect(events.filter(({ type }) => type === 'credential.revoked')).toHaveLength(1);
});
