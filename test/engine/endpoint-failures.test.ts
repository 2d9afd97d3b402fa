import { inspect } from 'node:util';
import type { CredentialEngine } from '../../src/engine.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { Endpoint, endpointEntry, json, rotatingEndpointEntry, tokens, type Answer } from './support/endpoint.ts';

const html: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end('<html>Please sign in: s3cr3t-page</html>');
};
const status =
  (code: number, body = 's3cr3t-page', headers = {}): Answer =>
  (response) => {
    response.writeHead(code, headers);
    response.end(body);
  };
const huge: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`{"access_token": "${'x'.repeat(2_000_000)}"}`);
};
const never: Answer = () => undefined;
const drip: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => {
    clearInterval(timer);
  });
};
const reset: Answer = (response) => {
  response.socket?.destroy();
};
const grant = { access_token: 'a', token_type: 'Bearer', expires_in: 60 };

let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let endpoint: Endpoint;

beforeEach(async () => {
  folder = temporaryFolder();
  engine = await openEngine(folder.path);
  endpoint = await Endpoint.start(tokens());
});

afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  folder.dispose();
});

const TRANSIENT = 'pending.unverified';
const CONFIGURATION = 'pending.misconfigured';
const USER = 'expired.needsUser';

const ANSWERS: [string, Answer, string, string][] = [
  ['HTML with HTTP 200', html, TRANSIENT, 'ERR_OAUTH2_RESPONSE_INVALID'],
  ['a body of two megabytes', huge, TRANSIENT, 'ERR_ENDPOINT_RESPONSE_TOO_LARGE'],
  ['an empty body', status(200, ''), TRANSIENT, 'ERR_OAUTH2_RESPONSE_INVALID'],
  ['a refused grant with HTTP 200', json(200, { error: 'invalid_grant' }), USER, 'ERR_OAUTH2_INVALID_GRANT'],
  [
    'a refused client with HTTP 200',
    json(200, { error: 'invalid_client' }),
    CONFIGURATION,
    'ERR_OAUTH2_INVALID_CLIENT',
  ],
  [
    '"ok": false with HTTP 200',
    json(200, { ok: false, access_token: 'x' }),
    CONFIGURATION,
    'ERR_OAUTH2_REQUEST_REFUSED',
  ],
  ['HTTP 408', status(408), TRANSIENT, 'ERR_ENDPOINT_UNAVAILABLE'],
  ['HTTP 425', status(425), TRANSIENT, 'ERR_ENDPOINT_UNAVAILABLE'],
  ['no access token', json(200, { token_type: 'Bearer' }), TRANSIENT, 'ERR_OAUTH2_RESPONSE_INVALID'],
  ['an access token of null', json(200, { ...grant, access_token: null }), TRANSIENT, 'ERR_OAUTH2_RESPONSE_INVALID'],
  ['a redirect', status(302, '', { location: 'http://127.0.0.1:1/' }), CONFIGURATION, 'ERR_ENDPOINT_REDIRECTED'],
  ['HTTP 403 in HTML', status(403), CONFIGURATION, 'ERR_OAUTH2_REQUEST_REFUSED'],
  ['HTTP 401 without OAuth', status(401), CONFIGURATION, 'ERR_OAUTH2_INVALID_CLIENT'],
  ['an unknown OAuth error', json(400, { error: 'S3cr3t\u001b[2J' }), CONFIGURATION, 'ERR_OAUTH2_REQUEST_REFUSED'],
  ['HTTP 502', status(502), TRANSIENT, 'ERR_ENDPOINT_UNAVAILABLE'],
  ['a closed connection', reset, TRANSIENT, 'ERR_ENDPOINT_CONNECTION_LOST'],
];

test.each(ANSWERS)('F24 %s is a failure of the right class, in one clean line', async (_, answer, state, code) => {
  endpoint.answer = answer;
  const registered = await engine.register(endpointEntry(endpoint));
  expect([registered.state, registered.credential.failure?.code]).toEqual([state, code]);
  const error: unknown = await engine.use(registered.id).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code });
  const shown = inspect([error, registered], { depth: Infinity, showHidden: true });
  expect(shown).not.toMatch(/s3cr3t|client-secret/i);
  expect(registered.credential.failure?.message).toMatch(/^[\x20-\x7e]+$/);
  expect(endpoint.requests).toHaveLength(1);
});

test.each([
  ['never answers', never],
  ['drips its answer', drip],
])('F39 an endpoint that %s is given up at the deadline', async (_, answer) => {
  const original = AbortSignal.timeout.bind(AbortSignal);
  jest.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => original(ms / 100));
  endpoint.answer = answer;
  const { state, credential } = await engine.register(endpointEntry(endpoint));
  expect([state, credential.failure?.code]).toEqual([TRANSIENT, 'ERR_ENDPOINT_TIMEOUT']);
});

test('F28 an endpoint that does not exist is unreachable, and its token is not taken for spent', async () => {
  const entry = rotatingEndpointEntry(endpoint);
  await endpoint.stop();
  const { state, credential, id } = await engine.register(entry);
  expect([state, credential.failure?.code]).toEqual([TRANSIENT, 'ERR_ENDPOINT_UNREACHABLE']);
  await expect(engine.use(id)).rejects.toMatchObject({ retryAfterMs: expect.any(Number) as number });
});

test('an issuer that has no metadata is a matter of configuration, one that is down is not', async () => {
  endpoint.answer = status(404);
  const issuer = { issuer: endpoint.url, tokenEndpoint: undefined };
  expect(await engine.register(endpointEntry(endpoint, { config: issuer }))).toMatchObject({
    state: CONFIGURATION,
    credential: { failure: { code: 'ERR_OAUTH2_DISCOVERY_FAILED' } },
  });
  endpoint.answer = status(503);
  expect(await engine.register(endpointEntry(endpoint, { config: issuer }))).toMatchObject({
    state: TRANSIENT,
    credential: { failure: { code: 'ERR_ENDPOINT_UNAVAILABLE' } },
  });
});

test.each([
  ['HTML', html],
  ['a huge body', huge],
  ['a closed connection', reset],
])('F24 after %s a single-use token counts as perhaps spent', async (_, answer) => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  endpoint.answer = answer;
  expect(await engine.refresh(id)).toMatchObject({ state: 'refreshing.ambiguous', generation: 1 });
  expect((await engine.use(id)).generation).toBe(1);
});

test.each([
  ['an omitted one', {}],
  ['an empty one', { refresh_token: '' }],
  ['the same one', { refresh_token: 'refresh-0' }],
])('keeps the refresh token that it has when the answer brings %s', async (_, brought) => {
  endpoint.answer = json(200, { ...grant, ...brought });
  const { id, state } = await engine.register(rotatingEndpointEntry(endpoint));
  expect(state).toBe('valid.fresh');
  await engine.refresh(id);
  expect(endpoint.requests.at(-1)?.body).toContain('refresh_token=refresh-0');
});

test('answers that are errors give their connections back', async () => {
  endpoint.answer = status(500, 'x'.repeat(100_000));
  const registered = Array.from({ length: 30 }, () => engine.register(endpointEntry(endpoint)));
  await Promise.all(registered);
  expect(await endpoint.connections()).toBeLessThan(30);
});
