import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { CredentialEngine } from '../../src/engine.ts';
import { systemFetch, type Fetch } from '../../src/ports.ts';
import type { Material } from '../../src/protocols/protocol.ts';
import { CertificateAuthority, type KeyPair } from '../servers/certificate-authority.ts';
import { Browser, OidcServer } from '../servers/oidc.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { HastyClock } from '../support/hasty-clock.ts';
import { bytesOf } from './support/database.ts';

/** How often a device asks whether its person is done, where the server does not say (RFC 8628 §3.2). */
const DEVICE_INTERVAL_MS = 5_000;

const REDIRECT_URI = 'http://127.0.0.1/callback';
const SECRET = 'a client secret that is long enough for HS256';
const clientKey = pemPair('ec');
const rsaKey = pemPair('rsa');

function pemPair(kind: 'ec' | 'rsa') {
  const pair =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    jwk: pair.publicKey.export({ format: 'jwk' }),
  };
}

const certificates = temporaryFolder();
let authority: CertificateAuthority;
let certified: KeyPair;
let selfSigned: KeyPair;
let plain: OidcServer;
let secure: OidcServer;
const trusted = getCACertificates('default');

beforeAll(async () => {
  authority = new CertificateAuthority(certificates.path);
  certified = authority.issue('/CN=client', { names: 'DNS:client.example.test' });
  selfSigned = authority.selfSigned('/CN=own');
  setDefaultCACertificates([...trusted, authority.certificate]);
  plain = await OidcServer.start({ clients: plainClients(), requireNonce: true });
  const { certificate: cert, key } = authority.issue('/CN=server', { names: 'IP:127.0.0.1,DNS:localhost' });
  secure = await OidcServer.start({ clients: tlsClients(), tls: { cert, key, ca: authority.certificate } });
}, 30_000);

afterAll(async () => {
  await plain.stop();
  await secure.stop();
  setDefaultCACertificates(trusted);
  certificates.dispose();
});

const USER = { grant_types: ['authorization_code', 'refresh_token'], redirect_uris: [REDIRECT_URI] };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const MACHINE = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
const NATIVE = { application_type: 'native', response_types: ['code'] };

function plainClients(): object[] {
  return [
    { client_id: 'code', client_secret: SECRET, ...NATIVE, ...USER },
    { client_id: 'public', token_endpoint_auth_method: 'none', ...NATIVE, ...USER },
    { client_id: 'par', client_secret: SECRET, ...NATIVE, ...USER, require_pushed_authorization_requests: true },
    {
      client_id: 'device',
      client_secret: SECRET,
      grant_types: [DEVICE, 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    },
    { client_id: 'basic', client_secret: SECRET, ...MACHINE },
    { client_id: 'post', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_post', ...MACHINE },
    { client_id: 'secret-jwt', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt', ...MACHINE },
    {
      client_id: 'key-ec',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...clientKey.jwk, kid: 'ec' }] },
      ...MACHINE,
    },
    { client_id: 'key-rsa', token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [rsaKey.jwk] }, ...MACHINE },
    {
      ...{ client_id: 'exchange', client_secret: SECRET, ...MACHINE },
      grant_types: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
    },
    {
      ...{ client_id: 'bearer', token_endpoint_auth_method: 'none', ...MACHINE, jwks: { keys: [rsaKey.jwk] } },
      grant_types: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
    },
  ];
}

function tlsClients(): object[] {
  const bound = { tls_client_certificate_bound_access_tokens: true };
  const jwk = createPublicKey(selfSigned.certificate).export({ format: 'jwk' });
  const x5c = [new X509Certificate(selfSigned.certificate).raw.toString('base64')];
  const authorityClient = {
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_san_dns: 'client.example.test',
  };
  const ownClient = { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [{ ...jwk, x5c }] } };
  return [
    { client_id: 'tls', ...authorityClient, ...bound, ...MACHINE },
    { client_id: 'own', ...ownClient, ...bound, ...MACHINE },
    { client_id: 'tls-code', ...authorityClient, ...bound, ...NATIVE, ...USER },
  ];
}

let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let secrets: Set<string>;

/** Learns every token, so that the test can ask the server about it and look for it where it must not be. */
const fetch: Fetch = async (url, init) => {
  const response = await systemFetch(url, init);
  if (url.endsWith('/token') && response.ok) {
    const body = (await response.clone().json()) as Record<string, unknown>;
    for (const name of ['access_token', 'refresh_token', 'id_token'])
      if (typeof body[name] === 'string') secrets.add(body[name]);
  }
  return response;
};

beforeEach(async () => {
  folder = temporaryFolder();
  secrets = new Set();
  engine = await openEngine(folder.path, { ports: { clock: new HastyClock(DEVICE_INTERVAL_MS), fetch } });
});

afterEach(async () => {
  const bytes = bytesOf(folder.path);
  await engine.close();
  folder.dispose();
  expect([...secrets].filter((secret) => bytes.includes(secret))).toEqual([]);
});

function entry(server: OidcServer, grantType: string, config: object, secret: object = { clientSecret: SECRET }) {
  const allowInsecureTransport = server === plain;
  return {
    protocol: 'oauth2',
    name: 'Flow',
    config: { issuer: server.issuer, grantType, allowInsecureTransport, ...config },
    secret,
  };
}

function tokenOf({ headers }: Material): string {
  return headers['authorization']?.split(' ')[1] ?? '';
}

/** use, refresh, use again; returns both materials. */
async function liveOn(id: string): Promise<[Material, Material]> {
  const first = await engine.use(id);
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: first.generation + 1 });
  const second = await engine.use(id);
  expect(tokenOf(second)).not.toBe(tokenOf(first));
  expect(await engine.test(id)).toMatchObject({ success: true });
  return [first, second];
}

async function endedAt(server: OidcServer, id: string, material: Material): Promise<void> {
  const token = tokenOf(material);
  expect(await server.isActive(token)).toBe(true);
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser', failure: null });
  expect(await server.isActive(token)).toBe(false);
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
}

async function signIn(server: OidcServer, id: string) {
  const authorization = await engine.authorize(id, { redirectUri: REDIRECT_URI });
  if (authorization.kind !== 'redirect') throw new TypeError('expected a URL');
  const callbackUrl = await new Browser().signIn(authorization.url, REDIRECT_URI);
  return { ...(await engine.reauthorize(id, { callbackUrl })), url: authorization.url };
}

const CODE = { clientId: 'code', scope: 'openid offline_access api' };

describe('a machine', () => {
  it.each<[string, object, object]>([
    ['client_secret_basic', { clientId: 'basic' }, { clientSecret: SECRET }],
    ['client_secret_post', { clientId: 'post' }, { clientSecret: SECRET }],
    ['client_secret_jwt', { clientId: 'secret-jwt' }, { clientSecret: SECRET }],
    ['private_key_jwt', { clientId: 'key-ec', clientKeyId: 'ec' }, { clientKey: clientKey.pem }],
    ['private_key_jwt', { clientId: 'key-rsa', clientKeyAlgorithm: 'PS256' }, { clientKey: rsaKey.pem }],
    ['private_key_jwt', { clientId: 'key-rsa' }, { clientKey: rsaKey.pem }],
  ])('logs in by client credentials with %s %j', async (clientAuthentication, config, secret) => {
    const { id, state } = await engine.register(
      entry(plain, 'client_credentials', { ...config, clientAuthentication, scope: 'api' }, secret),
    );
    expect(state).toBe('valid.fresh');
    const [, material] = await liveOn(id);
    await endedAt(plain, id, material);
  });

  it('names its resource at every request and gets a token for that alone', async () => {
    const config = { clientId: 'basic', scope: 'api', resources: ['urn:api'] };
    const { id } = await engine.register({ ...entry(plain, 'client_credentials', config), test: false });
    await engine.use(id);
    await engine.refresh(id);
    const claims = JSON.parse(
      Buffer.from(tokenOf(await engine.use(id)).split('.')[1] ?? '', 'base64url').toString(),
    ) as object;
    expect(claims).toMatchObject({ aud: 'urn:api', scope: 'api' });
    expect((await plain.requests()).slice(-2).map(({ resource }) => resource)).toEqual(['urn:api', 'urn:api']);
  });

  it.each<['tls_client_auth' | 'self_signed_tls_client_auth', string]>([
    ['tls_client_auth', 'tls'],
    ['self_signed_tls_client_auth', 'own'],
  ])('logs in with %s, and its tokens are bound to the certificate', async (clientAuthentication, clientId) => {
    const own = clientId === 'tls' ? certified : selfSigned;
    const config = { clientId, clientAuthentication };
    const { id } = await engine.register(
      entry(secure, 'client_credentials', config, { tlsCertificate: own.certificate, tlsKey: own.key }),
    );
    const [, material] = await liveOn(id);
    expect(material.tls).toEqual({ cert: own.certificate, key: own.key });
    const { certificate } = (await secure.requests()).at(-1) ?? {};
    expect(await secure.binding(tokenOf(material))).toEqual({ jkt: null, 'x5t#S256': certificate });
    await endedAt(secure, id, material);
  });

  it('is refused with the certificate of somebody else', async () => {
    const { certificate: cert, key } = authority.issue('/CN=stranger', { names: 'DNS:stranger.example.test' });
    const config = { clientId: 'tls', clientAuthentication: 'tls_client_auth' };
    const { id, state } = await engine.register(
      entry(secure, 'client_credentials', config, { tlsCertificate: cert, tlsKey: key }),
    );
    expect(state).toBe('pending.misconfigured');
    await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_INVALID_CLIENT' });
  });

  it('binds its tokens to a key of its own, and keeps the key', async () => {
    const { id } = await engine.register(entry(plain, 'client_credentials', { clientId: 'basic', dpop: true }));
    const [first, second] = await liveOn(id);
    const [one, other] = [await plain.binding(tokenOf(first)), await plain.binding(tokenOf(second))];
    expect(one.jkt).toEqual(expect.any(String));
    expect(other).toEqual(one);
    expect(second.headers['authorization']).toMatch(/^DPoP /);
    const proof = await second.proof?.({ method: 'get', url: `${plain.issuer}/me?x=1#y` });
    const [header, payload] = (proof?.['dpop'] ?? '')
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString());
    expect(JSON.parse(payload ?? '')).toMatchObject({ htm: 'GET', htu: `${plain.issuer}/me` });
    expect(header).not.toContain('"d"');
    await endedAt(plain, id, second);
  });

  it('exchanges a token for another', async () => {
    const source = await engine.register(entry(plain, 'client_credentials', { clientId: 'basic', scope: 'api' }));
    const subjectToken = tokenOf(await engine.use(source.id));
    const tokenExchange = { subjectTokenType: 'urn:ietf:params:oauth:token-type:access_token' };
    const config = { clientId: 'exchange', scope: 'api', tokenExchange };
    const { id } = await engine.register(
      entry(plain, 'token_exchange', config, { clientSecret: SECRET, subjectToken }),
    );
    const [, material] = await liveOn(id);
    await endedAt(plain, id, material);
    await engine.revoke(source.id);
    const late = await engine.register(entry(plain, 'token_exchange', config, { clientSecret: SECRET, subjectToken }));
    await expect(engine.use(late.id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_INVALID_GRANT' });
  });

  it('signs an assertion for each request', async () => {
    const config = { clientId: 'bearer', clientAuthentication: 'none', scope: 'api', assertion: { subject: 'alice' } };
    const secret = { assertionKey: rsaKey.pem };
    const { id } = await engine.register(entry(plain, 'jwt_bearer', config, secret));
    const [, material] = await liveOn(id);
    await endedAt(plain, id, material);
  });
});

describe('a person', () => {
  it('signs in by authorization code with PKCE, state and nonce', async () => {
    const { id, state, test } = await engine.register({ ...entry(plain, 'authorization_code', CODE), tags: ['crm'] });
    expect([state, test]).toEqual(['pending.authorizing', null]);
    expect(await engine.get(id)).toMatchObject({ health: 'unknown' });
    await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_AUTHORIZED' });
    const { credential, advice, url } = await signIn(plain, id);
    expect(credential).toMatchObject({ id, state: 'valid.fresh', reason: 'authorized', generation: 1, tags: ['crm'] });
    expect([credential.refreshable, advice]).toEqual([true, null]);
    const parameters = new URL(url).searchParams;
    expect(parameters.get('code_challenge_method')).toBe('S256');
    for (const name of ['state', 'nonce', 'code_challenge']) expect(parameters.get(name)).toMatch(/^[\w-]{43}$/);
    const [, material] = await liveOn(id);
    await endedAt(plain, id, material);
  });

  it('signs in with a public client, whose grant is bound to a key of its own', async () => {
    const config = { ...CODE, clientId: 'public', clientAuthentication: 'none', dpop: true };
    const userinfoEndpoint = `${plain.issuer}/me`;
    const { id } = await engine.register(entry(plain, 'authorization_code', { ...config, userinfoEndpoint }, {}));
    const { url } = await signIn(plain, id);
    expect(new URL(url).searchParams.get('dpop_jkt')).toMatch(/^[\w-]{43}$/);
    const [, material] = await liveOn(id);
    expect((await plain.requests()).at(-1)).toMatchObject({ grantType: 'refresh_token', dpop: true });
    // The same token without its proof is worth nothing.
    const bare = await systemFetch(userinfoEndpoint, { headers: material.headers });
    expect(bare.status).toBe(400);
    await endedAt(plain, id, material);
  });

  it('sends the authorization request ahead where the server wants that', async () => {
    const refused = await engine.register(entry(plain, 'authorization_code', { ...CODE, clientId: 'par' }));
    await expect(signIn(plain, refused.id)).rejects.toMatchObject({ code: 'ERR_AUTHORIZATION_REFUSED' });
    const config = { ...CODE, clientId: 'par', pushedAuthorizationRequests: true };
    const { id } = await engine.register(entry(plain, 'authorization_code', config));
    const { url } = await signIn(plain, id);
    expect([...new URL(url).searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    const [, material] = await liveOn(id);
    await endedAt(plain, id, material);
  });

  it('names the resource in the request, for the code and at each refresh', async () => {
    const config = { ...CODE, resources: ['urn:api'] };
    const { id } = await engine.register(entry(plain, 'authorization_code', config));
    const { url } = await signIn(plain, id);
    expect(new URL(url).searchParams.getAll('resource')).toEqual(['urn:api']);
    await engine.refresh(id);
    const seen = (await plain.requests()).slice(-2);
    expect(seen.map(({ grantType, resource }) => [grantType, resource])).toEqual([
      ['authorization_code', 'urn:api'],
      ['refresh_token', 'urn:api'],
    ]);
    expect(seen[1]).toMatchObject({ scope: null, status: 200 });
  });

  it('signs in over a connection with a certificate, and the tokens are bound to it', async () => {
    const config = { ...CODE, clientId: 'tls-code', clientAuthentication: 'tls_client_auth' };
    const userinfoEndpoint = `${secure.issuer}/me`;
    const secret = { tlsCertificate: certified.certificate, tlsKey: certified.key };
    const { id } = await engine.register(entry(secure, 'authorization_code', { ...config, userinfoEndpoint }, secret));
    await signIn(secure, id);
    const [, material] = await liveOn(id);
    const bare = await systemFetch(userinfoEndpoint, { headers: material.headers });
    expect(bare.status).toBe(401);
    expect((await systemFetch(userinfoEndpoint, { ...material })).status).toBe(200);
    await endedAt(secure, id, material);
  });

  it('enters a code on another device', async () => {
    const scope = 'openid offline_access';
    const { id } = await engine.register(entry(plain, 'device_code', { clientId: 'device', scope }));
    const authorization = await engine.authorize(id);
    if (authorization.kind !== 'device') throw new TypeError('expected a code');
    const { authorizationId, userCode, verificationUri } = authorization;
    await new Browser().enterUserCode(verificationUri, userCode);
    const { credential } = await engine.reauthorize(id, { authorizationId });
    expect(credential).toMatchObject({ state: 'valid.fresh', refreshable: true });
    const [, material] = await liveOn(id);
    await endedAt(plain, id, material);
  }, 30_000);

  it('is told at once when no refresh token came, and how to get one', async () => {
    const { id } = await engine.register(entry(plain, 'authorization_code', { ...CODE, scope: 'openid' }));
    const { credential, advice } = await signIn(plain, id);
    expect(credential).toMatchObject({ state: 'valid.fresh', refreshable: false });
    expect(advice).toContain('offline_access');
  });
});
