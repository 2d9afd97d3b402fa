import { gzipSync } from 'node:zlib';
import type { CredentialEngine } from '../../../src/engine.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually, quietFor } from '../../support/eventually.ts';
import { Endpoint, endpointEntry, rotatingEndpointEntry, tokens, type Answer } from '../support/endpoint.ts';

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
  engine = await openEngine(folder.path, { keeper: true, ports: { clock, logger } });
  endpoint = await Endpoint.start(tokens());
});

afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  folder.dispose();
});

test.each([
  ['omitted', {}, false],
  ['empty', { refresh_token: '' }, true],
  ['null', { refresh_token: null }, true],
])('F25 a refresh token that is %s keeps the one before', async (_, brought, warns) => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  const kept = /refresh_token=(refresh-\d+)/;
  endpoint.answer = tokens({ refresh_token: undefined, ...brought });
  await engine.refresh(id);
  const before = kept.exec(endpoint.requests.at(-1)?.body ?? '')?.[1];
  await engine.refresh(id);
  expect(kept.exec(endpoint.requests.at(-1)?.body ?? '')?.[1]).toBe(before);
  expect(logged.some((message) => message.includes('empty refresh token'))).toBe(warns);
});

test('F25 a refresh token that is present replaces the one before', async () => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  endpoint.answer = tokens({ refresh_token: 'the next one' });
  await engine.refresh(id);
  await engine.refresh(id);
  expect(endpoint.requests.at(-1)?.body).toContain('refresh_token=the+next+one');
});

test.each([
  ['whose name does not resolve', () => 'https://no-such-host.invalid/token'],
  ['that does not speak TLS', () => endpoint.tokenEndpoint.replace('http:', 'https:')],
])('F28 an endpoint %s is a blip in which no token counts as spent', async (_, tokenEndpoint) => {
  const entry = rotatingEndpointEntry(endpoint, { tokenEndpoint: tokenEndpoint() });
  const { state, credential } = await engine.register(entry);
  expect([state, credential.failure]).toMatchObject([
    'pending.unverified',
    { class: 'transient', code: 'ERR_ENDPOINT_UNREACHABLE' },
  ]);
});

const bomb: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
  response.end(gzipSync(Buffer.alloc(50_000_000, ' ')));
};
/** Counts what was taken of fifty megabytes. */
let takenBytes = 0;
const flood: Answer = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const chunk = Buffer.alloc(500_000, ' ');
  const pour = (left: number): void => {
    if (left === 0 || response.destroyed) return;
    takenBytes += chunk.length;
    if (response.write(chunk)) setImmediate(pour, left - 1);
    else
      response.once('drain', () => {
        pour(left - 1);
      });
  };
  pour(100);
};

test.each([
  ['fifty megabytes', flood],
  ['a gzip bomb of fifty megabytes', bomb],
])('F39 an answer of %s is cut at one mebibyte', async (_, answer) => {
  takenBytes = 0;
  endpoint.answer = answer;
  const { credential } = await engine.register(endpointEntry(endpoint));
  expect(credential.failure?.code).toBe('ERR_ENDPOINT_RESPONSE_TOO_LARGE');
  // What was under way in the sockets' buffers, and not the whole.
  expect(takenBytes).toBeLessThan(25_000_000);
});

test('F40 waking after eight hours refreshes each credential once', async () => {
  const ids: string[] = [];
  for (let count = 0; count < 10; count += 1) ids.push((await engine.register(endpointEntry(endpoint))).id);
  clock.advance(8 * 3_600_000);
  await eventually(async () => {
    const { credentials } = await engine.list();
    return credentials.every(({ generation }) => generation === 2);
  });
  await quietFor(300);
  expect(endpoint.requests).toHaveLength(20);
});

test('F40 a wall clock that is ten minutes wrong gives no token that is expired at birth, and no storm', async () => {
  for (const wrongMs of [600_000, -600_000]) {
    clock.stepWall(wrongMs);
    const { id, state } = await engine.register(endpointEntry(endpoint));
    expect(state).toBe('valid.fresh');
    const requests = endpoint.requests.length;
    await engine.use(id);
    await quietFor(200);
    expect(endpoint.requests).toHaveLength(requests);
  }
});

test.each([2, 10, 60])(
  'F42 a token of %d seconds is fresh, and due between the half and the end of its life',
  async (life) => {
    endpoint.answer = tokens({ expires_in: life });
    const { credential } = await engine.register(endpointEntry(endpoint));
    const { state, expiresAt, dueAt } = credential;
    expect(state).toBe('valid.fresh');
    const leftMs = (expiresAt?.getTime() ?? 0) - (dueAt?.getTime() ?? 0);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(0.55 * life * 1_000);
  },
);

test.each([301, 302, 307, 308])('F38 no secret follows a redirect (HTTP %d) of the token endpoint', async (status) => {
  const elsewhere = await Endpoint.start(tokens());
  endpoint.answer = (response) => {
    response.writeHead(status, { location: elsewhere.tokenEndpoint });
    response.end();
  };
  const { credential } = await engine.register(rotatingEndpointEntry(endpoint));
  expect(credential.failure?.code).toBe('ERR_ENDPOINT_REDIRECTED');
  expect(elsewhere.requests).toEqual([]);
  await elsewhere.stop();
});
