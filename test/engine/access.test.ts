import type { EngineClient } from '../../src/client.ts';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { bytesOf } from './support/database.ts';
import { Endpoint, endpointEntry, tokens } from './support/endpoint.ts';

let endpoint: Endpoint;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let client: EngineClient;
let id: string;
let otherId: string;

beforeEach(async () => {
  folder = temporaryFolder();
  endpoint = await Endpoint.start(tokens());
  engine = await openEngine(folder.path);
  client = createEmbeddedClient(engine);
  id = (await engine.register(endpointEntry(endpoint))).id;
  otherId = (await engine.register(endpointEntry(endpoint))).id;
});

afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  folder.dispose();
});

const outcomeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'allowed',
    (error: unknown) => {
      const { name, code, message, action, credentialId } = error as Record<string, unknown>;
      return { name, code, message, action, credentialId };
    },
  );

const changed = (key: string, at: number): string =>
  `${key.slice(0, at)}${key[at] === 'a' ? 'b' : 'a'}${key.slice(at + 1)}`;

const WRONG: [string, (key: string) => [string, string]][] = [
  ['an unknown id', (key) => ['cr_00000000000000000000', key]],
  ['the id of another credential', (key) => [otherId, key]],
  ['an id that is a member of every object', (key) => ['__proto__', key]],
  ['a key with a wrong secret', (key) => [id, changed(key, key.length - 10)]],
  ['a key with an unknown key id', (key) => [id, changed(key, 6)]],
  ['a key that is cut short', (key) => [id, key.slice(0, -1)]],
  ['a key with a line behind it', (key) => [id, `${key}\n`]],
  ['an empty key', () => [id, '']],
  ['a key of another form', () => [id, 'clk_ZZ_secret']],
];

test.each(WRONG)('%s answers like a missing credential', async (_, wrong) => {
  const { accessKey } = await engine.grant(id, { scopes: ['use'] });
  const answer = await outcomeOf(client.managed(...wrong(accessKey)));
  expect(answer).toEqual({
    name: 'AccessError',
    code: 'ERR_ACCESS_DENIED',
    message: 'The credential id or the access key is not valid.',
    action: expect.any(String) as string,
    credentialId: undefined,
  });
});

test('a key for all credentials does not tell which ids exist', async () => {
  const { accessKey } = await engine.grant(null, { scopes: ['use'] });
  expect(await outcomeOf(client.managed('cr_00000000000000000000', accessKey))).toMatchObject({
    code: 'ERR_ACCESS_DENIED',
  });
  expect(await outcomeOf(client.managed(id, accessKey))).toBe('allowed');
});

test('a handle gives the material of its one credential', async () => {
  const { accessKey } = await engine.grant(id, { scopes: ['use'] });
  const handle = await client.managed(id, accessKey);
  expect([handle.id, await handle.generation()]).toEqual([id, 1]);
  expect((await handle.use()).headers['authorization']).toMatch(/^Bearer access-/);
  expect(await handle.reportRejected(0)).toMatchObject({ decision: 'alreadyRefreshed' });
  expect(await handle.test()).toMatchObject({ success: true });
});

test('a key without the scope "use" gives no handle', async () => {
  const { accessKey } = await engine.grant(id, { scopes: ['list', 'test', 'refresh', 'rotate', 'revoke'] });
  expect(await outcomeOf(client.managed(id, accessKey))).toMatchObject({ code: 'ERR_ACCESS_SCOPE_MISSING' });
});

const SCOPES = ['list', 'use', 'test', 'refresh', 'rotate', 'revoke'] as const;

test.each(SCOPES)('the scope "%s" allows its own verb and no other', async (scope) => {
  const { accessKey } = await engine.grant(null, { scopes: [scope] });
  const operator = await client.operator(accessKey);
  const verbs = {
    ...{ get: 'list', use: 'use', test: 'test', refresh: 'refresh' },
    ...{ rotate: 'rotate', rollback: 'rotate', revoke: 'revoke' },
  } as const;
  expect((await outcomeOf(operator.list())) === 'allowed').toBe(scope === 'list');
  for (const [verb, needed] of Object.entries(verbs) as [keyof typeof verbs, string][]) {
    const outcome = await outcomeOf(operator[verb](id));
    // This protocol cannot rotate: whoever is told so was let through.
    if (needed === scope && scope === 'rotate') expect(outcome).toMatchObject({ code: 'ERR_ROTATION_UNSUPPORTED' });
    else if (needed === scope) expect(outcome).toBe('allowed');
    else expect(outcome).toMatchObject({ code: 'ERR_ACCESS_SCOPE_MISSING' });
  }
  expect((await engine.get(id)).state).toBe(scope === 'revoke' ? 'revoked.byUser' : 'valid.fresh');
});

test('a key for one credential sees and touches that one only', async () => {
  const { accessKey } = await engine.grant(id, { scopes: [...SCOPES] });
  const operator = await client.operator(accessKey);
  expect((await operator.list()).credentials.map((credential) => credential.id)).toEqual([id]);
  expect((await operator.list({ ownerId: 'nobody' })).credentials.map((credential) => credential.id)).not.toContain(
    otherId,
  );
  for (const verb of ['get', 'use', 'test', 'refresh', 'rotate', 'rollback', 'revoke'] as const) {
    for (const elsewhere of [otherId, 'cr_00000000000000000000']) {
      expect(await outcomeOf(operator[verb](elsewhere))).toMatchObject({ code: 'ERR_ACCESS_DENIED' });
    }
  }
  expect((await engine.get(otherId)).generation).toBe(1);
});

test('the verb "use" of an operator returns no material', async () => {
  const { accessKey } = await engine.grant(id, { scopes: ['use'] });
  const used = await (await client.operator(accessKey)).use(id);
  expect(Object.keys(used).sort()).toEqual(['expiresAt', 'generation', 'id', 'state']);
});

test('keys are stored as hashes, and hold only with the key ring that issued them', async () => {
  const { accessKey } = await engine.grant(id, { scopes: ['use'] });
  // Base64url may hold "_" itself: the secret is what comes after the key id.
  const secret = accessKey.slice(-43);
  const bytes = bytesOf(folder.path);
  for (const part of [secret, Buffer.from(secret, 'base64url'), Buffer.from(secret, 'base64url').toString('hex')]) {
    expect(bytes.includes(part)).toBe(false);
  }
  expect((await engine.checkAccess(accessKey)).credentialId).toBe(id);
});

test.each([
  ['no scopes', []],
  ['an unknown scope', ['use', 'everything']],
  ['a scope that is a member of every object', ['constructor']],
])('a grant with %s is refused', async (_, scopes) => {
  const granted = engine.grant(id, { scopes: scopes as 'use'[] });
  await expect(granted).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
});

test('a grant for an unknown credential is refused', async () => {
  await expect(engine.grant('cr_none', { scopes: ['use'] })).rejects.toMatchObject({
    code: 'ERR_CREDENTIAL_NOT_FOUND',
  });
});
