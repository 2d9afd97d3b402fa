import { copyFileSync, existsSync, linkSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { isCredentialError, StorageError } from '../errors.ts';
import { syncPath } from './sqlite-backup.ts';
import { translated } from './sqlite-errors.ts';
import { RESTORED_AT } from './sqlite-records.ts';
import { requireOurs } from './sqlite-schema.ts';

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
  /** The store that was replaced; `null` when there was none, or none that could be read. */
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
  const present = existsSync(to);
  const replaced = present ? inspectReplaced(to) : null;
  const older = replaced !== null && isOlder(backup, replaced);
  if (present && !force) throw exists(to, replaced === null ? null : older);
  return translated(to, () => {
    const fresh = `${to}.restoring`;
    try {
      copyFileSync(from, fresh);
      markRestored(fresh, backup);
      syncPath(fresh);
      const kept = present ? setAside(to) : null;
      // What a deleted or damaged database left behind would be played into the new one.
      for (const journal of JOURNALS) rmSync(`${to}${journal}`, { force: true });
      renameSync(fresh, to);
      syncPath(dirname(to));
      return { backup, replaced, older, kept };
    } finally {
      rmSync(fresh, { force: true });
    }
  });
}

const JOURNALS = ['-wal', '-shm'] as const;

/** A grant that was refreshed after the backup is refused later: then the engine knows why. */
function markRestored(path: string, { lastWriteAt }: StoreAge): void {
  if (lastWriteAt === null) return;
  const db = new Database(path);
  try {
    db.pragma('journal_mode = DELETE');
    db.prepare('INSERT OR REPLACE INTO meta VALUES (?, ?)').run(RESTORED_AT, lastWriteAt.toISOString());
  } finally {
    db.close();
  }
}

/** Keeps the database under another name, with the journal that a damaged one may have left. */
function setAside(path: string): string {
  endJournal(path);
  const kept = `${path}.replaced`;
  for (const part of ['', ...JOURNALS]) {
    rmSync(`${kept}${part}`, { force: true });
    // A second name, not another: at no instant is there no database.
    if (existsSync(`${path}${part}`)) linkSync(`${path}${part}`, `${kept}${part}`);
  }
  return kept;
}

/** Plays the journal in and removes it, which fails while anybody has the database open. */
function endJournal(path: string): void {
  const db = new Database(path, { timeout: 0 });
  try {
    db.pragma('journal_mode = DELETE');
  } catch (error) {
    const code = Error.isError(error) && 'code' in error ? String(error.code) : '';
    if (code === 'SQLITE_BUSY') {
      throw new StorageError('ERR_STORE_IN_USE', `The database ${path} is open in another process.`);
    }
    if (!isDamage(code)) throw error;
  } finally {
    db.close();
  }
}

function isDamage(code: string): boolean {
  return code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT');
}

/** `null` for a damaged database: replacing that is what backups are for. */
function inspectReplaced(path: string): StoreAge | null {
  try {
    return inspect(path);
  } catch (error) {
    if (isCredentialError(error) && error.code === 'ERR_STORE_CORRUPT') return null;
    throw error;
  }
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

function exists(path: string, older: boolean | null): StorageError {
  const which = older === true ? 'The backup is older than' : 'The backup is not older than';
  const comparison = older === null ? 'It is damaged.' : `${which} the database that it would replace.`;
  return new StorageError('ERR_STORE_EXISTS', `There is a database at ${path}. ${comparison}`);
}
