import type { Ports } from '../ports.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { PostgresRecordStore } from './postgres-records.ts';
import { PostgresSecretStore } from './postgres-secrets.ts';
import type { Stores } from './stores.ts';

/**
 * Opens records and secrets in PostgreSQL (12 or newer), founding the schema when it is missing. See `PostgresDatabase.open`
 * for the URL. Many processes on many hosts may share one database; leases run on its clock.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_STORE_DRIVER_MISSING`
 * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_SCHEMA_TOO_NEW`
 */
export async function openPostgres(url: string, ports: Pick<Ports, 'clock' | 'random' | 'logger'>): Promise<Stores> {
  const database = await PostgresDatabase.open(url, ports);
  return {
    records: new PostgresRecordStore(database, ports.clock),
    secrets: new PostgresSecretStore(database),
    backup: null,
  };
}
