import type { CredentialId, SecretPointer } from '../lifecycle/credential.ts';

/** Full name of one sealed value. Values are immutable: a name is written once and never again. */
export interface SecretKey extends SecretPointer {
  readonly credentialId: CredentialId;
}

/** What people and cloud consoles see of a sealed value. Never a secret; the record stays the truth, this is its label. */
export interface SecretMetadata {
  readonly ownerId: string | null;
  readonly scopeId: string | null;
  readonly protocol: string;
  readonly tags: readonly string[];
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface SecretEntry {
  readonly key: SecretKey;
  /** `null` for a value that was stored without any. */
  readonly metadata: SecretMetadata | null;
}

export interface SecretFilter {
  readonly credentialId?: CredentialId;
  readonly ownerId?: string;
  readonly scopeId?: string;
  readonly protocol?: string;
  /** Values that carry all of these. */
  readonly tags?: readonly string[];
  readonly expiringBefore?: Date;
  /** 1 to 1,000; default 100. */
  readonly limit?: number;
  /** `nextCursor` of the page before. */
  readonly cursor?: string;
}

export interface SecretPage {
  /** In the order of credential id, field, generation and attempt id. */
  readonly entries: readonly SecretEntry[];
  readonly nextCursor: string | null;
}

/**
 * Keeps sealed envelopes and never sees what is in them. Small enough for a cloud vault to serve as well as a table:
 *
 * | | put if absent | metadata and filters | delete | batch |
 * | --- | --- | --- | --- | --- |
 * | memory, SQLite, PostgreSQL | native | native | for good | one call per value |
 * | AWS Secrets Manager | `CreateSecret` fails on a name in use | tags, 50 per secret; `ListSecrets` filters by tag and name prefix, owner and expiry must be sifted by the driver | `DeleteSecret` recoverable for 7 to 30 days, and the name stays taken meanwhile | `BatchGetSecretValue`, 20 at a time |
 * | HashiCorp Vault KV v2 | `cas: 0` | `custom_metadata`, 64 keys; `LIST` gives names only, the driver reads each | soft delete and `undelete`; `destroy` is for good | none |
 * | Azure Key Vault | none: `SetSecret` adds a version, so the driver reads first and takes the oldest version as the value | tags, 15 per secret; list is unfiltered | soft delete with recovery where the vault has it on; the name stays taken meanwhile | none |
 *
 * Names are immutable and random, so a name that stays taken after a delete never hinders the next value.
 *
 * Errors: `ERR_STORE_UNAVAILABLE`; `ERR_CONFIG_MALFORMED` for a text that some driver cannot keep, a filter or a cursor.
 */
export interface SecretStore {
  /** Writes durably. Returns false when the name is taken: then nothing was written. */
  putIfAbsent(key: SecretKey, envelope: Buffer, metadata?: SecretMetadata): Promise<boolean>;
  get(key: SecretKey): Promise<Buffer | null>;
  /** Takes the value away; recoverable by the back end's own means where it has such (see the table). */
  delete(key: SecretKey): Promise<void>;
  /** Names of all values of one credential. */
  list(credentialId: CredentialId): Promise<SecretKey[]>;
  /** Names and labels, without values. */
  listMetadata(filter: SecretFilter): Promise<SecretPage>;
  /** Replaces the label of a value and nothing else. False when there is no such value. */
  updateMetadata(key: SecretKey, metadata: SecretMetadata): Promise<boolean>;
}
