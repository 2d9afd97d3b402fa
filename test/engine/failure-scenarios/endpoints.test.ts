import type { CredentialEngine, EngineOptions } from '../../../src/engine.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { Endpoint, endpointEntry, json, rotatingEndpointEntry, tokens, type Answer } from '../support/endpoint.ts';
import { EngineProcess } from '../support/engine-process.ts';

let folder: ReturnType<typeof temporaryFolder>;
let endpoint: Endpoint;
let clock: TestClock;
let database: SeenDatabase;
let logged: string[];
const engines: CredentialEngine[] = [];

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  logged = [];
  endpoint = await Endpoint.start(tokens());
  await open();
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  database.close();
  await endpoint.stop();
  folder.dispose();
});

/** Another engine on the same database, as another process has it. */
async function open(options: Partial<EngineOptions> = {}): Promise<CredentialEngine> {
  const log = (_: object, message: string): number => logged.push(message);
  const logger = { debug: log, info: log, warn: log, error: log };
  const engine = await openEngine(folder.path, { ports: { clock, logger }, ...options });
  engines.push(engine);
  return engine;
}

function first(): CredentialEngine {
  const [engine] = engines;
  if (!engine) throw new Error('no engine');
  return engine;
}

/** Credentials of different apps at an endpoint, each with a grant. */
async function registerMany(count: number, at = endpoint, config: object = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = endpointEntry(at, { config: { clientId: `client-${String(index)}`, ...config } });
    ids.push((await first().register(entry)).id);
  }
  return ids;
}

/** Ends the life of every token, for all processes. */
function endLives(): void {
  const past = new Date(Date.now() - 1_000).toISOString();
  database.execute(
    `UPDATE records SET expires_at = ?, due_at = ?, revision = revision + 1,
       record = json_set(record, '$.expiresAt', ?, '$.refreshDueAt', ?, '$.revision', revision + 1)`,
    ...[past, past, past, past],
  );
}

const unavailable: Answer = json(503, {});
const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : error);

/** Five credentials whose refreshes fail break the circuit. */
async function breakCircuit(ids: readonly string[]): Promise<void> {
  endpoint.answer = unavailable;
  for (const id of ids.slice(0, 5)) await first().refresh(id);
  expect(logged).toContain('An endpoint fails repeatedly; it is left alone for a while.');
  endpoint.requests.length = 0;
}

/** Puts the end of the break into the past, for every process. */
function endBreak(): void {
  database.execute(
    `UPDATE documents SET body = json_set(body, '$.breaker.opensAt', '2020-01-01T00:00:00.000Z') WHERE kind = 'endpoint'`,
  );
}

/** The outcome of a refresh by one of the processes in turn. */
async function askOf(processes: readonly EngineProcess[], index: number, id: string): Promise<unknown> {
  return processes[index % processes.length]?.ask('refresh', id);
}

const imf = (secondsAhead: number): string => new Date(Date.now() + secondsAhead * 1_000).toUTCString();
const HOUR = 3_600;

describe('a 429', () => {
  test.each<[string, string | null, number]>([
    ['of two minutes', '120', 120],
    ['as an HTTP date', imf(300), 299],
    ['of three centuries', '9999999999', HOUR],
    ['as a date in three centuries', 'Fri, 31 Dec 2326 23:59:59 GMT', HOUR],
    ['that is long over', imf(-HOUR), 2],
    ['of no time', '0', 2],
    ['that is not understood', 'soon', 2],
    ['that is missing', null, 2],
  ])('F27 with a Retry-After %s keeps other credentials back, in other processes too', async (_, header, seconds) => {
    const [blamed = '', other = ''] = await registerMany(2);
    const elsewhere = await open();
    endpoint.answer = json(429, {}, header === null ? {} : { 'retry-after': header });
    expect(await first().refresh(blamed)).toMatchObject({ failure: { code: 'ERR_ENDPOINT_RATE_LIMITED' } });
    endpoint.answer = tokens();
    endpoint.requests.length = 0;
    const held = await elsewhere.refresh(other);
    expect(held).toMatchObject({ state: 'valid.expiringSoon', failure: { code: 'ERR_ENDPOINT_PAUSED' } });
    expect((await elsewhere.use(other)).generation).toBe(1);
    if (seconds > 2) {
      clock.advance((seconds - 20) * 1_000);
      expect(await elsewhere.refresh(other)).toMatchObject({ generation: 1 });
    }
    expect(endpoint.requests).toEqual([]);
    clock.advance(21_000);
    expect(await elsewhere.refresh(other)).toMatchObject({ state: 'valid.fresh', generation: 2, failure: null });
  });

  test('F27 is remembered by a process that starts afterwards, and asks nothing of other endpoints', async () => {
    const [blamed = '', other = ''] = await registerMany(2);
    const calm = await Endpoint.start(tokens());
    const [unharmed = ''] = await registerMany(1, calm);
    endpoint.answer = json(429, {}, { 'retry-after': '600' });
    await first().refresh(blamed);
    endpoint.requests.length = 0;
    const restarted = await open();
    expect(await restarted.refresh(other)).toMatchObject({ failure: { code: 'ERR_ENDPOINT_PAUSED' } });
    expect(await restarted.refresh(unharmed)).toMatchObject({ generation: 2 });
    expect(endpoint.requests).toEqual([]);
    await calm.stop();
  });

  test('F27 leaves no doubt, no count and no event on a credential that was only kept back', async () => {
    const { id: blamed } = await first().register(endpointEntry(endpoint));
    const { id } = await first().register(rotatingEndpointEntry(endpoint));
    endpoint.answer = json(429, {}, { 'retry-after': '600' });
    await first().refresh(blamed);
    const { cursor } = await first().readEvents(0, 1_000);
    for (let tries = 0; tries < 3; tries += 1) await first().refresh(id);
    const row = await first().readEvents(cursor, 100);
    expect(row.events.filter(({ credentialId }) => credentialId === id)).toEqual([]);
    expect(database.lastAttempt(id)).toMatchObject({ phase: 'failed', sentAt: null, spentAt: null });
    expect(database.record(id)).toMatchObject({ failedAttempts: 0, state: 'valid.expiringSoon' });
  });
});

describe('a circuit', () => {
  test('F56 that is open for one endpoint leaves the others alone, and the credentials behind it usable', async () => {
    const ids = await registerMany(6);
    const calm = await Endpoint.start(tokens());
    const [unharmed = ''] = await registerMany(1, calm);
    await breakCircuit(ids);
    expect(await first().refresh(ids[5] ?? '')).toMatchObject({
      state: 'valid.expiringSoon',
      failure: { code: 'ERR_ENDPOINT_CIRCUIT_OPEN' },
    });
    expect((await first().use(ids[5] ?? '')).generation).toBe(1);
    expect(endpoint.requests).toEqual([]);
    expect(await first().refresh(unharmed)).toMatchObject({ generation: 2, failure: null });
    await calm.stop();
  });

  test('F56 survives a restart, and tells a caller without a living token when to come back', async () => {
    const ids = await registerMany(6);
    await breakCircuit(ids);
    await first().close();
    engines.length = 0;
    const restarted = await open();
    endLives();
    const error: unknown = await restarted.use(ids[5] ?? '').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'ERR_ENDPOINT_CIRCUIT_OPEN' });
    const { retryAfterMs } = error as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(30_000);
    expect(endpoint.requests).toEqual([]);
  });

  test('F56 that is half open lets one probe of four processes through, and all when it was answered', async () => {
    const ids = await registerMany(13);
    await breakCircuit(ids);
    const probe = Promise.withResolvers<undefined>();
    endpoint.answer = (response, request) => {
      void probe.promise.then(() => {
        tokens()(response, request);
      });
    };
    const processes = await Promise.all(Array.from({ length: 4 }, () => EngineProcess.start(folder.path)));
    endBreak();
    const asked = ids.slice(5).map((id, index) => askOf(processes, index, id));
    // All but the probe are refused; only then does the probe get its answer.
    let refused = 0;
    for (const answer of asked) void answer.then(() => (refused += 1));
    const isProbed = () => refused === asked.length - 1 && endpoint.requests.length > 0;
    await eventually(isProbed, { timeoutMs: 60_000 });
    expect(endpoint.requests).toHaveLength(1);
    probe.resolve(undefined);
    const generations = (await Promise.all(asked)).toSorted();
    expect(generations).toEqual([1, 1, 1, 1, 1, 1, 1, 2]);
    const again = await Promise.all(ids.slice(5).map((id, index) => askOf(processes, index, id)));
    expect(again.toSorted()).toEqual([2, 2, 2, 2, 2, 2, 2, 3]);
    await Promise.all(processes.map((process) => process.close()));
  }, 120_000);

  test('F56 breaks for longer when its probe fails', async () => {
    const ids = await registerMany(7);
    await breakCircuit(ids);
    clock.advance(31_000);
    await first().refresh(ids[5] ?? '');
    expect(endpoint.requests).toHaveLength(1);
    clock.advance(45_000);
    expect(await first().refresh(ids[6] ?? '')).toMatchObject({ failure: { code: 'ERR_ENDPOINT_CIRCUIT_OPEN' } });
    expect(endpoint.requests).toHaveLength(1);
    endpoint.answer = tokens();
    clock.advance(16_000);
    expect(await first().refresh(ids[6] ?? '')).toMatchObject({ generation: 2 });
    expect(logged).toContain('An endpoint answers again.');
  });

  test.each<[string, Answer]>([
    ['invalid_grant', json(400, { error: 'invalid_grant' })],
    ['invalid_client', json(401, { error: 'invalid_client' })],
    ['invalid_scope', json(400, { error: 'invalid_scope' })],
    ['429', json(429, {})],
    ['nonsense', json(200, { no: 'token' })],
  ])('F56 is not broken by answers of %s: those are the matter of one credential', async (_, answer) => {
    const ids = await registerMany(8);
    endpoint.answer = answer;
    for (const id of ids.slice(0, 7)) {
      await first().refresh(id);
      clock.advance(3_000);
    }
    endpoint.answer = tokens();
    expect(await first().refresh(ids[7] ?? '')).toMatchObject({ generation: 2 });
  });

  test('F56 goes on by itself: the keeper tries it once when the break is over, then catches up', async () => {
    const ids = await registerMany(9);
    await breakCircuit(ids);
    endLives();
    await open({ keeper: true });
    await eventually(async () => (await first().countByState()).expired === 9);
    expect(endpoint.requests).toEqual([]);
    endpoint.answer = tokens();
    for (let step = 0; step < 8; step += 1) clock.advance(5_000);
    await eventually(async () => (await first().countByState()).valid === 9);
    expect(endpoint.requests).toHaveLength(9);
  });

  test('F56 never keeps back what heals inside a grace window: a few seconds later the grant would be lost', async () => {
    const { id } = await first().register(rotatingEndpointEntry(endpoint, { reuseGraceMs: 30_000 }));
    const ids = await registerMany(5);
    endpoint.answer = (response) => response.socket?.destroy();
    expect(await first().refresh(id)).toMatchObject({ state: 'refreshing.ambiguous' });
    await breakCircuit(ids);
    endpoint.answer = tokens();
    expect(await first().refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
    expect(endpoint.requests).toHaveLength(1);
  });
});

describe('an app that is refused', () => {
  const refused = json(401, { error: 'invalid_client' });
  const oneApp = { clientId: 'the app' };

  test('F29 is one incident: the first credential says so, the others wait and point at it', async () => {
    const [blamed = '', ...others] = await registerMany(6, endpoint, oneApp);
    endLives();
    endpoint.answer = refused;
    endpoint.requests.length = 0;
    expect(
      codeOf(
        await first()
          .use(blamed)
          .catch((error: unknown) => error),
      ),
    ).toBe('ERR_OAUTH2_INVALID_CLIENT');
    const elsewhere = await open();
    for (const id of others) {
      const error: unknown = await elsewhere.use(id).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'ERR_APP_REFUSED', message: expect.stringContaining(blamed) as string });
    }
    expect(endpoint.requests).toHaveLength(1);
    const { events } = await first().readEvents(0, 1_000);
    expect(events.filter(({ type }) => type === 'credential.misconfigured')).toHaveLength(1);
    expect(events.filter(({ type }) => type === 'refresh.failed')).toHaveLength(1);
  });

  test('F29 ends with the first success, and all that waited follow by themselves', async () => {
    const ids = await registerMany(6, endpoint, oneApp);
    endLives();
    endpoint.answer = refused;
    for (const id of ids) await first().use(id).catch(codeOf);
    endpoint.answer = tokens();
    expect(await first().refresh(ids[0] ?? '')).toMatchObject({ state: 'valid.fresh' });
    expect(logged).toContain('The other side accepts an app again.');
    await open({ keeper: true });
    clock.advance(601_000);
    await eventually(async () => (await first().countByState()).valid === 6);
  });

  test('F29 does not stand in the way of the same client with another secret', async () => {
    const [blamed = ''] = await registerMany(1, endpoint, oneApp);
    endpoint.answer = refused;
    await first().refresh(blamed);
    endpoint.answer = tokens();
    const corrected = endpointEntry(endpoint, { config: oneApp, secret: { clientSecret: 'the new one' } });
    expect(await first().register(corrected)).toMatchObject({ state: 'valid.fresh' });
  });

  test('F29 is asked about once in an hour, by one of those who wait', async () => {
    const ids = await registerMany(5, endpoint, oneApp);
    endLives();
    endpoint.answer = refused;
    for (const id of ids) await first().use(id).catch(codeOf);
    endpoint.requests.length = 0;
    clock.advance(3_601_000);
    for (const id of ids.slice(1)) await first().use(id).catch(codeOf);
    expect(endpoint.requests).toHaveLength(1);
    const { events } = await first().readEvents(0, 1_000);
    expect(events.filter(({ type }) => type === 'credential.misconfigured')).toHaveLength(1);
  });

  test('F29 costs a hundred credentials that are due at once no more requests than may be under way at a time', async () => {
    const ids = await registerMany(100, endpoint, oneApp);
    endLives();
    endpoint.answer = refused;
    endpoint.requests.length = 0;
    await open({ keeper: true });
    await eventually(
      async () => {
        const { expired, pending } = await first().countByState();
        return expired + pending === ids.length;
      },
      { timeoutMs: 60_000 },
    );
    expect(endpoint.requests.length).toBeLessThanOrEqual(8);
    const { events } = await first().readEvents(0, 10_000);
    expect(events.filter(({ type }) => type === 'credential.misconfigured')).toHaveLength(1);
  }, 90_000);
});
