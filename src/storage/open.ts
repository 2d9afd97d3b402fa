import type { Ports } from '../ports.ts';
import { driverOf } from './location.ts';
import { openMemory } from './memory.ts';
import { openPostgres } from './postgres.ts';
import { openSqlite } from './sqlite.ts';
import type { Stores } from './stores.ts';

/**
 * Opens the stores that a setting names: `'memory'`, a `postgres://` URL, or the path of a SQLite file.
 *
 * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_SCHEMA_TOO_NEW`
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_STORE_DRIVER_MISSING`
 */
export async function openStores(database: string, ports: Ports): Promise<Stores> {
  const driver = driverOf(database);
  if (driver === 'memory') return openMemory(ports.clock);
  return driver === 'postgres' ? openPostgres(database, ports) : openSqlite(database, ports.clock);
}
