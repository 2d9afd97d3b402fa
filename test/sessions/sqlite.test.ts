import { join } from 'node:path';
import { SqliteAuthRows } from '../../src/sessions/sqlite-rows.ts';
import { openSqliteDatabase } from '../../src/storage/sqlite.ts';
import { authStorageConformance } from '../conformance/auth-storage.ts';
import { temporaryFolder } from '../support/folder.ts';

authStorageConformance('SQLite', async () => {
  const folder = temporaryFolder();
  const rows = new SqliteAuthRows(openSqliteDatabase(join(folder.path, 'c.db')));
  const dispose = async (): Promise<void> => {
    await rows.close();
    folder.dispose();
  };
  return { rows, dispose };
});
