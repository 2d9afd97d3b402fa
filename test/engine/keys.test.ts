import { setTimeout as delay } from 'node:timers/promises';
import type { CredentialEngine } from '../../src/engine.ts';
import type { Fetch } from '../../src/ports.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';

const ENTRY = {
  protocol: 'oauth2',
  name: 'Example',
  config: { tokenEndpoint: 'https://as.example/token', grantType: 'client_credentials', clientId: 'c' },
  secret: { clientSecret: 's' },
  test: false,
};

let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let other: CredentialEngine;
let issued: number;
/** Held back until a test lets it go. */
let gate: Promise<void>;

const fetch: Fetch = async () => {
  await gate;
  issued += 1;
  return Response.json({ access_token: `token ${String(issued)}`, token_type: 'Bearer', expires_in: 3600 });
};

beforeEach(async () => {
  folder = temporaryFolder();
  issued = 0;
  gate = Promise.resolve();
  engine = await openEngine(folder.path, { ports: { fetch } });
  other = await openEngine(folder.path, { ports: { fetch } });
});
afterEach(async () => {
  await engine.close();
  await other.close();
  folder.dispose();
});

test('F54 a rotation of the data key during a refresh: the writer seals under the new key, readers accept both, none is left', async () => {
  const { id } = await engine.register(ENTRY);
  await engine.use(id);
  const held = Promise.withResolvers<undefined>();
  gate = held.promise;
  const refresh = engine.refresh(id);
  await delay(50);
  const { keyId } = await other.keys.rotate();
  expect((await other.keys.reEncrypt()).left).toEqual([{ credentialId: id, reason: 'busy' }]);
  expect((await other.use(id)).headers).toEqual({ authorization: 'Bearer token 1' });
  held.resolve(undefined);
  expect((await refresh).generation).toBe(2);
  expect((await other.keys.reEncrypt()).left).toEqual([]);
  expect(Object.keys((await other.keys.verify()).valuesByKey)).toEqual([keyId]);
  expect((await engine.use(id)).headers).toEqual({ authorization: 'Bearer token 2' });
});

test('a running engine serves on through re-encryption by another process, from memory and from the store', async () => {
  const ids = await Promise.all(Array.from({ length: 20 }, async () => (await engine.register(ENTRY)).id));
  const before = await Promise.all(ids.map((id) => engine.use(id)));
  await other.keys.rotate();
  const passing = other.keys.reEncrypt();
  let uses = 0;
  for (let done = false; !done;) {
    done = await Promise.race([passing.then(() => true), delay(1, false)]);
    expect(await Promise.all(ids.map((id) => engine.use(id)))).toEqual(before);
    uses += ids.length;
  }
  expect(uses).toBeGreaterThan(0);
  expect(issued).toBe(20);
});

test('access keys and adopted ids outlive rotation and a change of the master key', async () => {
  const id = await engine.adopt(ENTRY);
  const { accessKey } = await engine.grant(id, { scopes: ['use'] });
  await engine.keys.rotate();
  const masterKey = Buffer.alloc(32, 42);
  await engine.keys.changeMasterKey(masterKey);
  const reopened = await openEngine(folder.path, { masterKey, ports: { fetch } });
  expect(await reopened.checkAccess(accessKey)).toEqual({ credentialId: id, scopes: ['use'] });
  expect(await reopened.adopt(ENTRY)).toBe(id);
  await reopened.close();
});

test('a closed engine does no work on keys', async () => {
  const closed = await openEngine(folder.path);
  await closed.close();
  for (const verb of ['status', 'rotate', 'reEncrypt', 'verify'] as const) {
    await expect(closed.keys[verb]()).rejects.toMatchObject({ code: 'ERR_ENGINE_CLOSED' });
  }
  await expect(closed.backup('x')).rejects.toMatchObject({ code: 'ERR_ENGINE_CLOSED' });
});
