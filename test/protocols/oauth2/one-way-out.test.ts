import { outboundFetch } from '../../../src/outbound/outbound-fetch.ts';
import { OutboundPolicy } from '../../../src/outbound/policy.ts';
import { silentLogger, systemRandom, type Fetch, type FetchInit } from '../../../src/ports.ts';
import { parseOAuth2Grant } from '../../../src/protocols/oauth2/config.ts';
import { OAuth2Driver } from '../../../src/protocols/oauth2/driver.ts';
import { Secret } from '../../../src/secret.ts';
import { rejectionOf } from '../../support/codes.ts';
import { StillClock } from '../../support/still-clock.ts';

const MINUTE = 60_000;
const REDIRECT = 'https://app.example/callback';
const TOKENS = '{"access_token":"a","token_type":"Bearer","refresh_token":"r","expires_in":3600}';

interface Sent {
  readonly url: string;
  readonly form: URLSearchParams;
  readonly init: FetchInit;
}

/** A driver, and a server whose documents name another host for everything but the sign-in page. */
function world(tokens = TOKENS, { aheadMs = 0, at = 'https://other.example' } = {}) {
  const clock = new StillClock();
  const sent: Sent[] = [];
  const metadata = {
    issuer: 'https://as.example',
    authorization_endpoint: 'https://as.example/authorize',
    token_endpoint: `${at}/token`,
    device_authorization_endpoint: `${at}/device`,
    pushed_authorization_request_endpoint: `${at}/par`,
    revocation_endpoint: `${at}/revoke`,
    code_challenge_methods_supported: ['S256'],
  };
  const answers = new Map([
    ['/device', '{"device_code":"d","user_code":"U","verification_uri":"https://as.example/d","expires_in":60}'],
    ['/par', '{"request_uri":"urn:x","expires_in":60}'],
    ['/token', tokens],
  ]);
  const server: Fetch = async (url, init = {}) => {
    const { pathname } = new URL(url);
    sent.push({ url, form: new URLSearchParams(init.body as URLSearchParams | undefined), init });
    const date = new Date(clock.now().getTime() + aheadMs).toUTCString();
    const headers = { date, 'content-type': 'application/json' };
    if (pathname.startsWith('/.well-known/')) return new Response(JSON.stringify(metadata), { headers });
    return new Response(answers.get(pathname) ?? '', { headers, status: pathname === '/par' ? 201 : 200 });
  };
  return { clock, sent, server };
}

function driverOf(fetch: Fetch, clock: StillClock, entered: object, secret: Record<string, string> = {}) {
  const driver = new OAuth2Driver({ clock, fetch, random: systemRandom, logger: silentLogger });
  const server = { issuer: 'https://as.example', clientId: 'c', clientAuthentication: 'none' };
  const config = driver.parseConfig({ ...server, ...entered });
  const registered = Secret.of(secret);
  return { driver, input: { config, registered, grant: null, signal: new AbortController().signal } };
}

const CODE = { grantType: 'authorization_code', scope: 'api' };
const PUSHED = { ...CODE, pushedAuthorizationRequests: true };
const EXCHANGE = { grantType: 'token_exchange', tokenExchange: { subjectTokenType: 'urn:x' } };
const allow = () => Promise.resolve(() => undefined);

type Step = (made: ReturnType<typeof driverOf>) => Promise<unknown>;
const begin: Step = ({ driver, input }) => driver.authorization.begin(input, REDIRECT);
const beginDevice: Step = ({ driver, input }) => driver.authorization.begin(input, null);
const refresh: Step = ({ driver, input }) => driver.refresh(input, allow);
const revoke: Step = ({ driver, input }) => driver.revoke(input);
const complete: Step = async ({ driver, input }) => {
  const { begun, state } = await driver.authorization.begin(input, REDIRECT);
  const parameters = new URLSearchParams({ code: 'x', state: state.unwrap() });
  return driver.authorization.complete({ ...input, begun, parameters, onPending: () => undefined }, allow);
};

const STEPS: [string, string, object, Record<string, string>, Step][] = [
  ['a pushed authorization request', '/par', PUSHED, {}, begin],
  ['a device authorization request', '/device', { grantType: 'device_code' }, {}, beginDevice],
  ['the exchange of a code', '/token', CODE, {}, complete],
  ['a token exchange', '/token', EXCHANGE, { subjectToken: 's' }, refresh],
  ['a revocation', '/revoke', { grantType: 'refresh_token' }, { refreshToken: 'r0' }, revoke],
];

it.each(STEPS)('says of %s that its host was learned from the issuer', async (_name, path, config, secret, step) => {
  const { sent, server, clock } = world();
  await step(driverOf(server, clock, config, secret));
  const init = sent.find(({ url }) => new URL(url).pathname === path)?.init;
  expect([init?.learnedFrom, init?.redirect]).toEqual(['as.example', 'manual']);
});

it.each(STEPS)(
  'sends nothing of %s to a private host that a document named',
  async (_name, path, config, secret, step) => {
    const { sent, server, clock } = world(TOKENS, { at: 'https://10.0.0.1' });
    const policed = outboundFetch(server, new OutboundPolicy(), () => Promise.reject(new Error('resolved')));
    const error = await rejectionOf(step(driverOf(policed, clock, config, secret)));
    expect(error).toMatchObject({ code: 'ERR_ENDPOINT_ADDRESS_REFUSED' });
    expect(sent.map(({ url }) => new URL(url).pathname)).not.toContain(path);
  },
);

it.each<[string, string, string | null]>([
  ['a form', 'access_token=a&refresh_token=r&scope=x,y', 'x y'],
  [
    'a list of scopes and no type',
    '{"access_token":"a","refresh_token":"r","scope":["x","y"],"expires_in":"60"}',
    'x y',
  ],
  [
    'an odd type and a scope that is no text',
    '{"access_token":"a","token_type":"odd","refresh_token":"r","scope":7}',
    null,
  ],
])('loses no sign-in to %s', async (_name, tokens, scope) => {
  const { server, clock } = world(tokens);
  const issued = (await complete(driverOf(server, clock, CODE))) as { grant: Secret<never> };
  expect(parseOAuth2Grant(issued.grant.unwrap())).toMatchObject({ accessToken: 'a', refreshToken: 'r', scope });
});

it('gives a sign-in what its provider wants, and lives that its provider documents', async () => {
  const { server, clock } = world('{"access_token":"a","refresh_token":"r"}');
  const made = driverOf(server, clock, { ...CODE, profile: 'atlassian' });
  const { prompt } = await made.driver.authorization.begin(made.input, REDIRECT);
  const { searchParams } = new URL(prompt.kind === 'redirect' ? prompt.url : '');
  expect(['scope', 'audience', 'prompt'].map((name) => searchParams.get(name))).toEqual([
    'api offline_access',
    'api.atlassian.com',
    'consent',
  ]);
  const after = (days: number): Date => new Date(clock.now().getTime() + days * 1440 * MINUTE);
  expect(await complete(made)).toMatchObject({
    expiresAt: new Date(clock.now().getTime() + 60 * MINUTE),
    grantExpiresAt: after(365),
    idleExpiresAt: after(90),
  });
  expect(made.driver.refreshTraits(made.input).reuseGraceMs).toBe(10 * MINUTE);
});

it('says how to be given the refresh token that a sign-in did not bring', async () => {
  const { server, clock } = world('{"access_token":"a"}');
  const { advice } = (await complete(driverOf(server, clock, CODE))) as { advice: string };
  expect(advice).toContain('ask for the scope offline_access.');
});

it('makes assertions by the clock of the server', async () => {
  const { sent, server, clock } = world(TOKENS, { aheadMs: 10 * MINUTE });
  const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`;
  const config = {
    grantType: 'jwt_bearer',
    clientAuthentication: 'private_key_jwt',
    tokenEndpoint: 'https://as.example/token',
  };
  const made = driverOf(server, clock, config, { clientKey: key, assertionKey: key });
  await refresh(made);
  await refresh(made);
  const aheadOf = (name: string, nowMs: number): (number | null)[] =>
    sent.map(({ form }) => {
      const claims = form.get(name)?.split('.')[1];
      if (claims === undefined) return null;
      const { iat } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { iat: number };
      return Math.floor((iat * 1000 - nowMs + MINUTE / 2) / MINUTE);
    });
  expect(aheadOf('assertion', clock.now().getTime())).toEqual([0, 10]);
  // The library takes its instants from the clock of the process.
  expect(aheadOf('client_assertion', Date.now())).toEqual([0, 10]);
});
