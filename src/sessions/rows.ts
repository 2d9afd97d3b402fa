/** What the auth storage keeps. */
export type AuthKind = 'token' | 'session' | 'keyValue';

export const AUTH_KINDS: readonly AuthKind[] = ['token', 'session', 'keyValue'];

/** One stored item as a driver sees it. */
export interface AuthRow {
  readonly kind: AuthKind;
  readonly id: string;
  readonly userId: string | null;
  /** Keyed hash of a token's access token; no two rows share one. */
  readonly accessHash: Buffer | null;
  readonly createdAt: Date;
  /** First instant at which it is not there any more; `null` for never. */
  readonly expiresAt: Date | null;
  readonly body: Buffer;
}

export type AuthRowAge = Pick<AuthRow, 'id' | 'userId' | 'createdAt'>;

/**
 * All that a driver of the auth storage has to bring: rows by (kind, id), with indexes by access hash, user, creation and end that
 * change in the same write as the row. What has expired is a row like any other until it is deleted; only counts and lists that take
 * `now` leave it out.
 *
 * Errors: `ERR_STORE_UNAVAILABLE`.
 */
export interface AuthRows {
  /** Writes, replacing the row with this name. @throws StorageError `ERR_STORE_DUPLICATE` when another row has its access hash */
  put(row: AuthRow): Promise<void>;
  /** Writes if the row with this name still has the body `expected`. @throws StorageError `ERR_STORE_DUPLICATE` as `put` */
  replace(row: AuthRow, expected: Buffer): Promise<boolean>;
  get(kind: AuthKind, id: string): Promise<AuthRow | null>;
  getByAccessHash(hash: Buffer): Promise<AuthRow | null>;
  /** Returns the row that this call deleted: of several callers one gets it. */
  delete(kind: AuthKind, id: string): Promise<AuthRow | null>;
  /** Deletes up to `limit` rows that have expired, only the one with `id` if given, and returns them. */
  deleteExpired(kind: AuthKind, options: { now: Date; limit: number; id?: string }): Promise<AuthRow[]>;
  /** By id, without what has expired. */
  listByUser(kind: AuthKind, userId: string, now: Date): Promise<AuthRow[]>;
  /** Ids that begin with `prefix` and come after `after`, in order, without what has expired. */
  listIds(kind: AuthKind, options: { prefix: string; after: string; limit: number; now: Date }): Promise<string[]>;
  /** The oldest first, then by id, without what has expired. */
  listOldest(kind: AuthKind, options: { limit: number; now: Date }): Promise<AuthRowAge[]>;
  /** Rows that have not expired, created before `createdBefore` if given, and how many users they belong to. */
  count(kind: AuthKind, options: { now: Date; createdBefore?: Date }): Promise<{ rows: number; users: number }>;
  close(): Promise<void>;
}
