import { StorageError } from '../errors.ts';
import { compareTexts } from '../storage/texts.ts';
import type { AuthKind, AuthRow, AuthRowAge, AuthRows } from './rows.ts';
import { SortedTexts } from './sorted-texts.ts';

/** Rows in maps: the reference. Rows and indexes change together, in `#write` and `#erase` and nowhere else. */
export class MemoryAuthRows implements AuthRows {
  readonly #rows = {
    token: new Map<string, AuthRow>(),
    session: new Map<string, AuthRow>(),
    keyValue: new Map<string, AuthRow>(),
  };
  readonly #ids = { token: new SortedTexts(), session: new SortedTexts(), keyValue: new SortedTexts() };
  readonly #tokenByHash = new Map<string, string>();
  readonly #idsByUser = new Map<string, Set<string>>();

  async put(row: AuthRow): Promise<void> {
    this.#requireOwnHash(row);
    this.#write(row);
  }

  async replace(row: AuthRow, expected: Buffer): Promise<boolean> {
    if (!this.#rows[row.kind].get(row.id)?.body.equals(expected)) return false;
    this.#requireOwnHash(row);
    this.#write(row);
    return true;
  }

  async get(kind: AuthKind, id: string): Promise<AuthRow | null> {
    return this.#rows[kind].get(id) ?? null;
  }

  async getByAccessHash(hash: Buffer): Promise<AuthRow | null> {
    const id = this.#tokenByHash.get(hash.toString('hex'));
    return id === undefined ? null : this.get('token', id);
  }

  async delete(kind: AuthKind, id: string): Promise<AuthRow | null> {
    const row = this.#rows[kind].get(id);
    if (row) this.#erase(row);
    return row ?? null;
  }

  async deleteExpired(kind: AuthKind, options: { now: Date; limit: number; id?: string }): Promise<AuthRow[]> {
    const expired = this.#sorted(kind)
      .filter((row) => !isLive(row, options.now) && (options.id === undefined || row.id === options.id))
      .sort((a, b) => Number(a.expiresAt) - Number(b.expiresAt))
      .slice(0, options.limit);
    for (const row of expired) this.#erase(row);
    return expired;
  }

  async listByUser(kind: AuthKind, userId: string, now: Date): Promise<AuthRow[]> {
    const ids = [...(this.#idsByUser.get(userKey(kind, userId)) ?? [])].sort(compareTexts);
    return ids.flatMap((id) => this.#rows[kind].get(id) ?? []).filter((row) => isLive(row, now));
  }

  async listIds(
    kind: AuthKind,
    { prefix, after, limit, now }: { prefix: string; after: string; limit: number; now: Date },
  ): Promise<string[]> {
    const found: string[] = [];
    for (const id of this.#ids[kind].from(prefix, after)) {
      if (found.length === limit) break;
      const row = this.#rows[kind].get(id);
      if (row && isLive(row, now)) found.push(id);
    }
    return found;
  }

  async listOldest(kind: AuthKind, { limit, now }: { limit: number; now: Date }): Promise<AuthRowAge[]> {
    return this.#sorted(kind)
      .filter((row) => isLive(row, now))
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
      .slice(0, limit)
      .map(({ id, userId, createdAt }) => ({ id, userId, createdAt }));
  }

  async count(
    kind: AuthKind,
    { now, createdBefore }: { now: Date; createdBefore?: Date },
  ): Promise<{ rows: number; users: number }> {
    const live = this.#sorted(kind).filter(
      (row) => isLive(row, now) && (!createdBefore || row.createdAt < createdBefore),
    );
    return { rows: live.length, users: new Set(live.flatMap(({ userId }) => userId ?? [])).size };
  }

  async close(): Promise<void> {
    for (const kind of ['token', 'session', 'keyValue'] as const) {
      for (const row of this.#sorted(kind)) this.#erase(row);
    }
  }

  #write(row: AuthRow): void {
    const before = this.#rows[row.kind].get(row.id);
    if (before) this.#erase(before);
    this.#rows[row.kind].set(row.id, { ...row, body: Buffer.from(row.body) });
    this.#ids[row.kind].add(row.id);
    if (row.accessHash) this.#tokenByHash.set(row.accessHash.toString('hex'), row.id);
    if (row.userId === null) return;
    const key = userKey(row.kind, row.userId);
    this.#idsByUser.set(key, (this.#idsByUser.get(key) ?? new Set<string>()).add(row.id));
  }

  #erase(row: AuthRow): void {
    this.#rows[row.kind].delete(row.id);
    this.#ids[row.kind].delete(row.id);
    if (row.accessHash) this.#tokenByHash.delete(row.accessHash.toString('hex'));
    if (row.userId === null) return;
    const key = userKey(row.kind, row.userId);
    const ids = this.#idsByUser.get(key);
    ids?.delete(row.id);
    if (ids?.size === 0) this.#idsByUser.delete(key);
  }

  #requireOwnHash(row: AuthRow): void {
    const holder = row.accessHash ? this.#tokenByHash.get(row.accessHash.toString('hex')) : undefined;
    if (holder !== undefined && holder !== row.id) throw duplicateAccessToken();
  }

  #sorted(kind: AuthKind): AuthRow[] {
    return [...this.#rows[kind].values()].sort((a, b) => compareTexts(a.id, b.id));
  }
}

export function duplicateAccessToken(): StorageError {
  return new StorageError('ERR_STORE_DUPLICATE', 'Another token has this access token.');
}

function isLive({ expiresAt }: AuthRow, now: Date): boolean {
  return expiresAt === null || expiresAt > now;
}

function userKey(kind: AuthKind, userId: string): string {
  return JSON.stringify([kind, userId]);
}
