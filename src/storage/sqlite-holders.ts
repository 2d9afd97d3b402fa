import { closeSync, existsSync, openSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Database from 'better-sqlite3';

/** Names a file of its own for each holder, beside the database. */
const MARK = '-holder-';
const OWNER = /^[A-Za-z0-9_-]{1,64}$/;
/** How long a look at the file of another process may keep a new holder waiting, and how often it then begins anew. */
const APPEAR_TIMEOUT_MS = 500;
const APPEAR_TRIES = 3;
/** Owners of this process, whichever copy of this module opened them. */
const OF_THIS_PROCESS = Symbol.for('n8n-nodes-credential-lifecycle/sqlite-holders');

/**
 * Tells which holders of claims have died. Each process keeps a small file locked for as long as it lives, and the operating
 * system unlocks it at its death, however that comes: nobody need wait for the leases of the dead. It never says that a living
 * holder is dead; where it knows nothing (no file, a folder that takes none), the lease decides.
 */
export class SqliteHolders {
  readonly #path: string;
  /** What keeps the file of each owner locked: an open transaction. */
  readonly #held = new Map<string, Database.Database | null>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Before the first claim of `owner`. */
  appear(owner: string): void {
    if (this.#held.has(owner)) return;
    ownersOfThisProcess().add(owner);
    this.#held.set(owner, null);
    if (!OWNER.test(owner)) return;
    try {
      this.#held.set(owner, lockedFile(this.#fileOf(owner)));
      this.#sweep();
    } catch {
      // A folder that takes no file: its leases run out by themselves.
    }
  }

  /** Calls `release` when the owner has died, and forgets it then. */
  async ifDead(owner: string, release: () => Promise<void>): Promise<void> {
    const file = this.#fileOf(owner);
    // A second copy of SQLite in this process would not see the lock of the first, and would even end it.
    if (!OWNER.test(owner) || ownersOfThisProcess().has(owner) || !existsSync(file)) return;
    const lock = tryLock(file, 0);
    if (lock === null) return;
    try {
      await release();
      // While it is locked: an owner that has only just created it begins anew.
      rmSync(file, { force: true });
    } finally {
      lock.close();
    }
  }

  close(): void {
    for (const [owner, lock] of this.#held) {
      ownersOfThisProcess().delete(owner);
      if (lock === null) continue;
      rmSync(this.#fileOf(owner), { force: true });
      lock.close();
    }
    this.#held.clear();
  }

  /** Removes the files of those who died with nothing in hand. */
  #sweep(): void {
    const prefix = `${basename(this.#path)}${MARK}`;
    for (const name of readdirSync(dirname(this.#path))) {
      const owner = name.slice(prefix.length);
      if (!name.startsWith(prefix) || !OWNER.test(owner) || ownersOfThisProcess().has(owner)) continue;
      const file = join(dirname(this.#path), name);
      const lock = tryLock(file, 0);
      if (lock === null) continue;
      rmSync(file, { force: true });
      lock.close();
    }
  }

  #fileOf(owner: string): string {
    return `${this.#path}${MARK}${owner}`;
  }
}

/** Somebody's look may come between creation and lock, and take the file away. */
function lockedFile(file: string): Database.Database | null {
  for (let tries = 1; tries <= APPEAR_TRIES; tries += 1) {
    closeSync(openSync(file, 'a', 0o600));
    const lock = tryLock(file, APPEAR_TIMEOUT_MS);
    if (lock !== null && existsSync(file)) return lock;
    lock?.close();
  }
  return null;
}

/** A connection that has the file for itself; `null` when another has. Nothing is written to the file. */
function tryLock(file: string, timeout: number): Database.Database | null {
  let db: Database.Database | null = null;
  try {
    db = new Database(file, { fileMustExist: true, timeout });
    // Nothing is written, so nothing need be taken back: no journal file beside it.
    db.pragma('journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch {
    db?.close();
    return null;
  }
}

function ownersOfThisProcess(): Set<unknown> {
  const present: unknown = Reflect.get(globalThis, OF_THIS_PROCESS);
  if (present instanceof Set) return present as Set<unknown>;
  const owners = new Set<unknown>();
  Reflect.set(globalThis, OF_THIS_PROCESS, owners);
  return owners;
}
