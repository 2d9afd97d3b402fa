import type { CredentialEngine } from '../../src/engine.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { openDatabase, type SeenDatabase } from './support/database.ts';

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let database: SeenDatabase;
let engine: CredentialEngine;
let other: CredentialEngine;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  engine = await openEngine(folder.path);
  other = await openEngine(folder.path);
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await Promise.all([engine.close(), other.close()]);
  database.close();
  folder.dispose();
});

test('the same input from twenty callers of two engines is one credential and one token request', async () => {
  const entry = await rotatingEntry(server);
  const before = (await server.tokenRequests()).length;
  const callers = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? engine : other));
  const ids = await Promise.all(callers.map((each) => each.adopt(structuredClone(entry))));
  expect([new Set(ids).size, database.count('records'), database.count('events')]).toEqual([1, 1, 1]);
  const id = ids[0] ?? '';
  const materials = await Promise.all(callers.map((each) => each.use(id)));
  expect(new Set(materials.map(({ headers }) => headers['authorization'])).size).toBe(1);
  expect((await server.tokenRequests()).length - before).toBe(1);
  expect(await engine.get(id)).toMatchObject({ origin: 'adopted', generation: 1, name: 'Rotating' });
});

test('finds the same credential whatever the order of the members', async () => {
  const { protocol, name, config, secret } = machineEntry(server);
  const reversed = Object.fromEntries(Object.entries(config).reverse());
  const ids = [
    await engine.adopt({ protocol, name, config, secret }),
    await other.adopt({ secret, config: reversed, name, protocol }),
  ];
  expect(ids[0]).toBe(ids[1]);
});

const STRANGERS: [string, { config?: object; secret?: object }][] = [
  ['another secret', { secret: { clientSecret: 'guessed' } }],
  ['a secret with a space behind it', { secret: { clientSecret: ' ' } }],
  ['another client', { config: { clientId: 'sandbox-rotating' } }],
  ['another scope', { config: { scope: 'openid' } }],
  ['no scope', { config: { scope: undefined } }],
  ['another issuer', { config: { issuer: 'http://127.0.0.1:1' } }],
  ['an endpoint of its own', { config: { tokenEndpoint: 'http://127.0.0.1:1/token' } }],
];

test.each(STRANGERS)('%s leads to another credential, which has nothing of the first', async (_, change) => {
  const id = await engine.adopt(machineEntry(server));
  await engine.use(id);
  const stranger = await engine.adopt(machineEntry(server, change));
  expect(stranger).not.toBe(id);
  expect(await engine.get(stranger)).toMatchObject({ state: 'pending.unverified', generation: 0 });
  if (change.secret) await expect(engine.use(stranger)).rejects.toMatchObject({ code: 'ERR_OAUTH2_INVALID_CLIENT' });
});

test('the id tells nothing: another master key gives another one', async () => {
  const elsewhere = temporaryFolder();
  const foreign = await openEngine(elsewhere.path, { masterKey: Buffer.alloc(32, 8) });
  expect(await foreign.adopt(machineEntry(server))).not.toBe(await engine.adopt(machineEntry(server)));
  await foreign.close();
  elsewhere.dispose();
});

test('applies an edit outside of the identity to the same credential, and keeps its grant', async () => {
  const id = await engine.adopt(machineEntry(server));
  await engine.use(id);
  const edited = machineEntry(server, { config: { testUrl: `${server.issuer}/nothing-here` } });
  expect(await other.adopt(edited)).toBe(id);
  expect((await engine.use(id)).generation).toBe(1);
  expect((await engine.test(id)).details.metadata).toMatchObject({ checkedBy: 'testUrl' });
});

test('gives a credential that was refused for its settings another chance after they were edited', async () => {
  const post = machineEntry(server, { config: { clientAuthentication: 'client_secret_post' } });
  const id = await engine.adopt(post);
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_INVALID_CLIENT' });
  const told: string[] = [];
  engine.on('*', ({ type }) => told.push(type));
  expect(await engine.adopt(machineEntry(server))).toBe(id);
  expect((await engine.use(id)).generation).toBe(1);
  expect(told).toEqual(['credential.refreshed', 'credential.recovered']);
});

test('an input that is malformed is refused and stores nothing', async () => {
  const entry = machineEntry(server, { config: { grantType: 'password' } });
  await expect(engine.adopt(entry)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
  expect([database.count('records'), database.count('secrets')]).toEqual([0, 0]);
});
