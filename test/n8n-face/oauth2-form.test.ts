import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { NodeHelpers, type ICredentialDataDecryptedObject } from 'n8n-workflow';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { authenticationThrough } from '../../src/n8n/adapter.ts';
import { lifecycleOAuth2 } from '../../src/n8n/credential-sources.ts';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { oauth2Entry } from '../../src/n8n/oauth2-entry.ts';
import { PROVIDERS } from '../../src/n8n/oauth2-grant-properties.ts';
import { oauth2Properties } from '../../src/n8n/oauth2-properties.ts';
import { parseOAuth2Config, parseOAuth2Secret } from '../../src/protocols/oauth2/config.ts';
import { PROFILE_NAMES, profileOf } from '../../src/protocols/oauth2/profile.ts';
import { OidcServer } from '../servers/oidc.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';

type Stored = Record<string, string | number | boolean>;

/** What n8n hands over: the stored values with the defaults of the fields, without the fields that are not shown. */
function decrypted(stored: Stored): ICredentialDataDecryptedObject {
  const values = NodeHelpers.getNodeParameters(oauth2Properties, stored, true, false, null, null);
  return JSON.parse(JSON.stringify(values)) as ICredentialDataDecryptedObject;
}

const entry = (stored: Stored) => oauth2Entry(decrypted(stored));

const SECRET = 'a client secret that is long enough for HS256';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
/** As it comes out of a field that has only one line. */
const ONE_LINE = PEM.replaceAll('\n', ' ');

const AT = { issuer: 'https://auth.example.com', clientId: 'client-1' };
const BEARER = { ...AT, grantType: 'jwt_bearer', clientAuthentication: 'none', assertionKey: ONE_LINE };
const EXCHANGE = { ...AT, grantType: 'token_exchange', clientSecret: 's', subjectToken: 'subject' };
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

describe('the values of OAuth2 (Lifecycle)', () => {
  it('become a client that proves itself by a key, without any secret', () => {
    const keyed = {
      clientAuthentication: 'private_key_jwt',
      clientKey: ONE_LINE,
      clientKeyId: 'k',
      clientSecret: 'old',
    };
    const { config, secret } = entry({ ...AT, ...keyed, clientKeyAlgorithm: 'PS256' });
    expect(config).toEqual({
      ...AT,
      grantType: 'client_credentials',
      clientAuthentication: 'private_key_jwt',
      clientKeyId: 'k',
      clientKeyAlgorithm: 'PS256',
    });
    expect(secret).toEqual({ clientKey: PEM });
  });

  it('become an assertion with just what was entered', () => {
    expect(entry(BEARER)).toMatchObject({ config: { grantType: 'jwt_bearer' }, secret: { assertionKey: PEM } });
    expect(entry(BEARER).config).not.toHaveProperty('assertion');
    const said = {
      assertionSubject: 'alice',
      assertionAudience: 'https://a.example',
      assertionClaims: '{"scope":"x"}',
    };
    expect(entry({ ...BEARER, ...said }).config).toMatchObject({
      assertion: { subject: 'alice', audience: 'https://a.example', claims: { scope: 'x' } },
    });
  });

  it('become a token exchange, with an actor where there is one', () => {
    expect(entry(EXCHANGE)).toMatchObject({
      config: { tokenExchange: { subjectTokenType: ACCESS_TOKEN } },
      secret: { clientSecret: 's', subjectToken: 'subject' },
    });
    expect(entry(EXCHANGE).config).not.toHaveProperty('tokenExchange.actorTokenType');
    const { config, secret } = entry({ ...EXCHANGE, actorToken: 'actor' });
    expect(config).toHaveProperty('tokenExchange.actorTokenType', ACCESS_TOKEN);
    expect(secret).toHaveProperty('actorToken', 'actor');
  });

  it('leave to the provider what is known of it', () => {
    const { config, name } = entry({
      ...{ clientId: 'c', clientSecret: 's', endpointSource: 'provider', profile: 'slack' },
      ...{ clientAuthentication: 'default', grantType: 'refresh_token', refreshToken: 'r' },
    });
    expect(config).toEqual({ profile: 'slack', clientId: 'c', grantType: 'refresh_token' });
    expect(name).toBe('c at slack');
    expect(parseOAuth2Config(config).tokenEndpoint).toBe(profileOf('slack').endpoints?.tokenEndpoint);
  });

  it('say for what the token is while the advanced settings are switched on', () => {
    const target = { resources: 'urn:a, https://b.example/', audience: 'c' };
    expect(entry({ ...AT, ...target, advanced: true }).config).toMatchObject({
      resources: ['urn:a', 'https://b.example/'],
      audience: 'c',
    });
    expect(entry({ ...AT, ...target })).toEqual(entry(AT));
  });

  it.each<[string, Stored]>([
    ['a key', { ...AT, clientAuthentication: 'private_key_jwt', clientKey: PEM }],
    ['an assertion', BEARER],
    ['an exchange', EXCHANGE],
    ['resources', { ...AT, clientSecret: 's', advanced: true, resources: 'urn:a' }],
  ])('are what the protocol reads, with %s', (_what, stored) => {
    const { config, secret } = entry(stored);
    expect(() => parseOAuth2Secret(secret, parseOAuth2Config(config))).not.toThrow();
  });

  it.each<[string, Stored, string]>([
    ['no client key', { ...AT, clientAuthentication: 'private_key_jwt' }, 'secret.clientKey'],
    [
      'a client key that is none',
      { ...AT, clientAuthentication: 'private_key_jwt', clientKey: 'x' },
      'secret.clientKey',
    ],
    ['no assertion key', { ...BEARER, assertionKey: '' }, 'secret.assertionKey'],
    ['claims that are no JSON', { ...BEARER, assertionClaims: 'scope: x' }, 'config.assertion.claims'],
    ['claims that are a list', { ...BEARER, assertionClaims: '["x"]' }, 'config.assertion.claims'],
    ['no subject token', { ...EXCHANGE, subjectToken: '' }, 'secret.subjectToken'],
    ['a resource that is none', { ...AT, advanced: true, resources: 'no uri' }, 'config.resources'],
    [
      'a provider with a server for each customer',
      { ...AT, endpointSource: 'provider', profile: 'okta' },
      'config.issuer',
    ],
    ['the endpoints of no provider', { ...AT, endpointSource: 'provider' }, 'config.issuer'],
    ['a provider that there is not', { ...AT, profile: 'none such' }, 'config.profile'],
  ])('that are wrong (%s) are refused by the protocol, which names the field', (_what, stored, field) => {
    const { config, secret } = entry(stored);
    expect(() => parseOAuth2Secret(secret, parseOAuth2Config(config))).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED', message: expect.stringContaining(field) }),
    );
  });
});

describe('the form of OAuth2 (Lifecycle)', () => {
  it('masks every secret and nothing else, and describes every field', () => {
    const masked = oauth2Properties.filter(({ typeOptions }) => typeOptions?.password === true);
    expect(masked.map(({ name }) => name).sort()).toEqual(
      [
        'actorToken',
        'assertionKey',
        'clientKey',
        'clientSecret',
        'generationMarker',
        'refreshToken',
        'subjectToken',
      ].sort(),
    );
    const silent = oauth2Properties.filter(
      ({ type, description }) => !['notice', 'hidden'].includes(type) && !description,
    );
    expect(silent).toEqual([]);
  });

  it('offers every provider of which something is known, by its own name', () => {
    const known = PROFILE_NAMES.filter((name) => name !== 'generic');
    expect([...PROVIDERS].sort()).toEqual(known.map((name) => [name, profileOf(name).title]).sort());
  });
});

describe('at a real authorization server', () => {
  let server: OidcServer;
  let folder: ReturnType<typeof temporaryFolder>;
  let engine: CredentialEngine;

  const machine = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
  const jwks = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] };
  const exchange = ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'];
  const bearer = ['urn:ietf:params:oauth:grant-type:jwt-bearer'];

  beforeAll(async () => {
    server = await OidcServer.start({
      clients: [
        { client_id: 'basic', client_secret: SECRET, ...machine },
        { client_id: 'secret-jwt', client_secret: SECRET, token_endpoint_auth_method: 'client_secret_jwt', ...machine },
        { client_id: 'key', token_endpoint_auth_method: 'private_key_jwt', jwks, ...machine },
        { client_id: 'exchange', client_secret: SECRET, ...machine, grant_types: exchange },
        { client_id: 'bearer', token_endpoint_auth_method: 'none', jwks, ...machine, grant_types: bearer },
      ],
    });
    folder = temporaryFolder();
    engine = await openEngine(folder.path);
  }, 30_000);
  afterAll(async () => {
    await engine.close();
    await server.stop();
    folder.dispose();
  });

  const client = () => Promise.resolve(createEmbeddedClient(engine));
  const stored = (changes: Stored): Stored => ({
    ...{ issuer: server.issuer, scope: 'api', advanced: true, allowInsecureTransport: true, ...changes },
  });

  async function tokenOf(changes: Stored): Promise<string> {
    const { authenticate } = authenticationThrough(lifecycleOAuth2, { client });
    const { headers } = await authenticate(decrypted(stored(changes)), { url: 'https://api.example.com' });
    return JSON.stringify(headers?.['authorization']).replaceAll(/^"Bearer |"$/g, '');
  }

  it.each<[string, () => Promise<Stored>]>([
    ['a signed JWT', async () => ({ clientId: 'key', clientAuthentication: 'private_key_jwt', clientKey: ONE_LINE })],
    [
      'a JWT under the secret',
      async () => ({ clientId: 'secret-jwt', clientAuthentication: 'client_secret_jwt', clientSecret: SECRET }),
    ],
    ['an assertion', async () => ({ ...BEARER, issuer: server.issuer, clientId: 'bearer', assertionSubject: 'alice' })],
    [
      'a token that is traded',
      async () => ({
        ...EXCHANGE,
        ...{ issuer: server.issuer, clientId: 'exchange', clientSecret: SECRET },
        subjectToken: await tokenOf({ clientId: 'basic', clientSecret: SECRET }),
      }),
    ],
  ])('20 requests with %s need one token request, and the test passes without another', async (_what, form) => {
    const changes = await form();
    const before = (await server.requests()).length;
    const tokens = await Promise.all(Array.from({ length: 20 }, () => tokenOf(changes)));
    expect(new Set(tokens).size).toBe(1);
    expect(await server.isActive(tokens[0] ?? '')).toBe(true);
    const data = decrypted(stored(changes));
    const entered = { id: '', name: 'Client', type: 'lifecycleOAuth2Api', data };
    await expect(credentialTests(client).oauth2(entered)).resolves.toMatchObject({ status: 'OK' });
    expect((await server.requests()).length - before).toBe(1);
  });

  it('the token is for the resources that were entered', async () => {
    const token = await tokenOf({ clientId: 'basic', clientSecret: SECRET, resources: 'urn:api' });
    const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    expect(JSON.parse(claims)).toMatchObject({ aud: 'urn:api', scope: 'api' });
  });

  it('an assertion for somebody else is another credential', async () => {
    const of = (subject: string) => ({
      ...BEARER,
      issuer: server.issuer,
      clientId: 'bearer',
      assertionSubject: subject,
    });
    const [alice, bob] = [await tokenOf(of('alice')), await tokenOf(of('bob'))];
    expect(bob).not.toBe(alice);
    expect(await tokenOf(of('alice'))).toBe(alice);
  });

  it.each<[string, Stored, string]>([
    [
      'the key of somebody else',
      { clientId: 'key', clientAuthentication: 'private_key_jwt' },
      'ERR_OAUTH2_INVALID_CLIENT',
    ],
    ['a token that is none', { ...EXCHANGE, clientId: 'exchange', clientSecret: SECRET }, 'ERR_OAUTH2_INVALID_GRANT'],
    ['an assertion of somebody else', { ...BEARER, clientId: 'bearer' }, 'ERR_OAUTH2_INVALID_GRANT'],
  ])('the test says what is wrong with %s', async (_what, changes, code) => {
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const pem = other.export({ type: 'pkcs8', format: 'pem' }).toString();
    const data = decrypted(stored({ ...changes, issuer: server.issuer, clientKey: pem, assertionKey: pem }));
    const entered = { id: '', name: 'Client', type: 'lifecycleOAuth2Api', data };
    const { status, message } = await credentialTests(client).oauth2(entered);
    expect([status, message]).toEqual(['Error', expect.stringContaining(code)]);
    expect(message).not.toContain('PRIVATE KEY');
  });
});
