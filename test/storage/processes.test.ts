import { join } from 'node:path';
import { silentLogger, systemClock, systemFetch, systemRandom } from '../../src/ports.ts';
import { openStores } from '../../src/storage/open.ts';
import { PostgresServer } from '../servers/postgres.ts';
import { temporaryFolder } from '../support/folder.ts';
import { aRecord, NOW, secondsAfter } from '../support/record.ts';
import { runWorker } from './support/workers.ts';

const ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
const PROCESSES_TIMEOUT_MS = 180_000;
const DUE = 10_000;

let server: PostgresServer;
let folder: ReturnType<typeof temporaryFolder>;
beforeAll(async () => {
  server = await PostgresServer.start();
}, 60_000);
afterAll(() => server.stop());
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.dispose();
});

// A claim passes all that was claimed before it, and nothing is given back here: with small helpings SQLite does little else.
describe.each<[string, number, () => string]>([
  ['SQLite', 200, () => join(folder.path, 'c.db')],
  ['PostgreSQL', 50, () => server.freshUrl()],
])('several processes on one %s database', (_driver, limit, databaseOf) => {
  it(
    'lose none of two times 1,000 additions to one record',
    async () => {
      const database = databaseOf();
      const { records } = await openStores(database, ports);
      await records.insert(aRecord({ config: { count: 0 } }), []);
      const job = { job: 'increment', database, id: aRecord().id, times: 1_000 };
      await Promise.all([runWorker(job), runWorker(job)]);
      expect(await records.get(aRecord().id)).toMatchObject({ config: { count: 2_000 }, revision: 2_001 });
      await records.close();
    },
    PROCESSES_TIMEOUT_MS,
  );

  it(
    'claim each of 10,000 due records once among four',
    async () => {
      const database = databaseOf();
      const { records } = await openStores(database, ports);
      const id = (index: number): string => `cr_${String(index).padStart(5, '0')}`;
      for (let start = 0; start < DUE; start += 100) {
        const batch = Array.from({ length: 100 }, (_, index) => start + index);
        await Promise.all(
          batch.map((index) =>
            records.insert(aRecord({ id: id(index), refreshDueAt: secondsAfter(NOW, -(index % 97)) }), []),
          ),
        );
      }
      const job = { job: 'claimDue', database, now: NOW.toISOString(), limit };
      const workers = await Promise.all(['a', 'b', 'c', 'd'].map((owner) => runWorker({ ...job, owner })));
      const claimed = workers.map((lines) => lines.flatMap((line) => line['claimed'] as string[]));
      expect(claimed.flat()).toHaveLength(DUE);
      expect(new Set(claimed.flat()).size).toBe(DUE);
      expect(claimed.every((ids) => ids.length > 0)).toBe(true);
      await records.close();
    },
    PROCESSES_TIMEOUT_MS,
  );

  it(
    'found a new database at the same time, and all of them work',
    async () => {
      const database = databaseOf();
      const job = { job: 'claimDue', database, now: NOW.toISOString(), limit: 1, owner: 'a' };
      expect(await Promise.all(Array.from({ length: 6 }, () => runWorker(job)))).toEqual([[], [], [], [], [], []]);
    },
    PROCESSES_TIMEOUT_MS,
  );
});
