import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod/v4';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Secret } from '../secret.ts';
import { requireId, requireText, TEXT_LIMITS } from '../storage/texts.ts';
import { decodeBody, encodeBody } from './body.ts';
import type { AuthRow, AuthRows } from './rows.ts';
import { Shelf, type ShelfOptions, type StoreOptions } from './shelf.ts';

/** What is known of a token besides its secrets. */
export interface TokenFacts {
  readonly tokenId: string;
  readonly userId: string;
  readonly tokenType: string;
  readonly subject: string | null;
  readonly issuer: string | null;
  readonly clientId: string | null;
  /** How its user proved who he is, for example `password`. */
  readonly authMethod: string;
  readonly scopes: readonly string[];
  readonly permissions: readonly string[];
  readonly roles: readonly string[];
  readonly userProfile: JsonObject | null;
  readonly metadata: JsonObject;
  readonly issuedAt: Date;
  /** The token's own expiry. */
  readonly expiresAt: Date | null;
}

export interface NewToken extends TokenFacts {
  readonly accessToken: Secret<string>;
  readonly refreshToken: Secret<string> | null;
}

/** A token as it can be read back: its secrets are kept as keyed hashes and come back to nobody. */
export interface StoredToken extends TokenFacts {
  readonly storedAt: Date;
  /** The earlier of its time to live and its own expiry. */
  readonly endsAt: Date | null;
  readonly hasRefreshToken: boolean;
}

/** Keyed one-way hash, for example `Vault.keyedHash`. */
export type KeyedHash = (purpose: string, text: string) => Buffer;

/** Tokens by id, by access token and by user. */
export class TokenShelf {
  readonly #shelf: Shelf;
  readonly #rows: AuthRows;
  readonly #hash: KeyedHash;

  constructor(options: ShelfOptions & { readonly hash: KeyedHash }) {
    this.#shelf = new Shelf('token', 'token.expired', options);
    this.#rows = options.rows;
    this.#hash = options.hash;
  }

  /**
   * Stores a token, in the place of the one with its id.
   *
   * @throws StorageError `ERR_STORE_DUPLICATE` when another token has its access token
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`
   */
  async put(token: NewToken, options: StoreOptions = {}): Promise<void> {
    const row = this.#rowOf(token, this.#shelf.endOf(options, token.expiresAt), this.#shelf.now());
    await this.#shelf.put('token.issued', row);
  }

  async get(tokenId: string): Promise<StoredToken | null> {
    return this.#read(await this.#shelf.get(tokenId));
  }

  async getByAccessToken(accessToken: Secret<string>): Promise<StoredToken | null> {
    return this.#read(await this.#shelf.live(await this.#rows.getByAccessHash(this.#accessHash(accessToken))));
  }

  /**
   * Replaces a token that is there, with its age kept; from then on its old access token names nothing. False when there is none.
   *
   * @throws StorageError `ERR_STORE_DUPLICATE` when another token has its access token
   */
  async update(token: NewToken, options: StoreOptions = {}): Promise<boolean> {
    for (;;) {
      const before = await this.#shelf.get(token.tokenId);
      if (before === null) return false;
      const row = this.#rowOf(token, this.#shelf.endOf(options, token.expiresAt), before.createdAt);
      if (!(await this.#shelf.replace(row, before.body))) continue;
      this.#shelf.tell('token.updated', row);
      return true;
    }
  }

  /** Revokes a token. False when there is none. */
  async delete(tokenId: string): Promise<boolean> {
    return this.#shelf.delete('token.revoked', tokenId);
  }

  /** By id. A list is no use of a token and is not audited as one. */
  async listByUser(userId: string): Promise<StoredToken[]> {
    return (await this.#shelf.listByUser(userId)).map(tokenOf);
  }

  /** Whether this is the refresh token of a living token. */
  async matchesRefreshToken(tokenId: string, refreshToken: Secret<string>): Promise<boolean> {
    const row = await this.#shelf.get(tokenId);
    const known = row && decodeBody(bodySchema, row.body).refreshHash;
    if (known === null) return false;
    const asked = this.#hash('auth-refresh-token', refreshToken.unwrap());
    const kept = Buffer.from(known, 'hex');
    return kept.length === asked.length && timingSafeEqual(kept, asked);
  }

  async cleanUp(stepSize: number): Promise<number> {
    return this.#shelf.cleanUp(stepSize);
  }

  #read(row: AuthRow | null): StoredToken | null {
    if (row === null) return null;
    this.#shelf.tell('token.read', row);
    return tokenOf(row);
  }

  #rowOf(token: NewToken, expiresAt: Date | null, createdAt: Date): AuthRow {
    requireId('tokenId', token.tokenId);
    requireText('userId', token.userId, TEXT_LIMITS.ownerId);
    const { accessToken, refreshToken, ...facts } = token;
    const refreshHash = refreshToken && this.#hash('auth-refresh-token', refreshToken.unwrap()).toString('hex');
    const accessHash = this.#accessHash(accessToken);
    const body = encodeBody({ ...facts, refreshHash });
    return { kind: 'token', id: token.tokenId, userId: token.userId, accessHash, createdAt, expiresAt, body };
  }

  #accessHash(accessToken: Secret<string>): Buffer {
    return this.#hash('auth-access-token', accessToken.unwrap());
  }
}

function tokenOf(row: AuthRow): StoredToken {
  const { refreshHash, ...facts } = decodeBody(bodySchema, row.body);
  return { ...facts, storedAt: row.createdAt, endsAt: row.expiresAt, hasRefreshToken: refreshHash !== null };
}

const instant = z.iso.datetime().transform((text) => new Date(text));
const json = z.custom<JsonObject>(isJsonObject);
const bodySchema = z.strictObject({
  tokenId: z.string(),
  userId: z.string(),
  tokenType: z.string(),
  subject: z.string().nullable(),
  issuer: z.string().nullable(),
  clientId: z.string().nullable(),
  authMethod: z.string(),
  scopes: z.array(z.string()),
  permissions: z.array(z.string()),
  roles: z.array(z.string()),
  userProfile: json.nullable(),
  metadata: json,
  issuedAt: instant,
  expiresAt: instant.nullable(),
  refreshHash: z.string().nullable(),
});
