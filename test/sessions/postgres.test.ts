import { silentLogger, systemClock, systemRandom } from '../../src/ports.ts';
import { PostgresAuthRows } from '../../src/sessions/postgres-rows.ts';
import { PostgresDatabase } from '../../src/storage/postgres-database.ts';
import { authStorageConformance } from '../conformance/auth-storage.ts';
import { PostgresServer } from '../servers/postgres.ts';

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };

let server: PostgresServer;
beforeAll(async () => {
  server = await PostgresServer.start();
}, 60_000);
afterAll(() => server.stop());

authStorageConformance('PostgreSQL', async () => {
  const rows = new PostgresAuthRows(await PostgresDatabase.open(server.freshUrl(), ports));
  return { rows, dispose: () => rows.close() };
});
