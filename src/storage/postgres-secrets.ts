import type { SecretField } from '../lifecycle/credential.ts';
import type { Parameter, PostgresDatabase } from './postgres-database.ts';
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

interface SecretRow {
  readonly credential_id: string;
  readonly field: SecretField;
  readonly generation: string;
  readonly attempt_id: string;
  readonly metadata: string | null;
}

const NAME = 'credential_id, field, generation, attempt_id';
const IS_NAMED = 'credential_id = $1 AND field = $2 AND generation = $3 AND attempt_id = $4';

/** Sealed envelopes in the table `secrets`. */
export class PostgresSecretStore implements SecretStore {
  readonly #database: PostgresDatabase;

  constructor(database: PostgresDatabase) {
    this.#database = database;
  }

  async putIfAbsent(key: SecretKey, envelope: Buffer, metadata?: SecretMetadata): Promise<boolean> {
    requireSecretStorable(key, metadata ?? null);
    const sql = `INSERT INTO secrets (${NAME}, envelope, owner_id, scope_id, protocol, expires_at, metadata)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`;
    return (await this.#write(sql, [...partsOf(key), envelope, ...labelOf(metadata)])) === 1;
  }

  async get(key: SecretKey): Promise<Buffer | null> {
    const sql = `SELECT envelope FROM secrets WHERE ${IS_NAMED}`;
    const [row] = await this.#database.find<{ envelope: Buffer }>(sql, partsOf(key));
    return row?.envelope ?? null;
  }

  async delete(key: SecretKey): Promise<void> {
    await this.#database.find(`DELETE FROM secrets WHERE ${IS_NAMED}`, partsOf(key));
  }

  async list(credentialId: string): Promise<SecretKey[]> {
    const sql = `SELECT ${NAME} FROM secrets WHERE credential_id = $1 ORDER BY ${NAME}`;
    return (await this.#database.find<SecretRow>(sql, [credentialId])).map(keyOf);
  }

  async listMetadata(filter: SecretFilter): Promise<SecretPage> {
    const listing = parseSecretListing(filter);
    const { sql, parameters } = secretQuery(listing);
    const rows = await this.#database.find<SecretRow>(sql, parameters);
    return secretPageOf(
      listing,
      rows.map((row) => ({ key: keyOf(row), metadata: parseMetadata(row.metadata) })),
    );
  }

  async updateMetadata(key: SecretKey, metadata: SecretMetadata): Promise<boolean> {
    requireSecretStorable(key, metadata);
    const sql = `UPDATE secrets SET owner_id = $5, scope_id = $6, protocol = $7, expires_at = $8, metadata = $9 WHERE ${IS_NAMED}`;
    return (await this.#write(sql, [...partsOf(key), ...labelOf(metadata)])) === 1;
  }

  async #write(sql: string, parameters: readonly Parameter[]): Promise<number> {
    return this.#database.transaction((tx) => tx.run(sql, parameters));
  }
}

function secretQuery({ filter, tags, after, limit }: SecretListing): { sql: string; parameters: Parameter[] } {
  const parameters: Parameter[] = [];
  const bind = (parameter: Parameter): string => `$${parameters.push(parameter)}`;
  const { credentialId, ownerId, scopeId, protocol, expiringBefore } = filter;
  const conditions = [
    ...(credentialId === undefined ? [] : [`credential_id = ${bind(credentialId)}`]),
    ...(ownerId === undefined ? [] : [`owner_id = ${bind(ownerId)}`]),
    ...(scopeId === undefined ? [] : [`scope_id = ${bind(scopeId)}`]),
    ...(protocol === undefined ? [] : [`protocol = ${bind(protocol)}`]),
    ...(expiringBefore ? [`expires_at < ${bind(expiringBefore.toISOString())}`] : []),
    ...tags.map((tag) => `metadata::jsonb -> 'tags' ? ${bind(tag)}`),
    ...(after ? [`(${NAME}) > (${partsOf(after).map(bind).join(', ')})`] : []),
  ];
  const where = conditions.join(' AND ') || 'TRUE';
  const sql = `SELECT ${NAME}, metadata FROM secrets WHERE ${where} ORDER BY ${NAME} LIMIT ${bind(limit + 1)}`;
  return { sql, parameters };
}

function keyOf(row: SecretRow): SecretKey {
  return {
    credentialId: row.credential_id,
    field: row.field,
    generation: Number(row.generation),
    attemptId: row.attempt_id,
  };
}

function labelOf(metadata: SecretMetadata | undefined): Parameter[] {
  if (metadata === undefined) return [null, null, null, null, null];
  const { ownerId, scopeId, protocol, expiresAt } = metadata;
  return [ownerId, scopeId, protocol, expiresAt?.toISOString() ?? null, encodeMetadata(metadata)];
}
