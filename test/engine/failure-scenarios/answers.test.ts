import type { CredentialEngine } from '../../../src/engine.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually, quietFor } from '../../support/eventually.ts';
import { Endpoint, endpointEntry, json, rotatingEndpointEntry, tokens, type Answer } from '../support/endpoint.ts';

let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let endpoint: Endpoint;
let clock: TestClock;
let logged: string[];

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  logged = [];
  const log = (_: object, message: string): number => logged.push(message);
  const logger = { debug: log, info: log, warn: log, error: log };
  // Without tests by schedule: `dueAt` is then the refresh's.
  engine = await openEngine(folder.path, { keeper: true, health: { testEveryMs: 0 }, ports: { clock, logger } });
  endpoint = await Endpoint.start(tokens());
});

afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  folder.dispose();
});

const secondsLeft = (instant: Date | null): number => ((instant?.getTime() ?? NaN) - clock.now().getTime()) / 1000;
const requestCount = (): number => endpoint.requests.filter(({ path }) => path === '/token').length;
const bearerOf = async (id: string): Promise<string | undefined> => (await engine.use(id)).headers['authorization'];

function jwt(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part(claims)}.c2ln`;
}

const ODD_LIVES: [string, unknown][] = [
  ['missing', undefined],
  ['null', null],
  ['zero', 0],
  ['negative', -5],
  ['"3600abc"', '3600abc'],
  ['1e300', 1e300],
];

test.each(ODD_LIVES)(
  'F23 an expires_in that is %s gives no refresh per use, and no token for ever',
  async (_, life) => {
    endpoint.answer = tokens({ expires_in: life });
    const { id, credential } = await engine.register(endpointEntry(endpoint));
    expect([credential.state, credential.expiresAt]).toEqual(['valid.fresh', null]);
    for (let uses = 0; uses < 50; uses += 1) await engine.use(id);
    await quietFor(100);
    expect(requestCount()).toBe(1);
    // Nobody knows its end: it is refreshed within the hour, once.
    expect(secondsLeft(credential.dueAt)).toBeGreaterThan(1_800);
    expect(secondsLeft(credential.dueAt)).toBeLessThan(3_600);
    clock.advance(3_600_000);
    await eventually(async () => (await engine.get(id)).generation === 2);
    await quietFor(100);
    expect(requestCount()).toBe(2);
  },
);

test('F23 without a keeper a token of unknown life is refreshed behind the first caller after an hour', async () => {
  await engine.close();
  engine = await openEngine(folder.path, { ports: { clock } });
  endpoint.answer = tokens({ expires_in: undefined });
  const { id } = await engine.register(endpointEntry(endpoint));
  clock.advance(3_600_000);
  const used = await Promise.all(Array.from({ length: 20 }, () => engine.use(id)));
  expect(new Set(used.map(({ generation }) => generation))).toEqual(new Set([1]));
  await eventually(async () => (await engine.get(id)).generation === 2);
  expect(requestCount()).toBe(2);
});

test('F23 the token itself, then what the server said before, tells the life that an answer does not', async () => {
  const exp = Math.floor(clock.now().getTime() / 1000) + 600;
  endpoint.answer = tokens({ expires_in: undefined, access_token: jwt({ exp }) });
  const { id, credential } = await engine.register(endpointEntry(endpoint));
  expect(Math.abs(secondsLeft(credential.expiresAt) - 600)).toBeLessThan(5);
  endpoint.answer = tokens({ expires_in: 900 });
  await engine.refresh(id);
  endpoint.answer = tokens({ expires_in: undefined });
  const { expiresAt } = await engine.refresh(id);
  expect(Math.abs(secondsLeft(expiresAt) - 900)).toBeLessThan(5);
});

test('F23 a life that only a refusal told is learned, and refreshed ahead from then on', async () => {
  let good = '';
  endpoint.answer = (response, request) => {
    if (request.path === '/api') {
      json(request.authorization === good ? 200 : 401, {})(response, request);
      return;
    }
    tokens({ expires_in: undefined })(response, request);
  };
  const testUrl = `${endpoint.url}/api`;
  const { id } = await engine.register(endpointEntry(endpoint, { config: { testUrl } }));
  clock.advance(600_000);
  good = 'none';
  expect(await engine.reportRejected(id, 1)).toMatchObject({ decision: 'refreshed', generation: 2 });
  const { dueAt } = await engine.get(id);
  expect(secondsLeft(dueAt)).toBeGreaterThan(240);
  expect(secondsLeft(dueAt)).toBeLessThan(600);
});

test.each<[string, Answer]>([
  ['no token type', tokens({ token_type: undefined })],
  ['a token type in capitals', tokens({ token_type: 'BEARER' })],
  ['scopes in a list', tokens({ scope: ['read', 'write'] })],
  ['a number as scope', tokens({ scope: 7 })],
  [
    'a form',
    (response) => {
      response.writeHead(200, { 'content-type': 'application/x-www-form-urlencoded' });
      response.end(
        'access_token=access-form&refresh_token=refresh-form&expires_in=3600&scope=read,write&token_type=bearer',
      );
    },
  ],
  [
    'JSON that calls itself text',
    (response, request) => {
      response.setHeader('content-type', 'text/html');
      response.end('{"access_token":"a","refresh_token":"refresh-text","expires_in":"3600"}', () => request);
    },
  ],
])('F26 an answer with %s is a grant like any other', async (_, answer) => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  endpoint.answer = answer;
  const { state, generation, expiresAt } = await engine.refresh(id);
  expect([state, generation]).toEqual(['valid.fresh', 2]);
  expect(Math.abs(secondsLeft(expiresAt) - 3600)).toBeLessThan(5);
  await engine.refresh(id);
  expect(endpoint.requests.at(-1)?.body).not.toContain('refresh_token=refresh-0');
});

test('F26 a scope that was reduced is the scope that a test shows', async () => {
  endpoint.answer = tokens({ scope: 'read' });
  const { test: result } = await engine.register(endpointEntry(endpoint, { config: { scope: 'read write' } }));
  expect(result?.details.permissionsVerified).toEqual(['read']);
});

const CONCURRENT =
  'The request is malformed. Failed to refresh token because of multiple concurrent requests using the same token. Please retry the request.';

test.each<[string, string, Answer, string, string]>([
  [
    'fosite about a concurrent request',
    'generic',
    json(400, { error: 'invalid_request', error_description: CONCURRENT }),
    'valid.expiringSoon',
    'ERR_ENDPOINT_UNAVAILABLE',
  ],
  [
    'fosite about a malformed one',
    'generic',
    json(400, { error: 'invalid_request' }),
    'valid.degraded',
    'ERR_OAUTH2_REQUEST_REFUSED',
  ],
  [
    'GitHub about a refresh token',
    'github-app',
    json(200, { error: 'bad_refresh_token' }),
    'valid.degraded',
    'ERR_OAUTH2_INVALID_GRANT',
  ],
  [
    'GitHub about a client',
    'github-app',
    json(200, { error: 'incorrect_client_credentials' }),
    'valid.degraded',
    'ERR_OAUTH2_INVALID_CLIENT',
  ],
  [
    'Slack about a refresh token',
    'slack',
    json(200, { ok: false, error: 'invalid_refresh_token' }),
    'valid.degraded',
    'ERR_OAUTH2_INVALID_GRANT',
  ],
  [
    'Slack about itself',
    'slack',
    json(200, { ok: false, error: 'internal_error' }),
    'valid.expiringSoon',
    'ERR_ENDPOINT_UNAVAILABLE',
  ],
  [
    'Slack about its limits',
    'slack',
    json(200, { ok: false, error: 'ratelimited' }),
    'valid.expiringSoon',
    'ERR_ENDPOINT_RATE_LIMITED',
  ],
  [
    'Zoho about its quota',
    'zoho',
    json(200, { error: 'Access Denied' }),
    'valid.expiringSoon',
    'ERR_ENDPOINT_RATE_LIMITED',
  ],
  [
    'HubSpot about a refresh token',
    'hubspot',
    json(400, { status: 'BAD_REFRESH_TOKEN', message: 'missing' }),
    'valid.degraded',
    'ERR_OAUTH2_INVALID_GRANT',
  ],
  [
    'Entra about a client secret',
    'microsoft-entra',
    json(401, { error: 'invalid_client', error_codes: [7_000_222] }),
    'valid.degraded',
    'ERR_OAUTH2_INVALID_CLIENT',
  ],
])('F30 what %s means is known', async (_, profile, answer, state, code) => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint, { profile }));
  endpoint.answer = answer;
  const after = await engine.refresh(id);
  expect([after.state, after.failure?.code]).toEqual([state, code]);
  expect((await engine.use(id)).generation).toBe(1);
});

test('F31 a token that is given again is left alone until it ends, and there is no loop near its end', async () => {
  const endsAtMs = clock.now().getTime() + 40_000;
  let name = 'first';
  endpoint.answer = (response, request) => {
    const left = Math.floor((endsAtMs - clock.now().getTime()) / 1000);
    json(200, { access_token: name, token_type: 'bearer', expires_in: name === 'first' ? left : 3600 })(
      response,
      request,
    );
  };
  const { id } = await engine.register(endpointEntry(endpoint));
  const { dueAt, expiresAt } = await engine.refresh(id);
  expect(dueAt).toEqual(expiresAt);
  for (const step of [20_000, 12_000, 4_000]) {
    clock.advance(step);
    for (let uses = 0; uses < 20; uses += 1) expect(await bearerOf(id)).toBe('Bearer first');
  }
  await quietFor(100);
  expect(requestCount()).toBe(2);
  name = 'second';
  clock.advance(10_000);
  expect(await bearerOf(id)).toBe('Bearer second');
  expect(requestCount()).toBe(3);
});

test('F31 a remaining life that has shrunk to nothing is asked about again after ten seconds, not at once', async () => {
  const answerOf = (life: number): Answer => tokens({ access_token: 'the same', expires_in: life });
  endpoint.answer = answerOf(60);
  const { id } = await engine.register(endpointEntry(endpoint));
  clock.advance(61_000);
  endpoint.answer = answerOf(0);
  await eventually(async () => (await engine.get(id)).generation >= 2);
  const before = requestCount();
  for (let uses = 0; uses < 20; uses += 1) await engine.use(id);
  await quietFor(100);
  expect(requestCount()).toBe(before);
  const { dueAt } = await engine.get(id);
  expect(secondsLeft(dueAt)).toBeGreaterThan(5);
  expect(secondsLeft(dueAt)).toBeLessThanOrEqual(10);
});

test('F32 requests in flight recover once when a refresh ends the old token at once', async () => {
  let current = '';
  endpoint.answer = (response, request) => {
    if (request.path === '/api') {
      json(request.authorization === current ? 200 : 401, {})(response, request);
      return;
    }
    current = `Bearer access-${String(requestCount())}`;
    tokens({ access_token: current.slice('Bearer '.length) })(response, request);
  };
  const config = { testUrl: `${endpoint.url}/api` };
  const { id } = await engine.register(rotatingEndpointEntry(endpoint, config));
  const call = async (authorization: string | undefined): Promise<number> =>
    (await fetch(config.testUrl, { headers: { authorization: authorization ?? '' } })).status;
  const inFlight = await Promise.all(Array.from({ length: 10 }, () => engine.use(id)));
  await engine.refresh(id);
  const statuses = await Promise.all(
    inFlight.map(async ({ headers, generation }) => {
      const first = await call(headers['authorization']);
      const { decision } = await engine.reportRejected(id, generation);
      return [first, decision, await call(await bearerOf(id))];
    }),
  );
  expect(new Set(statuses.map(String))).toEqual(new Set(['401,alreadyRefreshed,200']));
  expect(requestCount()).toBe(2);
});

/** Slack's answer to an installation: the bot's token, and the user's beside it. */
const bothTokens = (userLife: number): Answer =>
  tokens({
    ok: true,
    ...{ access_token: 'bot-1', refresh_token: 'bot-refresh-1', expires_in: 43_200 },
    authed_user: { id: 'U1', access_token: 'user-1', refresh_token: 'user-refresh-1', expires_in: userLife },
  });
const lastBody = (): string | undefined => endpoint.requests.at(-1)?.body;

test('F34 of two tokens the one that ends first is refreshed, and the other stays as it is', async () => {
  endpoint.answer = bothTokens(3_600);
  const { id, credential } = await engine.register(rotatingEndpointEntry(endpoint, { profile: 'slack' }));
  expect(Math.abs(secondsLeft(credential.expiresAt) - 43_200)).toBeLessThan(5);
  expect(secondsLeft(credential.dueAt)).toBeLessThan(3_600);
  endpoint.answer = tokens({ ok: true, access_token: 'user-2', refresh_token: 'user-refresh-2', expires_in: 86_400 });
  clock.advance(3_000_000);
  await eventually(async () => (await engine.get(id)).generation === 2);
  expect(lastBody()).toContain('refresh_token=user-refresh-1');
  expect(await bearerOf(id)).toBe('Bearer bot-1');
  endpoint.answer = tokens({ ok: true, access_token: 'bot-2', refresh_token: 'bot-refresh-2', expires_in: 43_200 });
  await engine.refresh(id);
  expect(lastBody()).toContain('refresh_token=bot-refresh-1');
  expect(await bearerOf(id)).toBe('Bearer bot-2');
});

test('F34 a token that is refused for good takes nothing with it', async () => {
  endpoint.answer = bothTokens(3_600);
  const { id } = await engine.register(rotatingEndpointEntry(endpoint, { profile: 'slack' }));
  endpoint.answer = json(200, { ok: false, error: 'invalid_refresh_token' });
  const after = await engine.refresh(id);
  expect([after.state, await bearerOf(id)]).toEqual(['valid.fresh', 'Bearer bot-1']);
  expect(secondsLeft(after.dueAt)).toBeGreaterThan(36_000);
  endpoint.answer = tokens({ ok: true, access_token: 'bot-2', expires_in: 43_200 });
  await engine.refresh(id);
  expect(lastBody()).toContain('refresh_token=bot-refresh-1');
  expect(await bearerOf(id)).toBe('Bearer bot-2');
});

test('F34 while one token cannot be refreshed for a passing cause, the other is served', async () => {
  endpoint.answer = bothTokens(3_600);
  const { id } = await engine.register(rotatingEndpointEntry(endpoint, { profile: 'slack' }));
  endpoint.answer = (response) => response.writeHead(503).end();
  expect((await engine.refresh(id)).state).toBe('valid.expiringSoon');
  clock.advance(7_200_000);
  expect(await bearerOf(id)).toBe('Bearer bot-1');
});

test.each([600_000, -600_000])('F40 a token that ends by a clock %d ms ahead of ours ends rightly', async (aheadMs) => {
  const serverNow = (): number => clock.now().getTime() + aheadMs;
  endpoint.answer = (response, request) => {
    response.setHeader('date', new Date(serverNow()).toUTCString());
    const exp = Math.floor(serverNow() / 1000) + 300;
    tokens({ expires_in: undefined, access_token: jwt({ exp }) })(response, request);
  };
  const { id, credential, test: result } = await engine.register(endpointEntry(endpoint));
  expect(Math.abs(secondsLeft(credential.expiresAt) - 300)).toBeLessThan(5);
  for (let uses = 0; uses < 20; uses += 1) await engine.use(id);
  expect(requestCount()).toBe(1);
  expect(Math.abs(Number(result?.details.metadata['clockSkewSeconds']) - aheadMs / 1000)).toBeLessThanOrEqual(2);
  expect(result?.message).toContain(aheadMs > 0 ? 'behind that of' : 'ahead of that of');
});

test('F40 a step back of the clock while a refresh is due gives one refresh, not many', async () => {
  const { id } = await engine.register(endpointEntry(endpoint));
  clock.advance(2_700_000);
  clock.stepWall(-600_000);
  await eventually(async () => (await engine.get(id)).generation >= 2 || requestCount() === 1);
  for (let uses = 0; uses < 20; uses += 1) await engine.use(id);
  await quietFor(200);
  expect(requestCount()).toBeLessThanOrEqual(2);
});
