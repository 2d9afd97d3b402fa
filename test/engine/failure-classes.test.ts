import type { CredentialEngine } from '../../src/engine.ts';
import type { CredentialEvent } from '../../src/lifecycle/events.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { eventually, quietFor } from '../support/eventually.ts';

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;
let engine: CredentialEngine;
let events: CredentialEvent[];

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  events = [];
  engine.on('*', (event) => events.push(event));
});

afterEach(async () => {
  await server.clearFaults();
  await engine.close();
  folder.dispose();
});

const told = (): string[] => events.map(({ type }) => type);
const requestCount = async (): Promise<number> => (await server.tokenRequests()).length;

async function eventuallyIn(id: string, state: string) {
  return eventually(async () => {
    const summary = await engine.get(id);
    return summary.state === state && summary;
  });
}

test('F29 a wrong secret is a matter of configuration: no retry by itself, and no request for a caller', async () => {
  const entry = machineEntry(server, { secret: { clientSecret: 'not the secret' } });
  const { id, state, credential } = await engine.register(entry);
  expect([state, credential.failure?.code]).toEqual(['pending.misconfigured', 'ERR_OAUTH2_INVALID_CLIENT']);
  const requests = await requestCount();
  const callers = await Promise.allSettled(Array.from({ length: 20 }, () => engine.use(id)));
  for (const caller of callers) expect(caller).toMatchObject({ reason: { code: 'ERR_OAUTH2_INVALID_CLIENT' } });
  expect(await engine.reportRejected(id, 0)).toMatchObject({ decision: 'notRefreshed' });
  for (let hour = 0; hour < 24; hour += 1) clock.advance(3_600_000);
  await quietFor(200);
  expect(await requestCount()).toBe(requests);
  expect(told()).toEqual(['credential.registered', 'refresh.failed', 'credential.misconfigured', 'health.failed']);
  // A person who asks gets an answer of the server.
  expect(await engine.test(id)).toMatchObject({ success: false });
  expect(await requestCount()).toBe(requests + 1);
});

test('F36 a dead grant leaves its living token usable, and says later that a person is needed', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  await server.revokeRefreshTokens('rotating');
  clock.advance(40_000);
  const degraded = await eventuallyIn(id, 'valid.degraded');
  expect(degraded).toMatchObject({ reason: 'grantRefused', failure: { code: 'ERR_OAUTH2_INVALID_GRANT' } });
  const { headers } = await engine.use(id);
  expect((await fetch(server.resourceUrl, { headers })).status).toBe(200);
  const requests = await requestCount();
  clock.advance(21_000);
  expect(await eventuallyIn(id, 'expired.needsUser')).toMatchObject({ reason: 'grantRefused', dueAt: null });
  await expect(engine.use(id)).rejects.toMatchObject({
    name: 'ReauthorizationRequiredError',
    code: 'ERR_OAUTH2_INVALID_GRANT',
  });
  expect(await engine.reportRejected(id, 1)).toMatchObject({ decision: 'notRefreshed' });
  expect(await requestCount()).toBe(requests);
  expect(told()).toEqual([
    ...['credential.registered', 'credential.refreshed', 'refresh.failed', 'credential.degraded'],
    ...['credential.expired', 'credential.needsUser'],
  ]);
});

test.each([
  ['HTTP 500', { status: 500 }, 'ERR_ENDPOINT_UNAVAILABLE', 1_000],
  ['HTTP 503 with Retry-After', { status: 503, retryAfterSeconds: 9 }, 'ERR_ENDPOINT_UNAVAILABLE', 9_000],
  ['HTTP 429 with Retry-After', { status: 429, retryAfterSeconds: 7 }, 'ERR_ENDPOINT_RATE_LIMITED', 7_000],
])('F27 %s delays a refresh, the token stays usable, and recovery is told', async (_, fault, code, leastMs) => {
  const { id } = await engine.register(machineEntry(server));
  await server.failNext({ kind: 'status', ...fault });
  clock.advance(35_000);
  const { failure, dueAt } = await eventuallyIn(id, 'valid.expiringSoon');
  expect(failure).toMatchObject({ class: 'transient', code });
  const waitMs = (dueAt?.getTime() ?? 0) - (failure?.at.getTime() ?? 0);
  expect(waitMs).toBeGreaterThanOrEqual(leastMs);
  const requests = await requestCount();
  clock.advance(waitMs - 600);
  await Promise.all(Array.from({ length: 10 }, () => engine.use(id)));
  expect(await requestCount()).toBe(requests);
  clock.advance(600);
  await eventuallyIn(id, 'valid.fresh');
  expect(await requestCount()).toBe(requests + 1);
  expect(told()).toEqual([
    ...['credential.registered', 'credential.refreshed', 'refresh.failed', 'credential.refreshed'],
    'credential.recovered',
  ]);
});

test('F28 an outage that outlives the token backs off, tells of the expiry once, and recovers by itself', async () => {
  const { id } = await engine.register(machineEntry(server));
  const requests = await requestCount();
  await server.failNext({ kind: 'status', status: 500 }, 100);
  await eventually(async () => {
    clock.advance(2_000);
    return (await engine.get(id)).state === 'expired.retrying';
  });
  const callers = await Promise.allSettled(Array.from({ length: 20 }, () => engine.use(id)));
  for (const caller of callers)
    expect(caller).toMatchObject({
      reason: { code: expect.stringMatching(/^ERR_ENDPOINT_(UNAVAILABLE|CIRCUIT_OPEN)$/) },
    });
  await eventually(() => {
    clock.advance(20_000);
    return told().filter((type) => type === 'refresh.failed').length >= 8;
  });
  expect((await requestCount()) - requests).toBeLessThanOrEqual(9);
  await server.clearFaults();
  await eventually(() => {
    clock.advance(60_000);
    return told().includes('credential.recovered');
  });
  expect(told().filter((type) => type !== 'refresh.failed')).toEqual([
    ...['credential.registered', 'credential.refreshed', 'credential.expired', 'credential.refreshed'],
    'credential.recovered',
  ]);
  expect((await engine.readEvents(0, 1_000)).events.map(({ eventId }) => eventId)).toEqual(
    events.map(({ eventId }) => eventId),
  );
});

test('a listener that throws harms neither the refresh nor the other listeners', async () => {
  const heard: string[] = [];
  engine.on('*', () => {
    throw new Error('listener');
  });
  engine.on('credential.refreshed', ({ type }) => heard.push(type));
  expect((await engine.register(machineEntry(server))).state).toBe('valid.fresh');
  expect(heard).toEqual(['credential.refreshed']);
});
