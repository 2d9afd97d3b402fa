import type { Ports } from '../ports.ts';
import { driverOf } from '../storage/location.ts';
import type { LeaseStore } from './lease.ts';
import { MemoryLeases } from './memory.ts';
import { PostgresLeases } from './postgres.ts';
import { RedisLeases } from './redis.ts';
import { SqliteLeases } from './sqlite.ts';

/**
 * Opens the leases of `'memory'`, a SQLite file, a `postgres://` database or a `redis://` server.
 *
 * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_SCHEMA_TOO_NEW`
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_STORE_DRIVER_MISSING`
 */
export async function openLeases(
  place: string,
  ports: Pick<Ports, 'clock' | 'random' | 'logger'>,
): Promise<LeaseStore> {
  if (/^rediss?:/i.test(place)) return RedisLeases.open(place, ports);
  const driver = driverOf(place);
  if (driver === 'memory') return new MemoryLeases(ports);
  return driver === 'postgres' ? PostgresLeases.open(place, ports) : SqliteLeases.open(place, ports);
}
