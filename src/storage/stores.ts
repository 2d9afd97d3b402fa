import { StorageError } from '../errors.ts';
import type { RecordStore } from './record-store.ts';
import type { SecretStore } from './secret-store.ts';
import type { Backup } from './sqlite-backup.ts';

/** Records and secrets of one engine. Closing the records closes both. */
export interface Stores {
  readonly records: RecordStore;
  readonly secrets: SecretStore;
  /** Writes a consistent copy while the engine runs; `null` where the database server has its own tools for that. */
  readonly backup: Backup | null;
}

/** @throws StorageError `ERR_STORE_BACKUP_UNSUPPORTED` */
export function backupOf({ backup }: Pick<Stores, 'backup'>): Backup {
  if (backup !== null) return backup;
  throw new StorageError('ERR_STORE_BACKUP_UNSUPPORTED', 'This store is backed up by its database server.');
}
