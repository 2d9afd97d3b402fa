import type { CredentialId, SecretPointer } from '../lifecycle/credential.ts';

/** Full name of one sealed value. Values are immutable: a name is written once and never again. */
export interface SecretKey extends SecretPointer {
  readonly credentialId: CredentialId;
}

/**
 * Keeps sealed envelopes and never sees what is in them. Four verbs, so that a cloud vault can serve as well as a table.
 *
 * Errors: `ERR_STORE_UNAVAILABLE`.
 */
export interface SecretStore {
  /** Writes durably. Returns false when the name is taken: then nothing was written. */
  putIfAbsent(key: SecretKey, envelope: Buffer): Promise<boolean>;
  get(key: SecretKey): Promise<Buffer | null>;
  delete(key: SecretKey): Promise<void>;
  /** Names of all values of one credential. */
  list(credentialId: CredentialId): Promise<SecretKey[]>;
}
