import { awaitDeviceAuthorization, beginDeviceAuthorization } from '../src/device-authorization.ts';
import { createEmbeddedClient } from '../src/embedded-client.ts';
import type { CredentialEngine } from '../src/engine.ts';
import { ReauthorizationRequiredError, type CredentialError } from '../src/errors.ts';
import { Browser, OidcServer } from './servers/oidc.ts';
import { openEngine, temporaryFolder } from './support/engine.ts';
import { HastyClock } from './support/hasty-clock.ts';
import { StillClock } from './support/still-clock.ts';
import { aSummary } from './reports/summary.ts';

/** How often a device asks whether its person is done, where the server does not say (RFC 8628 §3.2). */
const DEVICE_INTERVAL_MS = 5_000;
const clock = new HastyClock(DEVICE_INTERVAL_MS);

const SECRET = 'a client secret that is long enough for HS256';
const folder = temporaryFolder();
let server: OidcServer;
let engine: CredentialEngine;

beforeAll(async () => {
  const grants = ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'];
  const device = {
    client_id: 'device',
    client_secret: SECRET,
    response_types: [],
    redirect_uris: [],
    grant_types: grants,
  };
  server = await OidcServer.start({ clients: [device] });
  engine = await openEngine(folder.path, { ports: { clock } });
}, 30_000);
afterAll(async () => {
  await engine.close();
  await server.stop();
  folder.dispose();
});

async function operator() {
  const { accessKey } = await engine.grant(null, { scopes: ['authorize'] });
  return createEmbeddedClient(engine).operator(accessKey);
}

it('is waited for again after a restart, and gives out no device code', async () => {
  const config = { issuer: server.issuer, grantType: 'device_code', clientId: 'device', allowInsecureTransport: true };
  const entry = { protocol: 'oauth2', name: 'TV', config: { ...config, scope: 'openid offline_access' } };
  const { id } = await engine.register({ ...entry, secret: { clientSecret: SECRET } });
  const begun = await (await operator()).authorize(id);
  expect(Object.keys(begun).sort()).toEqual([
    ...['authorizationId', 'credentialId', 'expiresAt', 'userCode', 'verificationUri', 'verificationUriComplete'],
  ]);
  const wait = async (limitMs: number) => (await operator()).awaitAuthorization(id, begun.authorizationId, { limitMs });
  expect(await wait(0)).toMatchObject({ status: 'waiting', credential: { state: 'pending.authorizing' } });
  await engine.close();
  engine = await openEngine(folder.path, { ports: { clock } });
  await new Browser().enterUserCode(begun.verificationUri, begun.userCode);
  expect(await wait(60_000)).toMatchObject({ status: 'authorized', credential: { id, state: 'valid.fresh' } });
  await expect(wait(0)).rejects.toMatchObject({ code: 'ERR_AUTHORIZATION_REPLAYED' });
}, 60_000);

/** An engine whose sign-in ends as it is told to. */
function ending(how: (signal: AbortSignal, onPending: () => void) => Promise<never>) {
  return {
    authorize: () => Promise.reject(new Error('not asked for')),
    get: (id: string) => Promise.resolve(aSummary({ id })),
    reauthorize: (
      _id: string,
      _answer: unknown,
      { signal, onPending }: { signal?: AbortSignal; onPending?: () => void },
    ) => how(signal ?? new AbortController().signal, onPending ?? (() => undefined)),
  };
}

const named = { id: 'cr_1', authorizationId: 'au_1' };

it.each([
  ['denied', 'ERR_AUTHORIZATION_DENIED'],
  ['expired', 'ERR_AUTHORIZATION_EXPIRED'],
] as const)('is %s when the other side says so', async (status, code) => {
  const engine = ending(() => Promise.reject(new ReauthorizationRequiredError(code, 'It is over.')));
  expect(await awaitDeviceAuthorization(engine, named)).toMatchObject({ status, credential: { id: 'cr_1' } });
});

it('passes every other failure on', async () => {
  const failure: CredentialError = new ReauthorizationRequiredError('ERR_AUTHORIZATION_UNKNOWN', 'No.');
  await expect(
    awaitDeviceAuthorization(
      ending(() => Promise.reject(failure)),
      named,
    ),
  ).rejects.toBe(failure);
});

it('ends at its limit between two questions, never in one', async () => {
  const clock = new StillClock();
  const asked: boolean[] = [];
  const engine = ending(async (signal, onPending) => {
    for (let question = 1; question <= 10; question += 1) {
      clock.advance(5_000);
      asked.push(signal.aborted);
      onPending();
      signal.throwIfAborted();
    }
    throw new Error('asked for ever');
  });
  expect(await awaitDeviceAuthorization(engine, named, { limitMs: 12_000 }, clock)).toMatchObject({
    status: 'waiting',
  });
  expect(asked).toEqual([false, false, false]);
});

it('ends when its caller gives up', async () => {
  const engine = ending(async (signal) => {
    signal.throwIfAborted();
    throw new Error('not cancelled');
  });
  const signal = AbortSignal.abort(new Error('cancelled'));
  await expect(awaitDeviceAuthorization(engine, named, { signal })).rejects.toThrow('cancelled');
});

it('is refused where a person would have to be sent somewhere', async () => {
  const redirected = {
    kind: 'redirect',
    url: 'https://as.example',
    authorizationId: 'au',
    expiresAt: new Date(0),
  } as const;
  const engine = { ...ending(() => Promise.reject(new Error('no'))), authorize: () => Promise.resolve(redirected) };
  await expect(beginDeviceAuthorization(engine, 'cr_1')).rejects.toMatchObject({
    code: 'ERR_AUTHORIZATION_UNSUPPORTED',
  });
});
