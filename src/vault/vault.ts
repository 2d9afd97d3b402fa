import { KeyRingError } from '../errors.ts';
import { isPlainObject, type JsonObject } from '../json.ts';
import type { CredentialId, SecretPointer } from '../lifecycle/credential.ts';
import type { RandomSource } from '../ports.ts';
import { Secret } from '../secret.ts';
import type { SecretStore } from '../storage/secret-store.ts';
import { envelopeKeyId, openEnvelope, sealEnvelope, type SealedName } from './envelope.ts';
import type { KeyRing } from './key-ring.ts';

/** Whose value it is; bound into the envelope. */
export interface SecretOwner {
  readonly id: CredentialId;
  readonly ownerId: string | null;
}

/** Seals values on their way into the secret store and opens them on their way out. Nothing unsealed touches a disk. */
export class Vault {
  readonly #keyRing: KeyRing;
  readonly #secrets: SecretStore;
  readonly #random: RandomSource;

  constructor(keyRing: KeyRing, secrets: SecretStore, random: RandomSource) {
    this.#keyRing = keyRing;
    this.#secrets = secrets;
    this.#random = random;
  }

  /** Seals and writes durably. Returns false when the name is taken: then nothing was written. */
  async put(owner: SecretOwner, pointer: SecretPointer, value: Secret<JsonObject>): Promise<boolean> {
    const plaintext = Buffer.from(JSON.stringify(value.unwrap()), 'utf8');
    const envelope = sealEnvelope(this.#keyRing.activeKey, sealedName(owner, pointer), plaintext, this.#random);
    plaintext.fill(0);
    return this.#secrets.putIfAbsent({ credentialId: owner.id, ...pointer }, envelope);
  }

  /**
   * Opens a value that a record points at.
   *
   * @throws KeyRingError `ERR_CREDENTIAL_UNREADABLE` when there is none, or the codes of `openEnvelope`.
   */
  async get(owner: SecretOwner, pointer: SecretPointer): Promise<Secret<JsonObject>> {
    const value = await this.find(owner, pointer);
    if (value) return value;
    throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'The sealed value of this credential is missing.', {
      credentialId: owner.id,
    });
  }

  /** Opens a value if it was ever written. */
  async find(owner: SecretOwner, pointer: SecretPointer): Promise<Secret<JsonObject> | null> {
    const envelope = await this.#secrets.get({ credentialId: owner.id, ...pointer });
    if (envelope === null) return null;
    const plaintext = openEnvelope(this.#keyRing.key(envelopeKeyId(envelope)), sealedName(owner, pointer), envelope);
    const value: unknown = JSON.parse(plaintext.toString('utf8'));
    plaintext.fill(0);
    if (!isJsonObject(value)) throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'A sealed value is not an object.');
    return Secret.of(value);
  }

  /** Keyed one-way hash (HMAC-SHA-256); `purpose` keeps the uses apart. */
  keyedHash(purpose: string, text: string): Buffer {
    return this.#keyRing.keyedHash(purpose, text);
  }

  async delete(owner: SecretOwner, pointer: SecretPointer): Promise<void> {
    await this.#secrets.delete({ credentialId: owner.id, ...pointer });
  }

  /**
   * Deletes the values of a credential up to generation `through` but the ones named in `keep`. What is later than that
   * may be the answer that another holder is just about to point at.
   */
  async collect(owner: SecretOwner, keep: readonly SecretPointer[], through: number): Promise<void> {
    const kept = new Set(keep.map(pointerName));
    for (const key of await this.#secrets.list(owner.id)) {
      if (key.generation <= through && !kept.has(pointerName(key))) await this.#secrets.delete(key);
    }
  }

  /** Deletes every value of a credential. */
  async deleteAll(owner: SecretOwner): Promise<void> {
    for (const key of await this.#secrets.list(owner.id)) await this.#secrets.delete(key);
  }
}

function sealedName(owner: SecretOwner, pointer: SecretPointer): SealedName {
  return { ownerId: owner.ownerId, credentialId: owner.id, ...pointer };
}

function pointerName({ field, generation, attemptId }: SecretPointer): string {
  return `${field}/${String(generation)}/${attemptId}`;
}

function isJsonObject(value: unknown): value is JsonObject {
  return isPlainObject(value);
}
