import type { ServerResponse } from 'node:http';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase } from '../support/database.ts';
import { Endpoint, endpointEntry, tokens, type SeenRequest } from '../support/endpoint.ts';

const OVERDUE = 5_000;
const DYING = 10;
const DEAD = 1_000;
/** Registered together, so that they are written together. */
const AT_ONCE = 100;
/** At one endpoint. */
const AT_A_TIME = 8;

const folder = temporaryFolder();
let endpoint: Endpoint;
/** In the order in which the server was asked. */
const asked: number[] = [];
let underWay = 0;
let mostUnderWay = 0;

beforeAll(async () => {
  endpoint = await Endpoint.start((response: ServerResponse, request: SeenRequest) => {
    asked.push(Number(/scope=n(\d+)/.exec(request.body)?.[1]));
    underWay += 1;
    mostUnderWay = Math.max(mostUnderWay, underWay);
    setTimeout(() => {
      underWay -= 1;
      tokens()(response, request);
    }, 5);
  });
});

afterAll(async () => {
  await endpoint.stop();
  folder.dispose();
});

/** In the order of need: those that die within a minute, the dead, those that live on; the earliest end first in each. */
function endOf(index: number, nowMs: number): Date {
  if (index < DYING) return new Date(nowMs + 50_000 + index * 100);
  if (index < DYING + DEAD) return new Date(nowMs - 3_600_000 + index * 1_000);
  return new Date(nowMs + 3_600_000 + index * 1_000);
}

test('F19 a process that starts with 5,000 overdue credentials asks for each once, few at a time, the most urgent first', async () => {
  const clock = new TestClock();
  const before = await openEngine(folder.path, { ports: { clock } });
  const index = new Map<string, number>();
  const register = async (place: number): Promise<void> => {
    const config = { scope: `n${String(place)}` };
    index.set((await before.register({ ...endpointEntry(endpoint, { config }), test: false })).id, place);
  };
  for (let place = 0; place < OVERDUE; place += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, offset) => register(place + offset)));
  }
  await before.close();

  const database = openDatabase(folder.path);
  const nowMs = clock.now().getTime();
  // Those that live longest are overdue the longest: what counts is when a token ends, not when its refresh was due.
  for (const [id, place] of index) {
    const end = endOf(place, nowMs).toISOString();
    const due = new Date(nowMs - 10_000_000 - place * 1_000).toISOString();
    database.execute(
      `UPDATE records SET expires_at = ?, due_at = ?, state = 'valid', due_endpoint = record ->> '$.endpoint',
         record = json_set(record, '$.expiresAt', ?, '$.refreshDueAt', ?, '$.state', 'valid.fresh') WHERE id = ?`,
      ...[end, due, end, due, id],
    );
  }
  const after = await openEngine(folder.path, { ports: { clock }, keeper: true });
  await eventually(() => asked.length >= OVERDUE, { timeoutMs: 500_000, everyMs: 250 });
  await eventually(() => database.generations().every((generation) => generation === 1), { timeoutMs: 30_000 });
  await after.close();
  database.close();

  expect(new Set(asked).size).toBe(OVERDUE);
  expect(asked).toHaveLength(OVERDUE);
  expect(mostUnderWay).toBeLessThanOrEqual(AT_A_TIME);
  const farthest = Math.max(...asked.map((place, position) => Math.abs(place - position)));
  expect(farthest).toBeLessThanOrEqual(2 * AT_A_TIME);
}, 600_000);
