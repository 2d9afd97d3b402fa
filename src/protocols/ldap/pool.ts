import { isCredentialError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import type { LdapConnection } from './connection.ts';
import { FairGate } from './gate.ts';

export interface PoolLimits {
  readonly maxConnections: number;
  /** How long who needs a connection waits for one. */
  readonly acquireTimeoutMs: number;
  /** After this long without use a connection is proven before it is handed out. */
  readonly idleCheckAfterMs: number;
  /** After this long without use a connection is ended. */
  readonly idleTimeoutMs: number;
  readonly maxAgeMs: number;
}

export interface PoolOptions {
  readonly host: string;
  readonly limits: PoolLimits;
  readonly clock: Clock;
  /** Opens a connection and binds it as the account: the pool never sees one that is not bound. */
  readonly open: (signal: AbortSignal) => Promise<LdapConnection>;
  /** Proves that a connection is alive and still bound as the account; throws otherwise. */
  readonly prove: (connection: LdapConnection, signal: AbortSignal) => Promise<void>;
}

interface Idle {
  readonly connection: LdapConnection;
  readonly sinceMs: number;
}

/**
 * Connections that are bound as one account: at most so many, handed out first come, first served. There are libraries for
 * pools, but none has what matters here: a connection is never mended, only replaced, so that no request can slip in between
 * a new connection and its bind.
 */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #gate: FairGate;
  #idle: Idle[] = [];
  #cancelSweep: (() => void) | null = null;
  #isClosed = false;

  constructor(options: PoolOptions) {
    const { host, clock, limits } = options;
    this.#options = options;
    this.#gate = new FairGate({ host, clock, places: limits.maxConnections, waitMs: limits.acquireTimeoutMs });
  }

  /** Connections that are open or being opened. Whoever is inside has one; the idle ones never make it more than the most. */
  get size(): number {
    return this.#gate.inside + this.#idle.length;
  }

  get waiting(): number {
    return this.#gate.waiting;
  }

  /**
   * Asks something over a connection that nobody else has meanwhile. A question that finds its kept connection dead is asked
   * once more, over a new one: so a task must do no harm when it runs twice.
   *
   * @throws TransientError `ERR_LDAP_POOL_EXHAUSTED`
   */
  async run<T>(task: (connection: LdapConnection) => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#gate.run(async () => {
      const kept = await this.#kept(signal);
      if (kept !== null) {
        try {
          return await this.#with(kept, task);
        } catch (error) {
          if (!isLost(error)) throw error;
        }
      }
      return this.#with(await this.#options.open(signal), task);
    }, signal);
  }

  /** Takes a bound connection over while there is room for it. `leaving` of those inside are about to go. */
  adopt(connection: LdapConnection, leaving = 0): void {
    const hasRoom = this.size - leaving < this.#options.limits.maxConnections;
    if (this.#isClosed || !hasRoom || !connection.isOpen || this.#isOld(connection)) {
      connection.close();
      return;
    }
    connection.keepAlive(false);
    this.#idle.push({ connection, sinceMs: this.#nowMs() });
    this.#sweepLater();
  }

  /** Ends idle connections at once, and those in use when they come back. */
  close(): void {
    this.#isClosed = true;
    this.#cancelSweep?.();
    for (const { connection } of this.#idle) connection.close();
    this.#idle = [];
  }

  async #with<T>(connection: LdapConnection, task: (connection: LdapConnection) => Promise<T>): Promise<T> {
    try {
      return await task(connection);
    } finally {
      this.adopt(connection, 1);
    }
  }

  /** The youngest connection that is still good. Those found dead or too old on the way are ended. */
  async #kept(signal: AbortSignal): Promise<LdapConnection | null> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle === undefined) return null;
      const { connection, sinceMs } = idle;
      if (connection.isOpen && !this.#isOld(connection) && (await this.#isProven(connection, sinceMs, signal))) {
        connection.keepAlive(true);
        return connection;
      }
      connection.close();
    }
  }

  async #isProven(connection: LdapConnection, sinceMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#nowMs() - sinceMs < this.#options.limits.idleCheckAfterMs) return true;
    try {
      await this.#options.prove(connection, signal);
      return true;
    } catch {
      signal.throwIfAborted();
      return false;
    }
  }

  #isOld(connection: LdapConnection): boolean {
    return this.#nowMs() - connection.openedAtMs >= this.#options.limits.maxAgeMs;
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#options.clock.schedule(this.#options.limits.idleTimeoutMs, () => {
      this.#cancelSweep = null;
      const endsBeforeMs = this.#nowMs() - this.#options.limits.idleTimeoutMs;
      for (const { connection, sinceMs } of this.#idle) if (sinceMs <= endsBeforeMs) connection.close();
      this.#idle = this.#idle.filter(({ connection }) => connection.isOpen);
      if (this.#idle.length > 0) this.#sweepLater();
    });
  }

  #nowMs(): number {
    return this.#options.clock.hostTime().ms;
  }
}

function isLost(error: unknown): boolean {
  return isCredentialError(error) && error.code === 'ERR_ENDPOINT_CONNECTION_LOST';
}
