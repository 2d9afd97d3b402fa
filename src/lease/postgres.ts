import type { Ports } from '../ports.ts';
import { PostgresDatabase } from '../storage/postgres-database.ts';
import type { Lease, LeaseStore } from './lease.ts';
import { newOwner, requireTerms } from './terms.ts';

const UNTIL = (parameter: string): string => `clock_timestamp() + ${parameter} * interval '1 millisecond'`;

/** Leases in PostgreSQL, for processes of many hosts; they run on the server's clock. */
export class PostgresLeases implements LeaseStore {
  readonly #database: PostgresDatabase;
  readonly #ports: Pick<Ports, 'random'>;

  constructor(database: PostgresDatabase, ports: Pick<Ports, 'random'>) {
    this.#database = database;
    this.#ports = ports;
  }

  /** See `PostgresDatabase.open` for the URL and the errors. */
  static async open(url: string, ports: Pick<Ports, 'clock' | 'random' | 'logger'>): Promise<PostgresLeases> {
    return new PostgresLeases(await PostgresDatabase.open(url, ports), ports);
  }

  async acquire(name: string, ttlMs: number): Promise<Lease | null> {
    requireTerms(name, ttlMs);
    const owner = newOwner(this.#ports.random);
    const [row] = await this.#database.find<{ fence: string }>(
      `INSERT INTO leases AS held (name, owner, fence, until) VALUES ($1, $2, 1, ${UNTIL('$3')})
       ON CONFLICT (name) DO UPDATE SET owner = $2, fence = held.fence + 1, until = ${UNTIL('$3')}
       WHERE held.owner IS NULL OR held.until <= clock_timestamp() RETURNING fence`,
      [name, owner, ttlMs],
    );
    return row ? { name, owner, fence: Number(row.fence) } : null;
  }

  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    requireTerms(lease.name, ttlMs);
    const sql = `UPDATE leases SET until = ${UNTIL('$3')}
      WHERE name = $1 AND owner = $2 AND until > clock_timestamp()`;
    return (await this.#database.run(sql, [lease.name, lease.owner, ttlMs])) === 1;
  }

  async release(lease: Lease): Promise<boolean> {
    const sql = 'UPDATE leases SET owner = NULL WHERE name = $1 AND owner = $2';
    return (await this.#database.run(sql, [lease.name, lease.owner])) === 1;
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}
