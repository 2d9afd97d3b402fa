import { setTimeout as delay } from 'node:timers/promises';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { EngineProcess } from './support/engine-process.ts';
import { openDatabase } from './support/database.ts';

const GRACE_MS = 30_000;
/** Longer than the dead keep their claims. */
const LEASE_MS = 5_000;
const LANES = 6;
const KILLS_PER_LANE = 3;
const CREDENTIALS_PER_LANE = 4;

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer({ reuseGraceMs: GRACE_MS, accessTokenTtlMs: 4_000 });
});

afterEach(async () => {
  await server.stop();
});

/** Kills engine after engine on one database, at instants that no one chose, and returns how often a request was cut off. */
async function killAgainAndAgain(): Promise<{ generations: number[]; cutOff: number; states: string[] }> {
  const folder = temporaryFolder();
  const founder = await openEngine(folder.path);
  const ids: string[] = [];
  for (let count = 0; count < CREDENTIALS_PER_LANE; count += 1) {
    const entry = await rotatingEntry(server, { config: { reuseGraceMs: GRACE_MS } });
    ids.push((await founder.register(entry)).id);
  }
  await founder.close();
  const database = openDatabase(folder.path);
  let cutOff = 0;
  for (let kill = 0; kill < KILLS_PER_LANE; kill += 1) {
    const victim = await EngineProcess.start(folder.path, { keeper: kill % 2 === 0, aheadMs: kill * LEASE_MS });
    const before = database.generations();
    await victim.ask('hammer', ids);
    // The claim of the last victim, if it held one, has run out: requests flow again.
    await eventually(() => database.generations().every((generation, index) => generation > (before[index] ?? 0)));
    await delay(Math.random() * 120);
    await victim.kill();
    cutOff += database.openAttempts();
  }
  const clock = new TestClock();
  clock.stall(KILLS_PER_LANE * LEASE_MS);
  const survivor = await openEngine(folder.path, { keeper: true, ports: { clock } });
  const before = database.generations();
  await eventually(() => database.generations().every((generation, index) => generation > (before[index] ?? 0)));
  const states = await Promise.all(ids.map(async (id) => (await survivor.get(id)).state));
  await Promise.all(ids.map(async (id) => survivor.use(id)));
  await survivor.close();
  // Not those of the uses: behind them the survivor may have refreshed once more.
  const generations = database.generations();
  database.close();
  folder.dispose();
  return { generations, cutOff, states };
}

test('loses no grant to eighteen kills, and presents no spent token outside the grace window', async () => {
  const lanes = await Promise.all(Array.from({ length: LANES }, killAgainAndAgain));
  const requests = await server.tokenRequests('rotating');
  expect(requests.filter((request) => request.spentTokenPresented)).toEqual([]);
  expect(requests.filter(({ error }) => error !== null)).toEqual([]);
  expect(lanes.flatMap(({ states }) => states).every((state) => !state.startsWith('expired'))).toBe(true);
  const generations = lanes.flatMap((lane) => lane.generations).reduce((sum, generation) => sum + generation, 0);
  // Requests beyond the stored generations are those whose answers died with a process: each was made once more.
  const cutOff = lanes.reduce((sum, lane) => sum + lane.cutOff, 0);
  expect(requests.length - generations).toBeLessThanOrEqual(cutOff);
  expect(requests.filter(({ graceReuse }) => graceReuse).length).toBeLessThanOrEqual(cutOff);
  expect(cutOff).toBeGreaterThan(0);
}, 60_000);

test('takes a refresh that died long before it was due over at once, while the grace window is open', async () => {
  await server.restart({ accessTokenTtlMs: 3_600_000 });
  const folder = temporaryFolder();
  const founder = await openEngine(folder.path);
  const { id } = await founder.register(await rotatingEntry(server, { config: { reuseGraceMs: GRACE_MS } }));
  await founder.close();
  await server.setLatency(500);
  const victim = await EngineProcess.start(folder.path);
  victim.ask('refresh', id).catch(() => undefined);
  const database = openDatabase(folder.path);
  await eventually(() => database.openAttempts() === 1);
  await victim.kill();
  const survivor = await openEngine(folder.path, { keeper: true });
  const { state, generation } = await eventually(async () => {
    const summary = await survivor.get(id);
    return summary.generation > 1 && summary;
  });
  expect([state, generation]).toEqual(['valid.fresh', 2]);
  expect((await server.tokenRequests('rotating')).filter((request) => request.spentTokenPresented)).toEqual([]);
  await survivor.close();
  database.close();
  folder.dispose();
}, 30_000);
