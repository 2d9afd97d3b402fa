import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { StorageError } from '../errors.ts';
import { translated, translatedAsync } from './sqlite-errors.ts';

const PAGES_PER_STEP = 1_000;
const MOST_RESTARTS = 3;
const ALL_PAGES = 2 ** 31 - 1;

/** Writes a consistent copy of a running database, as sealed as the database itself. */
export type Backup = (file: string) => Promise<void>;

/**
 * Copies the database with SQLite's backup API, while this and other processes write. The copy appears under its name when
 * it is whole and on the disk; it has mode 0600.
 *
 * @throws StorageError `ERR_STORE_EXISTS`, `ERR_STORE_UNAVAILABLE`
 */
export async function backupSqlite(db: Database.Database, file: string): Promise<void> {
  if (existsSync(file)) throw new StorageError('ERR_STORE_EXISTS', `The file ${file} exists.`);
  const partial = `${file}.partial`;
  await translatedAsync(file, async () => {
    try {
      // Made by us, so that nobody else may read it from the first byte on.
      closeSync(openSync(partial, 'wx', 0o600));
      await db.backup(partial, { progress: pacing() });
      closeJournal(partial);
      syncPath(partial);
      renameSync(partial, file);
      syncPath(dirname(file));
    } finally {
      rmSync(partial, { force: true });
    }
  });
}

/**
 * Some pages at a time, so that the process goes on with its other work. A write of another process makes SQLite start over;
 * after a few of those the rest goes in one step, which nobody can disturb.
 */
function pacing(): (info: { totalPages: number; remainingPages: number }) => number {
  let lowest = Infinity;
  let restarts = 0;
  return ({ remainingPages }) => {
    if (remainingPages > lowest) restarts += 1;
    lowest = restarts > 0 && remainingPages > lowest ? Infinity : Math.min(lowest, remainingPages);
    return restarts >= MOST_RESTARTS ? ALL_PAGES : PAGES_PER_STEP;
  };
}

/** A copy of a database in WAL mode would get companion files when it is opened; a backup is one file. */
function closeJournal(file: string): void {
  const copy = new Database(file);
  try {
    copy.pragma('journal_mode = DELETE');
  } finally {
    copy.close();
  }
}

/** Until its folder is on the disk too, a new name may be lost. */
export function syncPath(path: string): void {
  translated(path, () => {
    const handle = openSync(path, 'r');
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  });
}
