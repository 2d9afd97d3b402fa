import type { Client } from 'pg';
import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { translate } from './postgres-errors.ts';

/** What a holder's lock is named by, beside its owner: any number; it only has to be the same in every process. */
export const HOLDER_LOCK = 7_236_004;
/** A first try at once: until the session is back, a living holder is told from a dead one by the renewals of its claims alone. */
const REOPEN_MS = [0, 1_000] as const;

export interface SessionOptions {
  readonly connect: () => Client;
  /** The channel on which writes are announced, and how our own announcements are told from those of others. */
  readonly channel: string;
  readonly self: string;
  readonly schema: string;
  /** Host, port and database, for messages. */
  readonly place: string;
  readonly ports: Pick<Ports, 'clock' | 'logger'>;
}

/**
 * The one connection that lives as long as its process: it hears of writes of other processes, and what it has locked is free at
 * once when the process dies. A connection that breaks is replaced.
 */
export class PostgresSession {
  readonly #options: SessionOptions;
  /** Whose claims this process holds, and whether the connection of now has locked their names. */
  readonly #owners = new Map<string, boolean>();
  #client: Client | null = null;
  #cancelReopen: (() => void) | null = null;
  #tries = 0;
  #mark = 0;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { channel, self, connect } = this.#options;
    const client = connect();
    const lose = (): void => {
      this.#lose(client);
    };
    client.on('error', lose);
    client.on('end', lose);
    client.on('notification', ({ payload }) => {
      if (payload !== self) this.#mark += 1;
    });
    await client.connect();
    await client.query(`LISTEN "${channel}"`);
    // What was written before the first notification could be heard counts as a change.
    this.#mark += 1;
    if (this.#isClosed()) {
      await client.end();
      return;
    }
    this.#client = client;
    this.#tries = 0;
    for (const owner of this.#owners.keys()) await this.#lock(client, owner);
  }

  /** Changes when another process has told of a write, when `written` was called, and at every call while nothing can be heard. */
  changeMark(): number {
    if (this.#client === null) this.#mark += 1;
    return this.#mark;
  }

  written(): void {
    this.#mark += 1;
  }

  /** Locks the name of an owner of claims for as long as this process lives. */
  async hold(owner: string): Promise<void> {
    if (this.#owners.has(owner)) return;
    this.#owners.set(owner, false);
    if (this.#client) await this.#lock(this.#client, owner);
  }

  /** Whether the server would notice the death of this owner. */
  isHeld(owner: string): boolean {
    return this.#client !== null && this.#owners.get(owner) === true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelReopen?.();
    const client = this.#client;
    this.#client = null;
    await client?.end().catch(() => undefined);
  }

  /** Shared: the connection before this one may still hold it in the eyes of the server. */
  async #lock(client: Client, owner: string): Promise<void> {
    const name = lockName(this.#options.schema, owner);
    try {
      await client.query('SELECT pg_advisory_lock_shared($1, hashtext($2))', [HOLDER_LOCK, name]);
      this.#owners.set(owner, this.#client === client);
    } catch {
      // The connection is gone, and the next one takes the lock; without it a claim lasts as long as its lease.
    }
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #lose(client: Client): void {
    if (this.#closed || (this.#client !== client && this.#client !== null)) return;
    this.#client = null;
    for (const owner of this.#owners.keys()) this.#owners.set(owner, false);
    this.#reopen();
  }

  #reopen(): void {
    const { ports, place } = this.#options;
    const [first, later] = REOPEN_MS;
    this.#cancelReopen?.();
    this.#cancelReopen = ports.clock.schedule(this.#tries === 0 ? first : later, () => {
      if (this.#closed) return;
      this.#tries += 1;
      this.open().catch((error: unknown) => {
        const { code } = toCredentialError(translate(place, error));
        ports.logger.warn({ place, code }, 'Changes of other processes cannot be heard; trying again.');
        if (!this.#closed) this.#reopen();
      });
    });
  }
}

/** Owners of two schemas of one database are told apart. */
export function lockName(schema: string, owner: string): string {
  return `${schema}/${owner}`;
}
