import { decodeCursor, encodeCursor, pageLimit } from '../storage/listing.ts';
import { requireId, requireText, TEXT_LIMITS } from '../storage/texts.ts';
import type { AuthRows } from './rows.ts';
import { Shelf, type ShelfOptions, type StoreOptions } from './shelf.ts';

const ORDER = 'keyValue';

/** Bytes by key, with an end. */
export class KeyValueShelf {
  readonly #shelf: Shelf;
  readonly #rows: AuthRows;

  constructor(options: ShelfOptions) {
    this.#shelf = new Shelf('keyValue', 'keyValue.expired', options);
    this.#rows = options.rows;
  }

  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED` for a key that is empty, too long or holds NUL */
  async put(key: string, value: Buffer, options: StoreOptions = {}): Promise<void> {
    requireId('key', key, TEXT_LIMITS.key);
    const expiresAt = this.#shelf.endOf(options, null);
    const createdAt = this.#shelf.now();
    const body = Buffer.from(value);
    await this.#shelf.put('keyValue.written', {
      ...{ kind: 'keyValue', id: key, userId: null, accessHash: null, createdAt, expiresAt, body },
    });
  }

  async get(key: string): Promise<Buffer | null> {
    const row = await this.#shelf.get(key);
    if (row === null) return null;
    this.#shelf.tell('keyValue.read', row);
    return Buffer.from(row.body);
  }

  /** False when there is none. */
  async delete(key: string): Promise<boolean> {
    return this.#shelf.delete('keyValue.deleted', key);
  }

  /** Keys that begin with `prefix`, in order, a page at a time. Walks an index: other keys cost nothing. */
  async listKeys(
    prefix: string,
    options: { limit?: number; cursor?: string } = {},
  ): Promise<{ keys: readonly string[]; nextCursor: string | null }> {
    requireText('prefix', prefix, TEXT_LIMITS.key);
    const limit = pageLimit(options.limit);
    const after = options.cursor === undefined ? '' : decodeCursor(options.cursor, ORDER).id;
    const keys = await this.#rows.listIds('keyValue', { prefix, after, limit: limit + 1, now: this.#shelf.now() });
    const page = keys.slice(0, limit);
    return { keys: page, nextCursor: keys.length > limit ? encodeCursor(ORDER, '', page.at(-1) ?? '') : null };
  }

  async cleanUp(stepSize: number): Promise<number> {
    return this.#shelf.cleanUp(stepSize);
  }
}
