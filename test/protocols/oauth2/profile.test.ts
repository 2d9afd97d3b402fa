import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isCredentialError } from '../../../src/errors.ts';
import type { JsonObject } from '../../../src/json.ts';
import { silentLogger, systemClock, systemRandom, type Fetch } from '../../../src/ports.ts';
import { ClockSkew } from '../../../src/protocols/clock-skew.ts';
import { parseOAuth2Config, parseOAuth2Grant } from '../../../src/protocols/oauth2/config.ts';
import { OAuth2Driver } from '../../../src/protocols/oauth2/driver.ts';
import { errorOfRefusal } from '../../../src/protocols/oauth2/errors.ts';
import {
  parseProfile,
  PROFILE_NAMES,
  profileOf,
  quotasOf,
  refreshTokenAdvice,
  saysExpired,
  type ProfileName,
} from '../../../src/protocols/oauth2/profile.ts';
import { processTokenResponse } from '../../../src/protocols/oauth2/response.ts';
import { protectedResourceFetch, tokenEndpointFetch } from '../../../src/protocols/oauth2/token-endpoint.ts';
import { rejectionOf } from '../../support/codes.ts';
import { NOW } from '../../support/record.ts';

const PROFILES = join(__dirname, '../../../src/protocols/oauth2/profiles');
const HOUR = 3_600_000;
const DAY = 86_400_000;

function fileOf(name: ProfileName): JsonObject {
  return JSON.parse(readFileSync(join(PROFILES, `${name}.json`), 'utf8')) as JsonObject;
}

function sourcesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(sourcesIn);
  if (!(value instanceof Object)) return [];
  return Object.entries(value).flatMap(([name, part]) => (name === 'source' ? [String(part)] : sourcesIn(part)));
}

describe('each profile', () => {
  it.each(PROFILE_NAMES)('%s keeps to the schema, has its own name, and a page for each fact', (name) => {
    const file = fileOf(name);
    expect(parseProfile(file).name).toBe(name);
    const sources = sourcesIn(file);
    expect(sources.length).toBeGreaterThan(0);
    for (const source of sources)
      expect(source).toMatch(/^[A-Z].{3,}, .*https:\/\/\S+|^[a-z]+\/.*https:\/\/\S+|^jsforce/);
  });

  it('is in docs/providers.md as it is', async () => {
    const { providersDocument, readProfiles } = await import('../../../scripts/providers-doc.mjs');
    const page = readFileSync(join(__dirname, '../../../docs/providers.md'), 'utf8');
    expect(page).toBe(providersDocument(readProfiles()));
    expect(
      readProfiles()
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...PROFILE_NAMES].sort());
  });
});

it.each<[string, JsonObject, string]>([
  ['a fact without its source', { rotation: { value: 'always' } }, 'rotation.source'],
  ['a bare fact', { reuseGraceMs: 30_000 }, 'reuseGraceMs'],
  ['a member that it does not know', { rotatoin: { value: 'always', source: 'https://x.example/' } }, ''],
  [
    'an endpoint over http',
    { endpoints: { issuer: 'http://as.example', source: 'https://x.example/' } },
    'endpoints.issuer',
  ],
  [
    'a negative life',
    { accessTokenLifetimeMs: { value: -1, source: 'https://x.example/' } },
    'accessTokenLifetimeMs.value',
  ],
  [
    'a pattern that is none',
    { errors: [{ description: '(', means: 'grantRefused', source: 'https://x.example/' }] },
    'errors.0.description',
  ],
  [
    'a meaning that it does not know',
    { errors: [{ equals: ['x'], means: 'retry', source: 'https://x.example/' }] },
    'errors.0.means',
  ],
])('refuses %s', async (_sentence, change, where) => {
  const error = await rejectionOf((async () => parseProfile({ name: 'x', title: 'X', ...change }))());
  expect(error).toMatchObject({ code: 'ERR_INTERNAL', message: `A provider profile is not valid at "${where}".` });
});

const base = { grantType: 'refresh_token', clientId: 'c' };
const driver = new OAuth2Driver({
  ...{ clock: systemClock, random: systemRandom, logger: silentLogger },
  fetch: () => Promise.reject(new Error('No network.')),
});

it.each<[ProfileName, object]>([
  ['google', { issuer: 'https://accounts.google.com', clientAuthentication: 'client_secret_basic', reuseGraceMs: 0 }],
  [
    'github-app',
    { tokenEndpoint: 'https://github.com/login/oauth/access_token', clientAuthentication: 'client_secret_post' },
  ],
  ['slack', { tokenEndpoint: 'https://slack.com/api/oauth.v2.access', testUrl: 'https://slack.com/api/auth.test' }],
  ['salesforce', { tokenEndpoint: 'https://login.salesforce.com/services/oauth2/token' }],
  ['atlassian', { tokenEndpoint: 'https://auth.atlassian.com/oauth/token', reuseGraceMs: 600_000 }],
  ['zoho', { tokenEndpoint: 'https://accounts.zoho.com/oauth/v2/token', clientAuthentication: 'client_secret_post' }],
  ['hubspot', { tokenEndpoint: 'https://api.hubapi.com/oauth/v1/token', clientAuthentication: 'client_secret_post' }],
  ['xero', { tokenEndpoint: 'https://identity.xero.com/connect/token', reuseGraceMs: 1_800_000 }],
])('%s fills in what its owner left open, and stores only what was entered', (profile, filled) => {
  const entered = { ...base, profile };
  expect(parseOAuth2Config(entered)).toMatchObject({ ...entered, ...filled });
  const stored = driver.parseConfig(entered);
  expect(
    Object.keys(stored).filter(
      (name) => Object.hasOwn(filled, name) && name !== 'clientAuthentication' && name !== 'reuseGraceMs',
    ),
  ).toEqual([]);
  expect(parseOAuth2Config(stored)).toEqual(parseOAuth2Config(entered));
});

it.each<ProfileName>(['microsoft-entra', 'keycloak', 'auth0', 'okta', 'generic'])(
  '%s wants the server named',
  async (profile) => {
    const error = await rejectionOf((async () => parseOAuth2Config({ ...base, profile }))());
    expect(isCredentialError(error) && [error.code, error.message.includes('config.issuer')]).toEqual([
      'ERR_CONFIG_MALFORMED',
      true,
    ]);
    expect(parseOAuth2Config({ ...base, profile, issuer: 'https://as.example' }).issuer).toBe('https://as.example');
  },
);

it('takes what the owner enters before what the profile knows, and no endpoint of another server', () => {
  const tokenEndpoint = 'https://accounts.zoho.eu/oauth/v2/token';
  const zoho = parseOAuth2Config({
    ...base,
    profile: 'zoho',
    tokenEndpoint,
    clientAuthentication: 'client_secret_basic',
  });
  expect(zoho).toMatchObject({ tokenEndpoint, clientAuthentication: 'client_secret_basic' });
  expect(zoho.revocationEndpoint).toBeUndefined();
  expect(parseOAuth2Config({ ...base, profile: 'xero', reuseGraceMs: 5 }).reuseGraceMs).toBe(5);
  expect(() => parseOAuth2Config({ ...base, profile: 'gogle', issuer: 'https://as.example' })).toThrow(
    'config.profile must be one of',
  );
});

/** What is known of a grant when the server is silent about every life; a new refresh token came with it. */
function silent(profile: ProfileName, previousRefreshToken: string | null) {
  const config = parseOAuth2Config({ ...base, profile, tokenEndpoint: 'https://as.example/token' });
  const response = { access_token: 'a', refresh_token: 'r1', token_type: 'bearer' as const };
  const context = { config, previousRefreshToken, requestedAt: NOW };
  return processTokenResponse(response as unknown as Parameters<typeof processTokenResponse>[0], context);
}

const after = (instant: Date | null | undefined): number | null => (instant ? instant.getTime() - NOW.getTime() : null);

it.each<[ProfileName, number | null, number | null, number | null]>([
  ['generic', null, null, null],
  ['google', null, 180 * DAY, null],
  ['microsoft-entra', HOUR, 90 * DAY, null],
  ['github-app', 8 * HOUR, 183 * DAY, null],
  ['slack', 12 * HOUR, null, null],
  ['salesforce', null, null, null],
  ['atlassian', HOUR, 90 * DAY, 365 * DAY],
  ['zoho', HOUR, null, null],
  ['hubspot', HOUR / 2, null, null],
  ['xero', HOUR / 2, 60 * DAY, null],
  ['keycloak', null, null, null],
  ['auth0', null, null, null],
  ['okta', null, null, null],
])(
  '%s, silent: an access token of %p ms, a refresh token that lapses after %p ms, a grant of %p ms',
  (name, lifeMs, idleMs, grantMs) => {
    const issued = silent(name, null);
    expect([after(issued.expiresAt), after(issued.idleExpiresAt), after(issued.grantExpiresAt)]).toEqual([
      lifeMs,
      idleMs,
      grantMs,
    ]);
    // Of a refresh token that was entered nobody knows when its grant began.
    expect(after(silent(name, 'r0').grantExpiresAt)).toBeNull();
    expect(after(issued.refreshBy)).toBe(lifeMs ?? HOUR);
  },
);

it('takes the end that a server states for its refresh token before the documented one', () => {
  const config = parseOAuth2Config({ ...base, profile: 'github-app' });
  const process = (refreshToken: string, previousRefreshToken: string) =>
    processTokenResponse(
      {
        access_token: 'a',
        token_type: 'bearer',
        refresh_token: refreshToken,
        refresh_token_expires_in: 600,
      } as unknown as Parameters<typeof processTokenResponse>[0],
      { config, previousRefreshToken, requestedAt: NOW },
    );
  const replaced = process('r1', 'r0');
  expect([after(replaced.idleExpiresAt), after(replaced.grantExpiresAt)]).toEqual([600_000, null]);
  // One that is not replaced ends for good then.
  const kept = process('r0', 'r0');
  expect(after(kept.grantExpiresAt)).toBe(600_000);
  expect(parseOAuth2Grant(kept.grant.unwrap()).refreshToken).toBe('r0');
});

it.each<[ProfileName, JsonObject, number, string, string]>([
  [
    'generic',
    { error: 'invalid_request', error_hint: 'because of multiple concurrent requests using the same token' },
    400,
    'ERR_ENDPOINT_UNAVAILABLE',
    'at the same time',
  ],
  [
    'google',
    { error: 'invalid_grant', error_description: 'Token has been expired or revoked.' },
    400,
    'ERR_OAUTH2_INVALID_GRANT',
    'invalid_grant',
  ],
  [
    'microsoft-entra',
    { error: 'invalid_grant', error_codes: [700_082] },
    400,
    'ERR_OAUTH2_INVALID_GRANT',
    'was not used',
  ],
  ['microsoft-entra', { error: 'invalid_grant', error_codes: [50_196] }, 400, 'ERR_ENDPOINT_RATE_LIMITED', 'too often'],
  [
    'microsoft-entra',
    { error: 'invalid_client', error_codes: [7_000_222] },
    401,
    'ERR_OAUTH2_INVALID_CLIENT',
    'has expired',
  ],
  ['microsoft-entra', { error: 'interaction_required' }, 400, 'ERR_OAUTH2_INVALID_GRANT', 'sign in again'],
  ['github-app', { error: 'bad_refresh_token' }, 200, 'ERR_OAUTH2_INVALID_GRANT', 'not accepted'],
  ['github-app', { error: 'incorrect_client_credentials' }, 200, 'ERR_OAUTH2_INVALID_CLIENT', 'wrong'],
  ['slack', { ok: false, error: 'bad_client_secret' }, 200, 'ERR_OAUTH2_INVALID_CLIENT', 'wrong'],
  ['slack', { ok: false, error: 'token_rotation_not_enabled' }, 200, 'ERR_OAUTH2_REQUEST_REFUSED', 'not turned on'],
  ['slack', { ok: false, error: 'fatal_error' }, 200, 'ERR_ENDPOINT_UNAVAILABLE', 'fatal_error'],
  [
    'salesforce',
    { error: 'invalid_grant', error_description: 'expired access/refresh token' },
    400,
    'ERR_OAUTH2_INVALID_GRANT',
    'invalid_grant',
  ],
  ['atlassian', { error: 'unauthorized_client' }, 403, 'ERR_OAUTH2_REQUEST_REFUSED', 'unauthorized_client'],
  ['zoho', { error: 'Access Denied' }, 200, 'ERR_ENDPOINT_RATE_LIMITED', 'ten minutes'],
  [
    'hubspot',
    { status: 'BAD_REFRESH_TOKEN', message: 'missing or invalid refresh token' },
    400,
    'ERR_OAUTH2_INVALID_GRANT',
    'not accepted',
  ],
  ['xero', { error: 'invalid_grant' }, 400, 'ERR_OAUTH2_INVALID_GRANT', 'invalid_grant'],
  [
    'keycloak',
    { error: 'invalid_grant', error_description: 'Session not active' },
    400,
    'ERR_OAUTH2_INVALID_GRANT',
    'invalid_grant',
  ],
  ['auth0', { error: 'invalid_grant' }, 403, 'ERR_OAUTH2_INVALID_GRANT', 'invalid_grant'],
  ['okta', { error: 'invalid_client' }, 401, 'ERR_OAUTH2_INVALID_CLIENT', 'invalid_client'],
])('F30 %s: %p with HTTP %d is %s', (name, members, status, code, words) => {
  const error = errorOfRefusal(members, { status, host: 'as.example', profile: profileOf(name) });
  expect([error.code, error.message.includes(words)]).toEqual([code, true]);
});

it("gives Zoho's quota its ten minutes", () => {
  const error = errorOfRefusal({ error: 'Access Denied' }, { status: 200, host: 'x', profile: profileOf('zoho') });
  expect(error.retryAfterMs).toBe(600_000);
  expect(quotasOf({ profile: 'zoho' })).toMatchObject([{ requests: 10, perMs: 600_000, per: 'refreshToken' }]);
  expect(quotasOf({ profile: undefined })).toEqual([]);
  expect(driver.budget({ ...base, profile: 'zoho' })).toBeNull();
});

it.each<[ProfileName, string, number, string, boolean]>([
  ['slack', 'an expired token', 200, '{"ok":false,"error":"token_expired"}', true],
  ['slack', 'a revoked token', 200, '{"ok":false,"error":"token_revoked"}', true],
  ['slack', 'another refusal', 200, '{"ok":false,"error":"missing_scope"}', false],
  ['slack', 'a good token', 200, '{"ok":true}', false],
  ['slack', 'no JSON', 200, 'token_expired', false],
  ['salesforce', 'a token that its identity service refuses', 403, 'Bad_OAuth_Token', true],
  ['salesforce', 'a missing permission', 403, '[{"errorCode":"INSUFFICIENT_ACCESS"}]', false],
  ['salesforce', 'a session that ended', 400, '[{"errorCode":"INVALID_SESSION_ID","message":"Session expired"}]', true],
  ['generic', 'a refusal', 403, 'Bad_OAuth_Token', false],
])('knows of %s that %s is said by HTTP %d with %s: %p', async (name, _sentence, status, body, expired) => {
  expect(saysExpired(profileOf(name), { status, headers: new Headers(), body })).toBe(expired);
  const fetch = protectedResourceFetch(async () => new Response(body, { status }), name);
  const response = await fetch('https://api.example/');
  expect(response.status).toBe(expired ? 401 : status);
  if (!expired) expect(await response.text()).toBe(body);
});

it('matches a header where a profile says so', () => {
  const rule = { header: { name: 'x-auth', contains: 'expired' }, source: 'https://x.example/' };
  const profile = parseProfile({ name: 'x', title: 'X', expiredWhen: [rule] });
  const says = (value: string): boolean =>
    saysExpired(profile, { status: 200, headers: new Headers({ 'x-auth': value }), body: '' });
  expect([says('token expired'), says('fine')]).toEqual([true, false]);
});

it.each<[ProfileName | undefined, string | undefined, string]>([
  [undefined, undefined, 'ask for the scope offline_access; send prompt=consent with the sign-in'],
  ['google', 'openid', 'send access_type=offline and prompt=consent with the sign-in; while the consent screen'],
  ['microsoft-entra', 'openid', 'ask for the scope offline_access.'],
  ['github-app', undefined, 'turn on the expiration of user access tokens'],
  ['slack', undefined, 'turn on token rotation for the app'],
  ['salesforce', 'api', 'ask for the scope refresh_token or offline_access'],
  ['salesforce', 'api refresh_token', 'look at what the client may ask for'],
  ['atlassian', 'read:me', 'ask for the scope offline_access'],
  ['zoho', undefined, 'access_type=offline'],
  ['hubspot', undefined, 'look at what the client may ask for'],
  ['xero', undefined, 'ask for the scope offline_access'],
  ['keycloak', 'openid offline_access', 'without that scope'],
  ['auth0', undefined, 'allow offline access for the API'],
  ['okta', undefined, 'turn on the grant type Refresh Token'],
])('says how to be given a refresh token by %s with the scope %p', (profile, scope, words) => {
  expect(refreshTokenAdvice({ profile, scope })).toContain(words);
});

it('sends the further parameters of a refresh, and with a refresh alone', async () => {
  const sent: (string | undefined)[] = [];
  const server: Fetch = async (_url, init) => {
    sent.push(init?.body instanceof URLSearchParams ? init.body.toString() : 'no form');
    return new Response('{"access_token":"a"}');
  };
  const refreshParameters = { value: { format: 'json', scope: 'x' }, source: 'https://x.example/' };
  const fetch = tokenEndpointFetch(server, {
    profile: parseProfile({ name: 'x', title: 'X', refreshParameters }),
    clockSkew: new ClockSkew(systemClock),
    logger: silentLogger,
    beforeSend: async () => () => undefined,
  });
  const body = new URLSearchParams({ grant_type: 'refresh_token', scope: 'own' });
  await fetch('https://as.example/token', { body });
  await fetch('https://as.example/token', { body: new URLSearchParams({ grant_type: 'client_credentials' }) });
  expect(sent).toEqual(['grant_type=refresh_token&scope=own&format=json', 'grant_type=client_credentials']);
});
