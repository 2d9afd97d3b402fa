import { PostgresLeases } from '../../src/lease/postgres.ts';
import { silentLogger, systemClock, systemRandom } from '../../src/ports.ts';
import { leaseConformance } from '../conformance/lease.ts';
import { PostgresServer } from '../servers/postgres.ts';

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };

let server: PostgresServer;
beforeAll(async () => {
  server = await PostgresServer.start();
}, 60_000);
afterAll(() => server.stop());

leaseConformance('PostgreSQL', async () => {
  const url = server.freshUrl();
  const schema = new URL(url).searchParams.get('schema') ?? '';
  const leases = await PostgresLeases.open(url, ports);
  // They run on the server's clock: time passes for them when their ends are moved.
  const advance = (ms: number) =>
    server.query(`UPDATE leases SET until = until - ${String(ms)} * interval '1 ms'`, schema);
  return { leases, advance, dispose: () => leases.close() };
});
