import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import type { CredentialEngine } from '../../src/engine.ts';
import { systemFetch, type Fetch } from '../../src/ports.ts';
import { Browser, OidcServer } from '../servers/oidc.ts';
import { findCanaries } from '../support/canaries.ts';
import { MASTER_KEY, openEngine, temporaryFolder } from '../support/engine.ts';
import { HastyClock } from '../support/hasty-clock.ts';
import { bytesOf } from './support/database.ts';
import {
  CLIENT_SECRET,
  PEOPLES_CLIENTS,
  personsEntry,
  REDIRECT_URI,
  tampered,
  walkThrough,
} from './support/sign-in.ts';

/** How often a device asks whether its person is done, where the server does not say (RFC 8628 §3.2). */
const DEVICE_INTERVAL_MS = 5_000;

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwks = { keys: [pair.publicKey.export({ format: 'jwk' })] };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const MACHINE = { response_types: [], redirect_uris: [] };

let server: OidcServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let secrets: Map<string, string>;
let seen: string[];
let broken: boolean;

const SECRET_PARAMETERS = [
  ...[
    'code',
    'code_verifier',
    'client_assertion',
    'client_secret',
    'assertion',
    'refresh_token',
    'device_code',
    'token',
  ],
];
const SECRET_MEMBERS = ['access_token', 'refresh_token', 'id_token', 'device_code'];

/** Learns every secret that goes out or comes in. */
const fetch: Fetch = async (url, init) => {
  const parameters = new URLSearchParams(init?.body instanceof URLSearchParams ? init.body : undefined);
  for (const name of SECRET_PARAMETERS) learn(name, parameters.get(name));
  learn('DPoP proof', new Headers(init?.headers).get('dpop'));
  if (broken) throw Object.assign(new TypeError(`fetch of ${url} failed`), { body: parameters.toString() });
  const response = await systemFetch(url, init);
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  if (typeof body === 'object' && body !== null)
    for (const [name, value] of Object.entries(body)) if (SECRET_MEMBERS.includes(name)) learn(name, value);
  return response;
};

function learn(name: string, value: unknown): void {
  if (typeof value === 'string' && value.length > 8 && !secrets.has(value)) secrets.set(value, name);
}

function see(value: unknown): void {
  seen.push(inspect(value, { depth: Infinity, showHidden: true, getters: true }), JSON.stringify({ value }));
  if (value instanceof Error) seen.push(String(value.stack), inspect(value.cause, { depth: Infinity }));
}

const attempt = async (work: Promise<unknown>): Promise<void> => {
  see(await work.catch((error: unknown) => error));
};

beforeAll(async () => {
  server = await OidcServer.start({
    clients: [
      ...PEOPLES_CLIENTS,
      { client_id: 'device', client_secret: CLIENT_SECRET, grant_types: [DEVICE, 'refresh_token'], ...MACHINE },
      {
        client_id: 'key',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks,
        grant_types: ['client_credentials'],
        ...MACHINE,
      },
      { client_id: 'bearer', token_endpoint_auth_method: 'none', jwks, grant_types: [BEARER], ...MACHINE },
    ],
  });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  broken = false;
  seen = [];
  secrets = new Map([
    [CLIENT_SECRET, 'client secret'],
    [MASTER_KEY.toString('latin1'), 'master key'],
  ]);
  for (const [index, line] of PEM.trim().split('\n').slice(1, -1).entries())
    secrets.set(line, `client key ${String(index)}`);
  const exportKey = crypto.subtle.exportKey.bind(crypto.subtle);
  const learning = async (format: 'jwk', key: Parameters<typeof exportKey>[1]): Promise<unknown> => {
    const exported = await exportKey(format, key);
    learn('DPoP key', exported.d);
    return exported;
  };
  jest.spyOn(crypto.subtle, 'exportKey').mockImplementation(learning as never);
  const log = (fields: object, message: string): void => {
    see([fields, message]);
  };
  const logger = { debug: log, info: log, warn: log, error: log };
  engine = await openEngine(folder.path, { ports: { clock: new HastyClock(DEVICE_INTERVAL_MS), fetch, logger } });
  engine.on('*', see);
  engine.inspect((inspected) => {
    // The whole snapshot as JSON; not the machine behind it, which is the same for all.
    seen.push(JSON.stringify([inspected.type, 'event' in inspected && inspected.event]));
    if ('snapshot' in inspected) seen.push(JSON.stringify(inspected.snapshot));
  });
});

afterEach(async () => {
  await engine.close();
  folder.dispose();
});

async function signInWithEverything(): Promise<void> {
  const { id } = await engine.register(personsEntry(server, { config: { dpop: true } }));
  const good = await walkThrough(engine, id);
  learn('state', new URL(good).searchParams.get('state'));
  learn('code', new URL(good).searchParams.get('code'));
  for (const changes of [{ state: 'x'.repeat(43) }, { iss: 'https://evil.example' }]) {
    await attempt(engine.reauthorize(id, { callbackUrl: tampered(good, changes) }));
  }
  for (const change of [(url: string) => tampered(url, { code: 'canary-of-a-wrong-code' }), (url: string) => url]) {
    const callbackUrl = change(await walkThrough(engine, id));
    await attempt(engine.reauthorize(id, { callbackUrl }));
    await attempt(engine.reauthorize(id, { callbackUrl }));
  }
  await server.set({ dropAnswers: 1 });
  await attempt(engine.reauthorize(id, { callbackUrl: await walkThrough(engine, id) }));
  const late = await walkThrough(engine, id);
  broken = true;
  await attempt(engine.reauthorize(id, { callbackUrl: late }));
  await attempt(engine.refresh(id));
  broken = false;
  await attempt(engine.refresh(id));
  await attempt(engine.test(id));
  await attempt(engine.use(id).then(({ generation, proof }) => ({ generation, bound: proof !== undefined })));
  await attempt(
    engine.authorize(id, { redirectUri: REDIRECT_URI }).then(({ kind, expiresAt }) => ({ kind, expiresAt })),
  );
}

async function liveAsMachines(): Promise<void> {
  const config = { issuer: server.issuer, allowInsecureTransport: true };
  const key = { ...config, grantType: 'client_credentials', clientId: 'key', clientAuthentication: 'private_key_jwt' };
  const bearer = { ...config, grantType: 'jwt_bearer', clientId: 'bearer', clientAuthentication: 'none' };
  const entries = [
    { config: key, secret: { clientKey: PEM } },
    { config: bearer, secret: { assertionKey: PEM } },
    { config: bearer, secret: { assertionKey: PEM.slice(0, -40) } },
  ];
  for (const entry of entries) await attempt(engine.register({ protocol: 'oauth2', name: 'Machine', ...entry }));
  broken = true;
  await attempt(engine.register({ protocol: 'oauth2', name: 'Machine', config: key, secret: { clientKey: PEM } }));
  broken = false;
}

async function liveWithDevice(): Promise<void> {
  const entry = personsEntry(server, {
    config: { grantType: 'device_code', clientId: 'device', scope: 'openid offline_access' },
  });
  const { id } = await engine.register(entry);
  const authorization = await engine.authorize(id);
  if (authorization.kind !== 'device') throw new TypeError('expected a code');
  await new Browser().enterUserCode(authorization.verificationUri, authorization.userCode);
  await attempt(engine.reauthorize(id, { authorizationId: authorization.authorizationId }));
}

test('F58 no code, verifier, key, proof, assertion or token of a sign-in is in a log, error, event, snapshot or the database', async () => {
  await signInWithEverything();
  await liveAsMachines();
  await liveWithDevice();
  see([await engine.list(), await engine.readEvents(0, 1_000)]);
  const places = new Map([
    ['what was shown', Buffer.from(seen.join('\n'))],
    ['the database', bytesOf(folder.path)],
  ]);
  const kinds = new Set([...secrets.values()].map((name) => name.replace(/ \d+$/, '')));
  for (const kind of ['code', 'code_verifier', 'state', 'DPoP key', 'DPoP proof', 'client key', 'client_assertion'])
    expect(kinds).toContain(kind);
  for (const kind of ['assertion', 'device_code', 'access_token', 'refresh_token', 'id_token'])
    expect(kinds).toContain(kind);
  expect(places.get('what was shown')?.length).toBeGreaterThan(50_000);
  expect(findCanaries([...secrets.keys()], places)).toEqual([]);
  // The search itself finds what is there.
  const [planted = ''] = [...secrets.keys()].slice(-1);
  expect(findCanaries([planted], new Map([['here', Buffer.from(`..${planted}..`)]]))).toHaveLength(1);
}, 60_000);
