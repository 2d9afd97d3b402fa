import type * as Postgres from 'pg';
import type { Pool, PoolClient, PoolConfig, QueryResultRow } from 'pg';
import { ConfigurationError, StorageError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { isConflict, translate, translated } from './postgres-errors.ts';
import { migratePostgres } from './postgres-schema.ts';
import { PostgresSession } from './postgres-session.ts';
import { parsePostgresUrl, type PostgresUrl } from './postgres-url.ts';
import { isStorable } from './texts.ts';

export type Parameter = string | number | boolean | Buffer | null | readonly string[];

/** Statements on one connection. */
export interface PostgresTransaction {
  /** Reads. A parameter that PostgreSQL cannot hold (NUL) equals nothing that is stored: no rows. */
  find<Row extends QueryResultRow>(sql: string, parameters: readonly Parameter[]): Promise<Row[]>;
  /** Writes. Returns the number of rows. @throws ConfigurationError `ERR_CONFIG_MALFORMED` for a text with NUL */
  run(sql: string, parameters?: readonly Parameter[]): Promise<number>;
}

/** Statements of one transaction. */
export interface OpenTransaction extends PostgresTransaction {
  /**
   * Constant statements for the end, sent in one message with the commit: a process that is stopped in the middle of its
   * transaction does not hold the locks that they take. They announce the write (`announcement`).
   */
  atCommit(sql: string): void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/**
 * A process that was stopped in the middle of a transaction must not hold up the others: the server ends its session. Stopped ones
 * that wait for the same lock would each take it in turn and hold it as long, so their waiting ends too.
 */
const STALLED_TRANSACTION_MS = 3_000;
const LOCK_TIMEOUT_MS = 5_000;
const POOL_SIZE = 10;
/** A conflict with others is tried again, each time with new locks. */
const TRANSACTION_TRIES = 3;

/** A server that is set to forget its last commits would forget that a token was spent. */
const DURABLY = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`;

type Library = typeof Postgres;

/**
 * A pool of connections to one schema of a PostgreSQL database, and a connection that listens for writes of other processes.
 * Connections that break are replaced by the next call; a call that was under way fails with `ERR_STORE_UNAVAILABLE`, and
 * whether it took effect is for the caller to read.
 */
export class PostgresDatabase implements PostgresTransaction {
  /** Host, port and database, for messages. */
  readonly place: string;
  readonly schema: string;
  readonly session: PostgresSession;
  readonly #pool: Pool;
  readonly #ports: Pick<Ports, 'clock' | 'random' | 'logger'>;
  /** Tells our own notifications from those of others. */
  readonly #self: string;
  #closed = false;

  private constructor(library: Library, url: PostgresUrl, ports: Pick<Ports, 'clock' | 'random' | 'logger'>) {
    this.place = url.place;
    this.schema = url.schema;
    this.#ports = ports;
    this.#self = ports.random.bytes(8).toString('hex');
    const config: PoolConfig = {
      connectionString: url.connectionString,
      application_name: 'credlife',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: STALLED_TRANSACTION_MS,
      options: `-c search_path=${url.schema} -c lock_timeout=${String(LOCK_TIMEOUT_MS)}`,
      keepAlive: true,
    };
    this.#pool = new library.Pool({ ...config, max: POOL_SIZE });
    this.session = new PostgresSession({
      ...{ connect: () => new library.Client(config), channel: this.#channel, self: this.#self },
      ...{ schema: url.schema, place: url.place, ports },
    });
    // The call that was under way hears of it by its own promise; unheard, the event would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
    // An idle connection that breaks is no error of anybody's call.
    this.#pool.on('error', (error) => {
      this.#ports.logger.warn({ place: this.place, code: codeOf(error) }, 'An idle database connection was lost.');
    });
  }

  /**
   * Connects, founds or updates the schema and starts to listen. The URL is libpq's, with `sslmode` and `sslrootcert` for TLS;
   * `schema` names the schema (default `credlife`).
   *
   * @example await PostgresDatabase.open('postgres://app:pw@db.example/app?sslmode=verify-full', ports)
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_STORE_DRIVER_MISSING`
   * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_SCHEMA_TOO_NEW`
   */
  static async open(url: string, ports: Pick<Ports, 'clock' | 'random' | 'logger'>): Promise<PostgresDatabase> {
    const parsed = parsePostgresUrl(url);
    const database = new PostgresDatabase(await loadLibrary(), parsed, ports);
    try {
      await database.#requireFit();
      await migratePostgres(database);
      await database.session.open();
      return database;
    } catch (error) {
      await database.close();
      throw translate(database.place, error);
    }
  }

  async find<Row extends QueryResultRow>(sql: string, parameters: readonly Parameter[]): Promise<Row[]> {
    return translated(this.place, () => findOn<Row>(this.#pool, sql, parameters));
  }

  async run(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    return translated(this.place, () => runOn(this.#pool, sql, parameters));
  }

  /**
   * Writes by one statement, which is a transaction of its own: a process that is stopped meanwhile holds up nobody. It is
   * durable, and is tried again like a transaction.
   *
   * @param ctes of the statement, comma-separated
   * @param end the rest of it; it returns a row for each row that was written
   */
  async runAtOnce(ctes: string, end: string, parameters: readonly Parameter[]): Promise<number> {
    const sql = `WITH durable AS MATERIALIZED (${DURABLY}), ${ctes} ${end}`;
    return this.#untilSettled(() => this.#announced(() => runOn(this.#pool, sql, parameters)));
  }

  /**
   * Writes one statement without waiting for the disk: for what nobody misses when the server forgets it in a crash of its own. Other
   * processes see it at once.
   */
  async runLightly(sql: string, parameters: readonly Parameter[]): Promise<number> {
    const light = `WITH light AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)) ${sql}`;
    return this.run(`${light} AND EXISTS (SELECT FROM light)`, parameters);
  }

  /**
   * Runs `work` on one connection and commits it durably; rolls everything back when it throws. What lost to another transaction
   * (a deadlock, a lock that was held too long) was rolled back by the server and is run anew, so `work` only reads and writes `tx`.
   */
  async transaction<T>(work: (tx: OpenTransaction) => Promise<T>): Promise<T> {
    return this.#untilSettled(() => this.#transactOnce(work));
  }

  /** Tells other processes that something was written, once that is committed. Both names are ours and need no quotation. */
  get announcement(): string {
    return `pg_notify('${this.#channel}', '${this.#self}')`;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.session.close();
    await this.#pool.end();
  }

  async #untilSettled<T>(transact: () => Promise<T>): Promise<T> {
    return translated(this.place, async () => {
      for (let tries = 1; ; tries += 1) {
        try {
          return await transact();
        } catch (error) {
          if (tries === TRANSACTION_TRIES || !isConflict(error)) throw error;
        }
      }
    });
  }

  /** Afterwards, whoever read before the commit must read again; also when nobody knows whether it came to that. */
  async #announced<T>(commit: () => Promise<T>): Promise<T> {
    try {
      return await commit();
    } finally {
      this.session.written();
    }
  }

  async #transactOnce<T>(work: (tx: OpenTransaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      await client.query(`BEGIN; ${DURABLY}`);
      const ending: string[] = [];
      const result = await work({
        find: (sql, parameters) => findOn(client, sql, parameters),
        run: (sql, parameters) => runOn(client, sql, parameters),
        atCommit: (sql) => ending.push(sql),
      });
      const commit = (): Promise<unknown> => client.query([...ending, 'COMMIT'].join(';\n'));
      await (ending.length > 0 ? this.#announced(commit) : commit());
      client.release();
      return result;
    } catch (error) {
      await rollBack(client);
      throw error;
    }
  }

  get #channel(): string {
    return `credlife_${this.schema}`;
  }

  async #requireFit(): Promise<void> {
    const [row] = await this.find<{ encoding: string }>(`SELECT current_setting('server_encoding') AS encoding`, []);
    if (row?.encoding === 'UTF8') return;
    throw new StorageError('ERR_STORE_UNAVAILABLE', `The database ${this.place} is not in the encoding UTF8.`);
  }
}

async function findOn<Row extends QueryResultRow>(
  connection: Pool | PoolClient,
  sql: string,
  parameters: readonly Parameter[],
): Promise<Row[]> {
  if (!parameters.every(isHoldable)) return [];
  return (await connection.query<Row>(sql, [...parameters])).rows;
}

async function runOn(
  connection: Pool | PoolClient,
  sql: string,
  parameters: readonly Parameter[] = [],
): Promise<number> {
  if (!parameters.every(isHoldable)) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'A text holds NUL or half a character.');
  }
  return (await connection.query(sql, [...parameters])).rowCount ?? 0;
}

function isHoldable(parameter: Parameter): boolean {
  if (typeof parameter === 'string') return isStorable(parameter);
  return !Array.isArray(parameter) || parameter.every(isStorable);
}

async function rollBack(client: PoolClient): Promise<void> {
  try {
    await client.query('ROLLBACK');
    client.release();
  } catch {
    // The connection is gone, and its transaction with it.
    client.release(true);
  }
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

async function loadLibrary(): Promise<Library> {
  try {
    return (await import('pg')).default;
  } catch {
    throw new ConfigurationError(
      'ERR_STORE_DRIVER_MISSING',
      'A PostgreSQL database needs the package "pg", which is not installed.',
    );
  }
}
