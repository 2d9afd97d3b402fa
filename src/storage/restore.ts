import { copyFileSync, existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { StorageError } from '../errors.ts';
import { syncPath } from './sqlite-backup.ts';
import { translated } from './sqlite-errors.ts';
import { requireOurs } from './sqlite.ts';

export interface RestoreOptions {
  /** A file that `engine.backup` wrote. */
  readonly from: string;
  /** The database to make or to replace. No process may have it open. */
  readonly to: string;
  /** Replaces a database that exists; default false. */
  readonly force?: boolean;
}

/** What a database says about its age, without its keys. */
export interface StoreAge {
  readonly records: number;
  /** When a record was written last; `null` when there is none. */
  readonly lastWriteAt: Date | null;
}

export interface Restored {
  readonly backup: StoreAge;
  /** The store that was replaced; `null` when there was none. */
  readonly replaced: StoreAge | null;
  /** Whether the backup is older than what it replaced: grants that were refreshed since then may be spent. */
  readonly older: boolean;
  /** The replaced database, kept beside the new one. */
  readonly kept: string | null;
}

/**
 * Puts a backup in the place of a database: whole or not at all, and never over a store that is in use.
 *
 * @throws StorageError `ERR_STORE_EXISTS` without `force` (the message says which of the two is older), `ERR_STORE_IN_USE`,
 *   `ERR_STORE_CORRUPT`, `ERR_STORE_FOREIGN`, `ERR_STORE_SCHEMA_TOO_NEW`, `ERR_STORE_UNAVAILABLE`
 */
export function restoreBackup({ from, to, force = false }: RestoreOptions): Restored {
  const backup = inspect(from);
  const replaced = existsSync(to) ? inspect(to) : null;
  const older = replaced !== null && isOlder(backup, replaced);
  if (replaced !== null && !force) throw exists(to, older);
  return translated(to, () => {
    const fresh = `${to}.restoring`;
    try {
      copyFileSync(from, fresh);
      syncPath(fresh);
      // What a deleted database left behind would be played into the new one.
      if (replaced === null) for (const journal of [`${to}-wal`, `${to}-shm`]) rmSync(journal, { force: true });
      const kept = replaced === null ? null : setAside(to);
      renameSync(fresh, to);
      syncPath(dirname(to));
      return { backup, replaced, older, kept };
    } finally {
      rmSync(fresh, { force: true });
    }
  });
}

/** Ends the database's journal files, which fails while anybody has it open, and keeps it under another name. */
function setAside(path: string): string {
  const db = new Database(path, { timeout: 0 });
  try {
    db.pragma('journal_mode = DELETE');
  } catch (error) {
    if (Error.isError(error) && 'code' in error && error.code === 'SQLITE_BUSY') {
      throw new StorageError('ERR_STORE_IN_USE', `The database ${path} is open in another process.`);
    }
    throw error;
  } finally {
    db.close();
  }
  const kept = `${path}.replaced`;
  rmSync(kept, { force: true });
  // A second name, not another: at no instant is there no database.
  linkSync(path, kept);
  return kept;
}

function inspect(path: string): StoreAge {
  return translated(path, () => {
    const db = new Database(path, { readonly: true, fileMustExist: true });
    try {
      requireIntact(db, path);
      const row = db
        .prepare<[], { records: number; last: string | null }>(
          `SELECT count(*) AS records, max(record ->> 'updatedAt') AS last FROM records`,
        )
        .get();
      return { records: row?.records ?? 0, lastWriteAt: row?.last == null ? null : new Date(row.last) };
    } finally {
      db.close();
    }
  });
}

function requireIntact(db: Database.Database, path: string): void {
  if (requireOurs(db, path) === 0 || db.pragma('quick_check', { simple: true }) !== 'ok') {
    throw new StorageError('ERR_STORE_CORRUPT', `The file ${path} is not an intact database of credentials.`);
  }
}

function isOlder(backup: StoreAge, replaced: StoreAge): boolean {
  return (backup.lastWriteAt?.getTime() ?? 0) < (replaced.lastWriteAt?.getTime() ?? 0);
}

function exists(path: string, older: boolean): StorageError {
  const which = older ? 'The backup is older than the database' : 'The backup is not older than the database';
  return new StorageError('ERR_STORE_EXISTS', `There is a database at ${path}. ${which} that it would replace.`);
}
