import type { CredentialRecord } from '../../../src/lifecycle/credential.ts';
import type { Clock } from '../../../src/ports.ts';
import type { RecordChange } from '../../../src/storage/record-store.ts';
import { openSqliteDatabase } from '../../../src/storage/sqlite.ts';
import { SqliteRecordStore } from '../../../src/storage/sqlite-records.ts';
import { SqliteSecretStore } from '../../../src/storage/sqlite-secrets.ts';
import type { Stores } from '../../../src/storage/stores.ts';

/** What happens once, at the next read or write of a record. */
export interface Interventions {
  beforeRead: (() => Promise<void>) | null;
  beforeWrite: (() => Promise<void>) | null;
}

/** SQLite, where another process can come in between what an engine reads and what it writes. */
class WatchedRecords extends SqliteRecordStore {
  interventions: Interventions = { beforeRead: null, beforeWrite: null };

  override async get(id: string): Promise<CredentialRecord | null> {
    const { beforeRead } = this.interventions;
    this.interventions.beforeRead = null;
    await beforeRead?.();
    return super.get(id);
  }

  override async compareAndSet(change: RecordChange): Promise<boolean> {
    const { beforeWrite } = this.interventions;
    this.interventions.beforeWrite = null;
    await beforeWrite?.();
    return super.compareAndSet(change);
  }
}

export function openWatched(path: string, clock: Clock, interventions: Interventions): Stores {
  const db = openSqliteDatabase(path);
  const records = new WatchedRecords(db, clock);
  records.interventions = interventions;
  return { records, secrets: new SqliteSecretStore(db, clock), backup: null };
}
