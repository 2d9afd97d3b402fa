import type Database from 'better-sqlite3';
import type { Clock } from '../ports.ts';
import type { SecretField } from '../lifecycle/credential.ts';
import {
  encodeMetadata,
  parseMetadata,
  parseSecretListing,
  partsOf,
  requireSecretStorable,
  secretPageOf,
  type SecretListing,
} from './secret-listing.ts';
import type { SecretFilter, SecretKey, SecretMetadata, SecretPage, SecretStore } from './secret-store.ts';
import { translated } from './sqlite-errors.ts';
import { SqliteWriter } from './sqlite-writer.ts';

interface SecretRow {
  readonly credential_id: string;
  readonly field: SecretField;
  readonly generation: number;
  readonly attempt_id: string;
  readonly metadata: string | null;
}
type Name = [string, string, number, string];
type Label = [string | null, string | null, string | null, string | null, string | null];

const NAME = 'credential_id, field, generation, attempt_id';
const IS_NAMED = 'credential_id = ? AND field = ? AND generation = ? AND attempt_id = ?';
const LABEL = 'owner_id, scope_id, protocol, expires_at, metadata';

/** Sealed envelopes in the table `secrets`. */
export class SqliteSecretStore implements SecretStore {
  readonly #db: Database.Database;
  readonly #writer: SqliteWriter;
  readonly #insert: Database.Statement<[...Name, Buffer, ...Label]>;
  readonly #select: Database.Statement<Name, Buffer>;
  readonly #remove: Database.Statement<Name>;
  readonly #list: Database.Statement<[string], SecretRow>;
  readonly #relabel: Database.Statement<[...Label, ...Name]>;

  constructor(db: Database.Database, clock: Clock, writer = new SqliteWriter(db, clock)) {
    this.#db = db;
    this.#writer = writer;
    this.#insert = db.prepare(
      `INSERT INTO secrets (${NAME}, envelope, ${LABEL}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    );
    this.#select = db.prepare<Name, Buffer>(`SELECT envelope FROM secrets WHERE ${IS_NAMED}`).pluck();
    this.#remove = db.prepare(`DELETE FROM secrets WHERE ${IS_NAMED}`);
    this.#list = db.prepare(`SELECT ${NAME}, metadata FROM secrets WHERE credential_id = ? ORDER BY ${NAME}`);
    this.#relabel = db.prepare(
      `UPDATE secrets SET owner_id = ?, scope_id = ?, protocol = ?, expires_at = ?, metadata = ? WHERE ${IS_NAMED}`,
    );
  }

  async putIfAbsent(key: SecretKey, envelope: Buffer, metadata?: SecretMetadata): Promise<boolean> {
    requireSecretStorable(key, metadata ?? null);
    return this.#writer.write(() => this.#insert.run(...partsOf(key), envelope, ...labelOf(metadata)).changes === 1);
  }

  async get(key: SecretKey): Promise<Buffer | null> {
    return this.#run(() => this.#select.get(...partsOf(key)) ?? null);
  }

  async delete(key: SecretKey): Promise<void> {
    await this.#writer.write(() => this.#remove.run(...partsOf(key)));
  }

  async list(credentialId: string): Promise<SecretKey[]> {
    return this.#run(() => this.#list.all(credentialId)).map(keyOf);
  }

  async listMetadata(filter: SecretFilter): Promise<SecretPage> {
    const listing = parseSecretListing(filter);
    const { sql, parameters } = secretQuery(listing);
    const rows = this.#run(() => this.#db.prepare<unknown[], SecretRow>(sql).all(...parameters));
    return secretPageOf(
      listing,
      rows.map((row) => ({ key: keyOf(row), metadata: parseMetadata(row.metadata) })),
    );
  }

  async updateMetadata(key: SecretKey, metadata: SecretMetadata): Promise<boolean> {
    requireSecretStorable(key, metadata);
    return this.#writer.write(() => this.#relabel.run(...labelOf(metadata), ...partsOf(key)).changes === 1);
  }

  #run<T>(operation: () => T): T {
    return translated(this.#db.name, operation);
  }
}

function secretQuery({ filter, tags, after, limit }: SecretListing): { sql: string; parameters: (string | number)[] } {
  const conditions: [string, (string | number)[]][] = [];
  if (filter.credentialId !== undefined) conditions.push(['credential_id = ?', [filter.credentialId]]);
  if (filter.ownerId !== undefined) conditions.push(['owner_id = ?', [filter.ownerId]]);
  if (filter.scopeId !== undefined) conditions.push(['scope_id = ?', [filter.scopeId]]);
  if (filter.protocol !== undefined) conditions.push(['protocol = ?', [filter.protocol]]);
  if (filter.expiringBefore) conditions.push(['expires_at < ?', [filter.expiringBefore.toISOString()]]);
  for (const tag of tags) {
    conditions.push(["EXISTS (SELECT 1 FROM json_each(metadata, '$.tags') WHERE value = ?)", [tag]]);
  }
  if (after) conditions.push([`(${NAME}) > (?, ?, ?, ?)`, partsOf(after)]);
  const where = conditions.map(([sql]) => sql).join(' AND ') || 'TRUE';
  return {
    sql: `SELECT ${NAME}, metadata FROM secrets WHERE ${where} ORDER BY ${NAME} LIMIT ?`,
    parameters: [...conditions.flatMap(([, parameters]) => parameters), limit + 1],
  };
}

function keyOf(row: SecretRow): SecretKey {
  return {
    credentialId: row.credential_id,
    field: row.field,
    generation: row.generation,
    attemptId: row.attempt_id,
  };
}

function labelOf(metadata: SecretMetadata | undefined): Label {
  if (metadata === undefined) return [null, null, null, null, null];
  const { ownerId, scopeId, protocol, expiresAt } = metadata;
  return [ownerId, scopeId, protocol, expiresAt?.toISOString() ?? null, encodeMetadata(metadata)];
}
