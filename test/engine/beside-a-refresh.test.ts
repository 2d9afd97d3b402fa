import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';

let server: AuthorizationServer;
let engine: CredentialEngine;
const folder = temporaryFolder();

beforeAll(async () => {
  server = await startAuthorizationServer();
});
beforeEach(async () => {
  engine = await openEngine(folder.path);
});
afterEach(() => engine.close());
afterAll(async () => {
  await server.stop();
  folder.dispose();
});

test('an edit of the settings while a refresh is in flight harms neither', async () => {
  const id = await engine.adopt(machineEntry(server));
  await server.setLatency(300);
  const refreshing = engine.refresh(id);
  const edited = machineEntry(server, { config: { testUrl: server.resourceUrl } });
  expect(await engine.adopt(edited)).toBe(id);
  expect(await refreshing).toMatchObject({ state: 'valid.fresh', generation: 1, failure: null });
  await server.setLatency(0);
  expect((await engine.test(id)).details.endpoint).toBe(server.resourceUrl);
});

test('an edit while a refresh fails does not hide the failure', async () => {
  const entry = machineEntry(server, { config: { scope: 'openid' } });
  const id = await engine.adopt(entry);
  await server.setLatency(300);
  await server.failNext({ kind: 'status', status: 503 });
  const refreshing = engine.refresh(id);
  await engine.adopt({ ...entry, config: { ...entry.config, testUrl: server.resourceUrl } });
  expect(await refreshing).toMatchObject({
    state: 'pending.unverified',
    reason: 'transientFailure',
    failure: { code: 'ERR_ENDPOINT_UNAVAILABLE' },
  });
  await server.setLatency(0);
});

test('an asynchronous listener that rejects harms nobody', async () => {
  engine.on('*', () => Promise.reject(new Error('listener')));
  const { state } = await engine.register(machineEntry(server));
  expect(state).toBe('valid.fresh');
});

test('revoking what was never refreshed ends the refresh token that was entered', async () => {
  const entry = await rotatingEntry(server);
  const { id } = await engine.register({ ...entry, test: false });
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser', failure: null });
  const again = await engine.register(entry);
  expect(again.credential).toMatchObject({ state: 'expired.needsUser', failure: { code: 'ERR_OAUTH2_INVALID_GRANT' } });
});

test('revoking while the server is away says so, and the second try tells it', async () => {
  const entry = await rotatingEntry(server);
  const { id } = await engine.register(entry);
  await server.kill();
  const untold = await engine.revoke(id);
  expect(untold).toMatchObject({ state: 'revoked.byUser', failure: { code: 'ERR_ENDPOINT_UNREACHABLE' } });
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
  await server.restart();
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser', failure: null });
});

test('a misspelt filter lists nobody', async () => {
  await engine.register(machineEntry(server));
  const misspelt = { owner: 'alice' } as Parameters<CredentialEngine['list']>[0];
  await expect(engine.list(misspelt)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
});

test('a key for one credential lists that one alone, and only if the filter lets it through', async () => {
  const { id } = await engine.register({ ...machineEntry(server), ownerId: 'alice', tags: ['mine'] });
  await engine.register({ ...machineEntry(server), ownerId: 'bob', tags: ['mine'] });
  const { accessKey } = await engine.grant(id, { scopes: ['list'] });
  const operator = await createEmbeddedClient(engine).operator(accessKey);
  const idsOf = async (filter: object): Promise<string[]> =>
    (await operator.list(filter)).credentials.map((credential) => credential.id);
  expect(await idsOf({ tags: ['mine'], state: 'valid' })).toEqual([id]);
  expect(await idsOf({ ownerId: 'bob' })).toEqual([]);
  await expect(operator.list({ limit: 10, ...{ owner: 'x' } })).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
});
