import type Database from 'better-sqlite3';
import { endOfTurn, type Clock } from '../ports.ts';
import { translated, translatedAsync } from './sqlite-errors.ts';
import { patiently } from './sqlite-patience.ts';

interface Write {
  readonly operation: () => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How one write of a transaction ended, before the transaction is durable. */
type Ending = { readonly result: unknown } | { readonly error: unknown };

/**
 * The writes of one connection. Those that are asked for in the same turn of the event loop share a transaction, and so one wait
 * for the disk: with synchronous=FULL that wait is most of what a write costs. Each has a savepoint of its own, so one that
 * fails takes nothing of the others with it, and each is answered when it is durable, not before.
 */
export class SqliteWriter {
  readonly #db: Database.Database;
  readonly #clock: Clock;
  #waiting: Write[] = [];
  #isWriting = false;

  constructor(db: Database.Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Runs `operation`, which must be synchronous, inside a transaction that has the write lock. Writes happen in the order of the calls. */
  write<T>(operation: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ operation, resolve: resolve as (result: unknown) => void, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  /** Writes what waits at once, without patience: the last moment of a process is synchronous. */
  flush(): void {
    const writes = this.#waiting;
    this.#waiting = [];
    if (writes.length === 0) return;
    try {
      answer(
        writes,
        translated(this.#db.name, () => this.#commit(writes)),
      );
    } catch (error) {
      for (const { reject } of writes) reject(error);
    }
  }

  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      await endOfTurn();
      const writes = this.#waiting;
      this.#waiting = [];
      if (writes.length > 0) await this.#writeTogether(writes);
    }
    this.#isWriting = false;
  }

  async #writeTogether(writes: readonly Write[]): Promise<void> {
    try {
      answer(writes, await translatedAsync(this.#db.name, () => patiently(this.#clock, () => this.#commit(writes))));
    } catch (error) {
      for (const { reject } of writes) reject(error);
    }
  }

  #commit(writes: readonly Write[]): Ending[] {
    return this.#db.transaction(() => writes.map(({ operation }) => this.#runOne(operation))).immediate();
  }

  #runOne(operation: () => unknown): Ending {
    try {
      return { result: translated(this.#db.name, () => this.#db.transaction(operation)()) };
    } catch (error) {
      // A full disk, for one, ends the whole transaction, with what came before in it.
      if (!this.#db.inTransaction) throw error;
      return { error };
    }
  }
}

function answer(writes: readonly Write[], endings: readonly Ending[]): void {
  for (const [index, { resolve, reject }] of writes.entries()) {
    const ending = endings[index];
    if (ending && 'result' in ending) resolve(ending.result);
    else reject(ending?.error);
  }
}
