import { systemClock, systemRandom, silentLogger } from '../../src/ports.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import { recordStoreConformance } from '../conformance/record-store.ts';
import { secretStoreConformance } from '../conformance/secret-store.ts';
import { PostgresServer } from '../servers/postgres.ts';

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };

let server: PostgresServer;
beforeAll(async () => {
  server = await PostgresServer.start();
}, 60_000);
afterAll(() => server.stop());

async function inSchema() {
  const url = server.freshUrl();
  const schema = new URL(url).searchParams.get('schema') ?? '';
  const { records, secrets } = await openPostgres(url, ports);
  // Leases run on the server's clock: time passes for them when their ends are moved.
  const advance = async (ms: number): Promise<void> => {
    await server.query(`UPDATE records SET claim_until = claim_until - ${String(ms)} * interval '1 ms'`, schema);
  };
  return { store: records, secrets, clock: { advance }, dispose: () => records.close() };
}

recordStoreConformance('PostgreSQL', inSchema);
secretStoreConformance('PostgreSQL', async () => {
  const { secrets, dispose } = await inSchema();
  return { store: secrets, dispose };
});
