import type { CredentialEngine, EngineOptions } from '../../../src/engine.ts';
import { openStores } from '../../../src/storage/open.ts';
import type { RecordStore } from '../../../src/storage/record-store.ts';
import { silentLogger, systemFetch, systemRandom } from '../../../src/ports.ts';
import { StorageError } from '../../../src/errors.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { Endpoint, endpointEntry, rotatingEndpointEntry, tokens } from '../support/endpoint.ts';
import { EngineProcess } from '../support/engine-process.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

let folder: ReturnType<typeof temporaryFolder>;
let endpoint: Endpoint;
let clock: TestClock;
let database: SeenDatabase;
let arrivals: number[];
const engines: CredentialEngine[] = [];

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  endpoint = await Endpoint.start(tokens());
  arrivals = [];
});

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  database.close();
  await endpoint.stop();
  folder.dispose();
});

async function open(options: Partial<EngineOptions> = {}): Promise<CredentialEngine> {
  const engine = await openEngine(folder.path, { ports: { clock }, ...options });
  engines.push(engine);
  return engine;
}

/** Credentials whose tokens have ended, at an endpoint that writes down when it is asked. */
async function expired(count: number): Promise<string[]> {
  const engine = await open();
  const register = async (index: number): Promise<string> =>
    (await engine.register(endpointEntry(endpoint, { config: { clientId: `client-${String(index)}` } }))).id;
  const ids = await Promise.all(Array.from({ length: count }, (_, index) => register(index)));
  await engine.close();
  engines.length = 0;
  database = openDatabase(folder.path);
  endLives();
  const issue = tokens();
  endpoint.answer = (response, request) => {
    arrivals.push(clock.now().getTime());
    issue(response, request);
  };
  return ids;
}

function endLives(): void {
  const past = new Date(Date.now() - 1_000).toISOString();
  database.execute(
    `UPDATE records SET expires_at = ?, due_at = ?, record = json_set(record, '$.expiresAt', ?, '$.refreshDueAt', ?)`,
    ...[past, past, past, past],
  );
}

const at = (requests: number, perMs: number) => [{ endpoint: new URL(endpoint.url).host, requests, perMs }];

/** How many requests the fullest window held. */
function fullestWindow(times: readonly number[], perMs: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  const counts = sorted.map((start) => sorted.filter((time) => time >= start && time < start + perMs).length);
  return Math.max(0, ...counts);
}

/** What one of the engines in turn gives. */
async function usedBy(both: readonly CredentialEngine[], index: number, id: string): Promise<unknown> {
  return (await both[index % both.length]?.use(id))?.generation;
}

test('F33 a hundred callers of each of eight expired tokens in two processes make no more requests than the budget', async () => {
  const ids = await expired(8);
  const both = [await open({ budgets: at(5, MINUTE_MS) }), await open({ budgets: at(5, MINUTE_MS) })];
  const outcome = (error: unknown): unknown => (error as { code: string }).code;
  const callers = ids.flatMap((id) =>
    Array.from({ length: 100 }, (_, index) => usedBy(both, index, id).catch(outcome)),
  );
  const outcomes = await Promise.all(callers);
  expect(arrivals).toHaveLength(5);
  expect(outcomes.filter((got) => got === 2)).toHaveLength(500);
  expect(outcomes.filter((got) => got === 'ERR_ENDPOINT_BUDGET_SPENT')).toHaveLength(300);
  clock.advance(MINUTE_MS);
  for (const id of ids) expect((await both[0]?.use(id))?.generation).toBe(2);
  expect(arrivals).toHaveLength(8);
  expect(fullestWindow(arrivals, MINUTE_MS)).toBe(5);
}, 60_000);

test('F33 six processes share one budget', async () => {
  const ids = await expired(8);
  const options = { budgets: at(5, HOUR_MS) };
  const processes = await Promise.all(Array.from({ length: 6 }, () => EngineProcess.start(folder.path, options)));
  const answers = await Promise.all(ids.flatMap((id) => processes.map((process) => process.ask('useMany', id, 10))));
  expect(arrivals).toHaveLength(5);
  const refused = answers.flat().filter((answer) => answer === 'ERR_ENDPOINT_BUDGET_SPENT');
  expect(refused).toHaveLength(3 * 6 * 10);
  await Promise.all(processes.map((process) => process.close()));
}, 120_000);

test('F33 a living token is handed out while its refresh waits for the budget, and nothing counts as a failure', async () => {
  const [spender = '', waiting = ''] = await expired(2);
  const engine = await open({ budgets: at(1, HOUR_MS) });
  await engine.use(spender);
  const future = new Date(clock.now().getTime() + 600_000).toISOString();
  database.execute(
    `UPDATE records SET revision = revision + 1, expires_at = ?,
       record = json_set(record, '$.expiresAt', ?, '$.revision', revision + 1) WHERE id = ?`,
    ...[future, future, waiting],
  );
  expect(await engine.refresh(waiting)).toMatchObject({ state: 'valid.fresh', generation: 1, failure: null });
  expect((await engine.use(waiting)).generation).toBe(1);
  expect(arrivals).toHaveLength(1);
});

test('F33 what heals inside a grace window passes a budget that is spent', async () => {
  const [spender = ''] = await expired(1);
  const engine = await open({ budgets: at(2, HOUR_MS) });
  endpoint.answer = (response) => response.socket?.destroy();
  const { id, state } = await engine.register(rotatingEndpointEntry(endpoint, { reuseGraceMs: 30_000 }));
  expect(state).toBe('refreshing.ambiguous');
  endpoint.answer = tokens();
  await engine.use(spender);
  const requests = endpoint.requests.length;
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 1 });
  expect(endpoint.requests).toHaveLength(requests + 1);
  expect(await engine.refresh(spender)).toMatchObject({ generation: 2 });
  expect(endpoint.requests).toHaveLength(requests + 1);
});

test('F41 four hundred credentials that end within one minute are refreshed by two keepers, in no window more than the budget', async () => {
  const ids = await expired(400);
  for (const [index, id] of ids.entries()) {
    const end = new Date(clock.now().getTime() + 600_000 + (index * MINUTE_MS) / ids.length).toISOString();
    database.execute(
      `UPDATE records SET expires_at = ?, record = json_set(record, '$.expiresAt', ?) WHERE id = ?`,
      ...[end, end, id],
    );
  }
  const budgets = at(20, 500);
  await open({ budgets, keeper: true });
  const engine = await open({ budgets, keeper: true });
  await eventually(() => database.generations().every((generation) => generation === 2), { timeoutMs: 120_000 });
  expect(arrivals).toHaveLength(400);
  expect(fullestWindow(arrivals, 500)).toBeLessThanOrEqual(20);
  const events = (await engine.readEvents(0, 10_000)).events.map(({ type }) => type);
  expect(events.filter((type) => /expired|failed|expiringSoon/.test(type))).toEqual([]);
}, 150_000);

test('F04 with claims not to be had nothing is refreshed, whatever the protocol allows, and the log says so', async () => {
  const [id = ''] = await expired(1);
  const logged: object[] = [];
  const logger = { ...silentLogger, error: (fields: object) => logged.push(fields) };
  const ports = { clock, logger, random: systemRandom, fetch: systemFetch };
  const stores = await openStores(`${folder.path}/credentials.db`, ports);
  const down = () => Promise.reject(new StorageError('ERR_STORE_UNAVAILABLE', 'The claims cannot be reached.'));
  let isDown = false;
  const records = new Proxy<RecordStore>(stores.records, {
    get: (target, name) => {
      if (isDown && (name === 'claim' || name === 'claimDue')) return down;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
  const engine = await open({ database: { ...stores, records }, ports, keeper: false });
  const rotating = await engine.register(rotatingEndpointEntry(endpoint));
  const requests = endpoint.requests.length;
  isDown = true;
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  await expect(engine.refresh(rotating.id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect((await engine.use(rotating.id)).generation).toBe(1);
  const keeper = await openKeeperOn({ ...stores, records }, ports);
  await eventually(() => logged.some((fields) => 'code' in fields && fields.code === 'ERR_STORE_UNAVAILABLE'));
  expect(endpoint.requests).toHaveLength(requests);
  isDown = false;
  expect((await engine.use(id)).generation).toBe(2);
  await keeper.close();
  engines.length = 0;
});

async function openKeeperOn(database: EngineOptions['database'], ports: EngineOptions['ports'] = {}) {
  return openEngine(folder.path, { database, ports, keeper: true });
}
