import type { Ports } from '../ports.ts';
import { instantText } from '../storage/texts.ts';
import type { AuthAudit, AuthEventType } from './audit.ts';
import type { AuthKind, AuthRow, AuthRows } from './rows.ts';

export interface StoreOptions {
  /** How long it may live from now on. Its own expiry wins when that is earlier. Default: that of the storage. */
  readonly ttlMs?: number;
}

export interface ShelfOptions {
  readonly rows: AuthRows;
  readonly ports: Pick<Ports, 'clock'>;
  readonly audit: AuthAudit;
  readonly defaultTtlMs: number | null;
}

/** What tokens, sessions and key-values have in common: ends, reads that find nothing expired, and deletes that are told once. */
export class Shelf {
  readonly #kind: AuthKind;
  readonly #options: ShelfOptions;
  readonly #expired: AuthEventType;

  constructor(kind: AuthKind, expired: AuthEventType, options: ShelfOptions) {
    this.#kind = kind;
    this.#expired = expired;
    this.#options = options;
  }

  now(): Date {
    return this.#options.ports.clock.now();
  }

  /** When an item that is stored now ends: the earlier of its time to live and its own expiry. */
  endOf({ ttlMs = this.#options.defaultTtlMs ?? undefined }: StoreOptions, ownExpiry: Date | null): Date | null {
    if (ttlMs !== undefined && !(Number.isInteger(ttlMs) && ttlMs > 0)) {
      throw new TypeError('Expected a time to live of at least 1 ms.');
    }
    if (ownExpiry !== null) instantText('expiresAt', ownExpiry);
    if (ttlMs === undefined) return ownExpiry;
    const end = new Date(this.now().getTime() + ttlMs);
    instantText('ttlMs', end);
    return ownExpiry !== null && ownExpiry < end ? ownExpiry : end;
  }

  async put(type: AuthEventType, row: AuthRow): Promise<void> {
    await this.#clearingExpired(row, () => this.#options.rows.put(row));
    this.#options.audit.tell(type, row);
  }

  async replace(row: AuthRow, expected: Buffer): Promise<boolean> {
    return this.#clearingExpired(row, () => this.#options.rows.replace(row, expected));
  }

  tell(type: AuthEventType, row: AuthRow): void {
    this.#options.audit.tell(type, row);
  }

  /** The row if it has not expired; an expired one is deleted with its index entries, and told as a read that failed. */
  async live(row: AuthRow | null): Promise<AuthRow | null> {
    if (row === null) return null;
    const now = this.now();
    if (row.expiresAt === null || row.expiresAt > now) return row;
    // Deleted only if it is still expired: somebody may just have stored it anew.
    for (const gone of await this.#options.rows.deleteExpired(this.#kind, { now, limit: 1, id: row.id })) {
      this.#options.audit.tell(this.#expired, gone, 'failure');
    }
    return null;
  }

  async get(id: string): Promise<AuthRow | null> {
    return this.live(await this.#options.rows.get(this.#kind, id));
  }

  async delete(type: AuthEventType, id: string): Promise<boolean> {
    const row = await this.get(id);
    const deleted = row && (await this.#options.rows.delete(this.#kind, id));
    if (deleted) this.#options.audit.tell(type, deleted);
    return deleted !== null;
  }

  async listByUser(userId: string): Promise<AuthRow[]> {
    return this.#options.rows.listByUser(this.#kind, userId, this.now());
  }

  /** Deletes what has expired, in small steps so that a long backlog does not hold the store. Returns how many. */
  async cleanUp(stepSize: number): Promise<number> {
    const now = this.now();
    for (let total = 0; ;) {
      const gone = await this.#options.rows.deleteExpired(this.#kind, { now, limit: stepSize });
      for (const row of gone) this.#options.audit.tell(this.#expired, row);
      total += gone.length;
      if (gone.length < stepSize) return total;
    }
  }

  /** An access token may be held by a token that has expired: that one goes, and the write is tried again. */
  async #clearingExpired<T>(row: AuthRow, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      const holder = row.accessHash && (await this.#options.rows.getByAccessHash(row.accessHash));
      if (!holder || holder.id === row.id || (await this.live(holder)) !== null) throw error;
      return write();
    }
  }
}
