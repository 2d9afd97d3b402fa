import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { isCredentialError } from '../../src/errors.ts';
import { systemFetch, type Fetch } from '../../src/ports.ts';
import { OidcServer } from '../servers/oidc.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { openDatabase, type SeenDatabase } from './support/database.ts';
import { PEOPLES_CLIENTS, personsEntry, REDIRECT_URI, tampered, walkThrough } from './support/sign-in.ts';

let server: OidcServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let database: SeenDatabase;
let clock: TestClock;
let unreachable: boolean;
let refreshTokens: string[];

const fetch: Fetch = async (url, init) => {
  if (unreachable) throw Object.assign(new TypeError('fetch failed'), { code: 'ECONNREFUSED' });
  const response = await systemFetch(url, init);
  if (url.endsWith('/token') && response.ok)
    refreshTokens.push(((await response.clone().json()) as { refresh_token: string }).refresh_token);
  return response;
};

beforeAll(async () => {
  server = await OidcServer.start({ clients: PEOPLES_CLIENTS });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  unreachable = false;
  refreshTokens = [];
  engine = await openEngine(folder.path, { ports: { clock, fetch } });
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await engine.close();
  database.close();
  folder.dispose();
});

async function registered(overrides: Parameters<typeof personsEntry>[1] = {}): Promise<string> {
  return (await engine.register(personsEntry(server, overrides))).id;
}

const exchanges = async (): Promise<number> =>
  (await server.requests()).filter(({ grantType }) => grantType === 'authorization_code').length;

async function refusedWith(code: string, id: string, callbackUrl: string): Promise<void> {
  const before = database.recordOf(id);
  const sent = await exchanges();
  await expect(engine.reauthorize(id, { callbackUrl })).rejects.toMatchObject({ code });
  expect([database.recordOf(id), await exchanges()]).toEqual([before, sent]);
}

const codeIn = (error: unknown): unknown => (isCredentialError(error) ? error.code : error);

describe('an answer that does not belong here changes nothing, and the right one still counts', () => {
  it.each<[string, (callbackUrl: string) => string]>([
    ['without a state', (url) => tampered(url, { state: null })],
    ['with an empty state', (url) => tampered(url, { state: '' })],
    ['with another state', (url) => tampered(url, { state: 'x'.repeat(43) })],
    ['with two states', (url) => `${url}&state=${'x'.repeat(43)}`],
    ['without anything', () => REDIRECT_URI],
  ])('%s', async (_sentence, change) => {
    const id = await registered();
    const callbackUrl = await walkThrough(engine, id);
    await refusedWith('ERR_AUTHORIZATION_UNKNOWN', id, change(callbackUrl));
    expect((await engine.reauthorize(id, { callbackUrl })).credential.state).toBe('valid.fresh');
  });

  it('of another credential', async () => {
    const [id, foreign] = [await registered(), await registered()];
    const callbackUrl = await walkThrough(engine, foreign);
    await refusedWith('ERR_AUTHORIZATION_UNKNOWN', id, callbackUrl);
    expect((await engine.reauthorize(foreign, { callbackUrl })).credential.state).toBe('valid.fresh');
  });

  it('in another session', async () => {
    const id = await registered();
    const callbackUrl = await walkThrough(engine, id, 'session of alice');
    await refusedWith('ERR_AUTHORIZATION_UNKNOWN', id, callbackUrl);
    const session = 'session of mallory';
    await expect(engine.reauthorize(id, { callbackUrl }, { session })).rejects.toMatchObject({
      code: 'ERR_AUTHORIZATION_UNKNOWN',
    });
    const { credential } = await engine.reauthorize(id, { callbackUrl }, { session: 'session of alice' });
    expect(credential.state).toBe('valid.fresh');
  });

  it('a server that cannot be reached yet', async () => {
    const id = await registered();
    const callbackUrl = await walkThrough(engine, id);
    await engine.close();
    engine = await openEngine(folder.path, { ports: { clock, fetch } });
    unreachable = true;
    await refusedWith('ERR_ENDPOINT_UNREACHABLE', id, callbackUrl);
    unreachable = false;
    expect((await engine.reauthorize(id, { callbackUrl })).credential.state).toBe('valid.fresh');
  });
});

describe('an answer that is refused', () => {
  it.each<[string, string, (callbackUrl: string) => string]>([
    ['of another issuer', 'ERR_AUTHORIZATION_ISSUER_MISMATCH', (url) => tampered(url, { iss: 'https://evil.example' })],
    ['without its issuer', 'ERR_AUTHORIZATION_ISSUER_MISMATCH', (url) => tampered(url, { iss: null })],
    ['with two issuers', 'ERR_AUTHORIZATION_ISSUER_MISMATCH', (url) => `${url}&iss=https://evil.example`],
    ['without a code', 'ERR_AUTHORIZATION_INVALID', (url) => tampered(url, { code: null })],
    ['with two codes', 'ERR_AUTHORIZATION_INVALID', (url) => `${url}&code=other`],
    ['with an error', 'ERR_AUTHORIZATION_REFUSED', (url) => tampered(url, { error: 'invalid_scope' })],
    ['with a code of somebody else', 'ERR_OAUTH2_INVALID_GRANT', (url) => tampered(url, { code: 'x'.repeat(43) })],
  ])('%s ends the sign-in; what was there before is as it was', async (_sentence, code, change) => {
    const id = await registered();
    const first = await walkThrough(engine, id);
    await engine.reauthorize(id, { callbackUrl: first });
    const before = await engine.use(id);
    const callbackUrl = await walkThrough(engine, id);
    await expect(engine.reauthorize(id, { callbackUrl: change(callbackUrl) })).rejects.toMatchObject({ code });
    await refusedWith('ERR_AUTHORIZATION_REPLAYED', id, callbackUrl);
    expect(await engine.get(id)).toMatchObject({ state: 'valid.fresh', generation: 1, failure: null });
    expect((await engine.use(id)).headers).toEqual(before.headers);
    expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  });

  it('keeps its reason on a credential that nobody has signed in for', async () => {
    const id = await registered();
    await server.set({ denyNext: true });
    const callbackUrl = await walkThrough(engine, id);
    const denied = { code: 'ERR_AUTHORIZATION_DENIED' };
    await expect(engine.reauthorize(id, { callbackUrl })).rejects.toMatchObject(denied);
    expect(await engine.get(id)).toMatchObject({
      ...{ state: 'pending.authorizing', reason: 'authorizationFailed', failure: denied, dueAt: null },
    });
    await expect(engine.use(id)).rejects.toMatchObject(denied);
    const again = await walkThrough(engine, id);
    expect((await engine.reauthorize(id, { callbackUrl: again })).credential).toMatchObject({ failure: null });
  });

  it('a code that came with the state of another sign-in is worth nothing: the verifier is another', async () => {
    const id = await registered();
    const [one, other] = [await walkThrough(engine, id), await walkThrough(engine, id)];
    const injected = tampered(one, { code: new URL(other).searchParams.get('code') });
    await expect(engine.reauthorize(id, { callbackUrl: injected })).rejects.toMatchObject({
      code: 'ERR_OAUTH2_INVALID_GRANT',
    });
  });
});

it('takes one answer once, however often and by however many engines it is given', async () => {
  const id = await registered();
  const callbackUrl = await walkThrough(engine, id);
  const second = await openEngine(folder.path, { ports: { fetch } });
  const sent = await exchanges();
  const given = Array.from({ length: 20 }, (_, index) =>
    (index % 2 ? engine : second).reauthorize(id, { callbackUrl }),
  );
  const outcomes = (await Promise.allSettled(given)).map((each) =>
    each.status === 'fulfilled' ? each.value.credential.state : codeIn(each.reason),
  );
  expect(outcomes.filter((outcome) => outcome === 'valid.fresh')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'ERR_AUTHORIZATION_REPLAYED')).toHaveLength(19);
  expect((await exchanges()) - sent).toBe(1);
  expect(await engine.get(id)).toMatchObject({ generation: 1 });
  await second.close();
});

it('expires after ten minutes', async () => {
  const id = await registered();
  const { expiresAt } = await engine.authorize(id, { redirectUri: REDIRECT_URI });
  expect(expiresAt.getTime() - clock.now().getTime()).toBeGreaterThan(9 * 60_000);
  const callbackUrl = await walkThrough(engine, id);
  clock.advance(10 * 60_000 + 1);
  await refusedWith('ERR_AUTHORIZATION_EXPIRED', id, callbackUrl);
});

it('lets two sign-ins wait at once, over a restart, and takes both', async () => {
  const id = await registered();
  const [one, other] = [await walkThrough(engine, id), await walkThrough(engine, id)];
  await engine.close();
  engine = await openEngine(folder.path, { ports: { clock, fetch } });
  expect((await engine.reauthorize(id, { callbackUrl: other })).credential).toMatchObject({ generation: 1 });
  expect((await engine.reauthorize(id, { callbackUrl: one })).credential).toMatchObject({ generation: 2 });
  expect(await engine.test(id)).toMatchObject({ success: true });
});

it('keeps id, tags and access keys when a dead grant gets a new one', async () => {
  const id = await registered({ tags: ['crm', 'night'] });
  await engine.reauthorize(id, { callbackUrl: await walkThrough(engine, id) });
  const { accessKey } = await engine.grant(id, { scopes: ['use'] });
  await server.endRefreshToken(refreshTokens[0] ?? '');
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.degraded' });
  clock.advance(61_000);
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_INVALID_GRANT' });
  const callbackUrl = await walkThrough(engine, id);
  const { credential } = await engine.reauthorize(id, { callbackUrl });
  expect(credential).toMatchObject({ id, state: 'valid.fresh', failure: null, tags: ['crm', 'night'], generation: 2 });
  const handle = await createEmbeddedClient(engine).managed(id, accessKey);
  expect(await handle.use()).toMatchObject({ generation: 2 });
  const { events } = await engine.readEvents(0);
  expect(events.slice(-2).map(({ type }) => type)).toEqual(['credential.authorized', 'credential.recovered']);
});

it.each<[string, object]>([
  ['a fragment', { redirectUri: 'https://host.example/cb#x' }],
  ['a query', { redirectUri: 'https://host.example/cb?x=1' }],
  ['plain http elsewhere', { redirectUri: 'http://host.example/cb' }],
  ['a script', { redirectUri: 'javascript:alert(1)' }],
  ['no URL', { redirectUri: 'callback' }],
])('refuses a redirect URI with %s', async (_sentence, options) => {
  const config = { issuer: server.issuer.replace('http:', 'https:'), allowInsecureTransport: false };
  const id = await registered({ config });
  await expect(engine.authorize(id, options)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
  expect(database.recordOf(id)).toMatchObject({ authorizations: [] });
});

it('refuses wrong use as a TypeError', async () => {
  const id = await registered();
  for (const options of [{ redirectURI: REDIRECT_URI }, { redirectUri: 5 }, { session: '' }])
    await expect(engine.authorize(id, options as object)).rejects.toThrow(TypeError);
  for (const answer of [{}, { callbackUrl: 5 }, { callbackUrl: REDIRECT_URI, authorizationId: 'x' }])
    await expect(engine.reauthorize(id, answer as { callbackUrl: string })).rejects.toThrow(TypeError);
  await expect(engine.reauthorize(id, { callbackUrl: 'no url' })).rejects.toMatchObject({
    code: 'ERR_CONFIG_MALFORMED',
  });
});

it('has nobody sign in for a machine', async () => {
  const id = await registered({ config: { grantType: 'client_credentials' } });
  await expect(engine.authorize(id, { redirectUri: REDIRECT_URI })).rejects.toMatchObject({
    code: 'ERR_AUTHORIZATION_UNSUPPORTED',
  });
});

it('does not sign in for a revoked credential, before or after', async () => {
  const id = await registered();
  const callbackUrl = await walkThrough(engine, id);
  await engine.revoke(id);
  await refusedWith('ERR_CREDENTIAL_REVOKED', id, callbackUrl);
  await expect(engine.authorize(id, { redirectUri: REDIRECT_URI })).rejects.toMatchObject({
    code: 'ERR_CREDENTIAL_REVOKED',
  });
  expect(database.secretsOf(id)).toEqual([]);
});

it('says that only a person can help a grant without a refresh token', async () => {
  const id = await registered({ config: { scope: 'openid' } });
  await engine.reauthorize(id, { callbackUrl: await walkThrough(engine, id) });
  clock.advance(61_000);
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NEEDS_USER' });
});
