import type Database from 'better-sqlite3';
import type { Clock, RandomSource } from '../ports.ts';
import { openSqliteDatabase } from '../storage/sqlite.ts';
import { translated } from '../storage/sqlite-errors.ts';
import type { Lease, LeaseStore } from './lease.ts';
import { newOwner, requireTerms } from './terms.ts';

type Named = Record<string, string | number>;

/** Leases in a SQLite file, for the processes of one host; they run on its boot-time clock. */
export class SqliteLeases implements LeaseStore {
  readonly #db: Database.Database;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #acquire: Database.Statement<[Named], { fence: number }>;
  readonly #renew: Database.Statement<[Named]>;
  readonly #release: Database.Statement<[string, string]>;

  constructor(db: Database.Database, ports: { readonly clock: Clock; readonly random: RandomSource }) {
    this.#db = db;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#acquire = db.prepare(
      `INSERT INTO leases (name, owner, fence, epoch, until) VALUES (@name, @owner, 1, @epoch, @until)
       ON CONFLICT (name) DO UPDATE SET owner = @owner, fence = fence + 1, epoch = @epoch, until = @until
       WHERE owner IS NULL OR epoch <> @epoch OR until <= @now RETURNING fence`,
    );
    this.#renew = db.prepare(
      `UPDATE leases SET until = @until WHERE name = @name AND owner = @owner AND epoch = @epoch AND until > @now`,
    );
    this.#release = db.prepare('UPDATE leases SET owner = NULL WHERE name = ? AND owner = ?');
  }

  /** @throws StorageError as `openSqlite` does */
  static open(path: string, ports: { readonly clock: Clock; readonly random: RandomSource }): SqliteLeases {
    return new SqliteLeases(openSqliteDatabase(path), ports);
  }

  async acquire(name: string, ttlMs: number): Promise<Lease | null> {
    requireTerms(name, ttlMs);
    const owner = newOwner(this.#random);
    const { epoch, ms } = this.#clock.hostTime();
    const row = this.#run(() => this.#acquire.get({ name, owner, epoch, now: ms, until: ms + ttlMs }));
    return row ? { name, owner, fence: row.fence } : null;
  }

  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    requireTerms(lease.name, ttlMs);
    const { epoch, ms } = this.#clock.hostTime();
    const { name, owner } = lease;
    return this.#run(() => this.#renew.run({ name, owner, epoch, now: ms, until: ms + ttlMs }).changes === 1);
  }

  async release(lease: Lease): Promise<boolean> {
    return this.#run(() => this.#release.run(lease.name, lease.owner).changes === 1);
  }

  async close(): Promise<void> {
    this.#db.close();
  }

  #run<T>(operation: () => T): T {
    return translated(this.#db.name, operation);
  }
}
