import type { Ports } from '../ports.ts';
import { driverOf } from '../storage/location.ts';
import { PostgresDatabase } from '../storage/postgres-database.ts';
import { openSqliteDatabase } from '../storage/sqlite.ts';
import { AuthStorage, type AuthStorageOptions } from './auth-storage.ts';
import { MemoryAuthRows } from './memory-rows.ts';
import { PostgresAuthRows } from './postgres-rows.ts';
import type { AuthRows } from './rows.ts';
import { SqliteAuthRows } from './sqlite-rows.ts';

/**
 * Opens the auth storage in `'memory'`, a SQLite file or a `postgres://` database, which may be that of the engine.
 *
 * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_SCHEMA_TOO_NEW`
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_STORE_DRIVER_MISSING`
 */
export async function openAuthStorage(
  database: string,
  options: Omit<AuthStorageOptions, 'rows' | 'ports'> & { readonly ports: Pick<Ports, 'clock' | 'random' | 'logger'> },
): Promise<AuthStorage> {
  return new AuthStorage({ ...options, rows: await openAuthRows(database, options.ports) });
}

async function openAuthRows(database: string, ports: Pick<Ports, 'clock' | 'random' | 'logger'>): Promise<AuthRows> {
  const driver = driverOf(database);
  if (driver === 'memory') return new MemoryAuthRows();
  if (driver === 'sqlite') return new SqliteAuthRows(openSqliteDatabase(database));
  return new PostgresAuthRows(await PostgresDatabase.open(database, ports));
}
