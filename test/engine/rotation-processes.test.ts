import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { EngineProcess } from './support/engine-process.ts';
import { openDatabase } from './support/database.ts';

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;

beforeAll(async () => {
  server = await startAuthorizationServer({ accessTokenTtlMs: 2_000, reuseGraceMs: 0 });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(() => {
  folder = temporaryFolder();
});

afterEach(() => {
  folder.dispose();
});

async function registerRotating(): Promise<string> {
  const founder = await openEngine(folder.path);
  const { id } = await founder.register(await rotatingEntry(server));
  await founder.close();
  return id;
}

async function startProcesses(count: number, keeper: boolean, aheadMs = 0): Promise<EngineProcess[]> {
  return Promise.all(Array.from({ length: count }, () => EngineProcess.start(folder.path, { keeper, aheadMs })));
}

/** Of processes for which a token that was just issued has ended. */
const PAST_A_LIFE_MS = 3_000;

test.each([2, 4])(
  'F01 %d processes whose rotating token expires together make one request per generation',
  async (count) => {
    const before = (await server.tokenRequests('rotating')).length;
    const id = await registerRotating();
    const processes = await startProcesses(count, true);
    const database = openDatabase(folder.path);
    await eventually(async () => {
      await Promise.all(processes.map((process) => process.ask('use', id)));
      return database.generations()[0] === 5;
    });
    await Promise.all(processes.map((process) => process.close()));
    const requests = (await server.tokenRequests('rotating')).slice(before);
    expect(requests).toHaveLength(database.generations()[0] ?? 0);
    expect(requests.filter(({ outcome, spentTokenPresented }) => outcome !== 'issued' || spentTokenPresented)).toEqual(
      [],
    );
    // Each event reaches the listeners of one process and the outbox once.
    const published = processes.flatMap(({ events }) => events).map(({ eventId }) => eventId);
    expect(new Set(published).size).toBe(published.length);
    database.close();
  },
  30_000,
);

test('F01 four processes asked at the same instant for an expired token give the same new one', async () => {
  const id = await registerRotating();
  const processes = await startProcesses(4, false, PAST_A_LIFE_MS);
  const database = openDatabase(folder.path);
  const requests = (await server.tokenRequests('rotating')).length;
  await server.setLatency(300);
  const asked = processes.flatMap((process) => Array.from({ length: 25 }, () => process.ask('use', id)));
  expect(new Set(await Promise.all(asked))).toEqual(new Set([2]));
  await server.clearFaults();
  expect((await server.tokenRequests('rotating')).length - requests).toBe(1);
  await Promise.all(processes.map((process) => process.close()));
  database.close();
}, 30_000);

test('four processes told at the same instant that the grant is dead ask the server once', async () => {
  const id = await registerRotating();
  const processes = await startProcesses(4, false, PAST_A_LIFE_MS);
  await server.revokeGrants('rotating');
  const requests = (await server.requests()).length;
  await server.setLatency(300);
  const outcomes = await Promise.allSettled(processes.map((process) => process.ask('use', id)));
  await server.clearFaults();
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'ERR_OAUTH2_INVALID_GRANT' } });
  expect((await server.requests()).slice(requests).filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1);
  await Promise.all(processes.map((process) => process.close()));
}, 30_000);

test('F03 a holder that stalls past its claim neither overwrites its successor nor spends the token again', async () => {
  const id = await registerRotating();
  const [stalled, successor] = (await startProcesses(2, false)) as [EngineProcess, EngineProcess];
  const database = openDatabase(folder.path);
  await server.restart({ reuseGraceMs: 30_000 });
  database.execute(`UPDATE records SET record = json_set(record, '$.config.reuseGraceMs', 30000)`);
  await server.setLatency(400);
  const late = stalled.ask('refresh', id);
  await eventually(() => database.openAttempts() === 1);
  stalled.signal('SIGSTOP');
  expect(await successor.ask('refresh', id)).toBe(2);
  stalled.signal('SIGCONT');
  expect(await late).toBe(2);
  await server.clearFaults();
  expect(await successor.ask('refresh', id)).toBe(3);
  expect((await server.tokenRequests('rotating')).filter((request) => request.spentTokenPresented)).toEqual([]);
  await Promise.all([stalled.close(), successor.close()]);
  await server.restart({ reuseGraceMs: 0 });
  database.close();
}, 30_000);

test('eight processes that open a new database at the same instant found one and share it', async () => {
  const processes = await startProcesses(8, false);
  const database = openDatabase(folder.path);
  expect(database.count('meta')).toBe(1);
  const entry = await rotatingEntry(server);
  const ids = await Promise.all(processes.map((process) => process.ask('adopt', entry)));
  expect(new Set(ids).size).toBe(1);
  expect(database.count('records')).toBe(1);
  expect(database.count('events')).toBe(1);
  expect(await Promise.all(processes.map((process) => process.ask('use', ids[0])))).toEqual(Array(8).fill(1));
  await Promise.all(processes.map((process) => process.close()));
  database.close();
}, 30_000);
