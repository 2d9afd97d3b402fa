import { KeyRingError, type ErrorCode } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { isSamePointer, type CredentialId, type SecretPointer } from '../lifecycle/credential.ts';
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

/** A stored value without what is in it. */
export interface SealedValue {
  readonly pointer: SecretPointer;
  /** Data key that it names; `null` when the envelope is too damaged to name one. */
  readonly keyId: string | null;
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
    return this.#seal(owner, pointer, Buffer.from(JSON.stringify(value.unwrap()), 'utf8'));
  }

  /**
   * Opens a value that a record points at.
   *
   * @throws KeyRingError `ERR_CREDENTIAL_UNREADABLE` when there is none, or the codes of `openEnvelope`.
   */
  async get(owner: SecretOwner, pointer: SecretPointer): Promise<Secret<JsonObject>> {
    const plaintext = await this.#open(owner, pointer);
    if (plaintext !== null) return parsed(plaintext);
    throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'The sealed value of this credential is missing.', {
      credentialId: owner.id,
    });
  }

  /** Opens a value if it was ever written. */
  async find(owner: SecretOwner, pointer: SecretPointer): Promise<Secret<JsonObject> | null> {
    const plaintext = await this.#open(owner, pointer);
    return plaintext === null ? null : parsed(plaintext);
  }

  /** Seals a value that is kept elsewhere than in the secret store. */
  async sealApart(owner: SecretOwner, pointer: SecretPointer, value: Secret<JsonObject>): Promise<Buffer> {
    const plaintext = Buffer.from(JSON.stringify(value.unwrap()), 'utf8');
    try {
      return sealEnvelope(await this.#keyRing.takeKey(), sealedName(owner, pointer), plaintext, this.#random);
    } finally {
      plaintext.fill(0);
    }
  }

  /** Opens what `sealApart` made for the same owner and name. @throws KeyRingError the codes of `openEnvelope` */
  async openApart(owner: SecretOwner, pointer: SecretPointer, envelope: Buffer): Promise<Secret<JsonObject>> {
    return parsed(await this.#openEnvelope(owner, pointer, envelope));
  }

  /** Keyed one-way hash (HMAC-SHA-256); `purpose` keeps the uses apart. */
  keyedHash(purpose: string, text: string): Buffer {
    return this.#keyRing.keyedHash(purpose, text);
  }

  async delete(owner: SecretOwner, pointer: SecretPointer): Promise<void> {
    await this.#secrets.delete({ credentialId: owner.id, ...pointer });
  }

  /**
   * Deletes the grants of a credential before generation `current` but the ones named in `keep`. What is later may be the answer
   * that another holder is just about to point at, and another value of the current one may be it, sealed again under a new data
   * key since the caller read the record; registered secrets are counted by rotations.
   */
  async collect(owner: SecretOwner, keep: readonly SecretPointer[], current: number): Promise<void> {
    for (const key of await this.#secrets.list(owner.id)) {
      if (key.field === 'grant' && key.generation < current && !keep.some((pointer) => isSamePointer(pointer, key)))
        await this.#secrets.delete(key);
    }
  }

  /** Deletes every value of a credential. */
  async deleteAll(owner: SecretOwner): Promise<void> {
    for (const key of await this.#secrets.list(owner.id)) await this.#secrets.delete(key);
  }

  /** Everything that is stored for a credential, pointed at or not. */
  async values(credentialId: CredentialId): Promise<SealedValue[]> {
    const values: SealedValue[] = [];
    for (const { field, generation, attemptId } of await this.#secrets.list(credentialId)) {
      const pointer = { field, generation, attemptId };
      const envelope = await this.#secrets.get({ credentialId, ...pointer });
      if (envelope !== null) values.push({ pointer, keyId: keyIdOf(envelope) });
    }
    return values;
  }

  /** Why a value does not open; `null` when it does, `'missing'` when there is none. */
  async fault(owner: SecretOwner, pointer: SecretPointer): Promise<ErrorCode | 'missing' | null> {
    try {
      const plaintext = await this.#open(owner, pointer);
      plaintext?.fill(0);
      return plaintext === null ? 'missing' : null;
    } catch (error) {
      if (error instanceof KeyRingError) return error.code;
      throw error;
    }
  }

  /**
   * Seals a stored value once more, under the active key and another attempt id. The value itself stays as it is.
   *
   * @throws KeyRingError the codes of `get`
   */
  async reseal(owner: SecretOwner, from: SecretPointer, attemptId: string): Promise<SecretPointer> {
    const plaintext = await this.#open(owner, from);
    if (plaintext === null) {
      throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'A sealed value is missing.', { credentialId: owner.id });
    }
    const to = { ...from, attemptId };
    await this.#seal(owner, to, plaintext);
    return to;
  }

  /** Whether two stored values of a credential are equal. */
  async holdSame(owner: SecretOwner, one: SecretPointer, other: SecretPointer): Promise<boolean> {
    const [first, second] = [await this.#open(owner, one), await this.#open(owner, other)];
    const same = first !== null && second !== null && first.equals(second);
    first?.fill(0);
    second?.fill(0);
    return same;
  }

  async #seal(owner: SecretOwner, pointer: SecretPointer, plaintext: Buffer): Promise<boolean> {
    try {
      const key = await this.#keyRing.takeKey();
      const envelope = sealEnvelope(key, sealedName(owner, pointer), plaintext, this.#random);
      return await this.#secrets.putIfAbsent({ credentialId: owner.id, ...pointer }, envelope);
    } finally {
      plaintext.fill(0);
    }
  }

  async #open(owner: SecretOwner, pointer: SecretPointer): Promise<Buffer | null> {
    const envelope = await this.#secrets.get({ credentialId: owner.id, ...pointer });
    return envelope === null ? null : this.#openEnvelope(owner, pointer, envelope);
  }

  async #openEnvelope(owner: SecretOwner, pointer: SecretPointer, envelope: Buffer): Promise<Buffer> {
    const keyId = envelopeKeyId(envelope);
    const key = this.#keyRing.key(keyId) ?? (await this.#keyRing.findKey(keyId));
    return openEnvelope(key, sealedName(owner, pointer), envelope);
  }
}

export { isSamePointer };

function sealedName({ id, ownerId }: SecretOwner, { field, generation, attemptId }: SecretPointer): SealedName {
  return { ownerId, credentialId: id, field, generation, attemptId };
}

/** The value, with its bytes overwritten. */
function parsed(plaintext: Buffer): Secret<JsonObject> {
  const value: unknown = JSON.parse(plaintext.toString('utf8'));
  plaintext.fill(0);
  if (!isJsonObject(value)) throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'A sealed value is not an object.');
  return Secret.of(value);
}

function keyIdOf(envelope: Buffer): string | null {
  try {
    return envelopeKeyId(envelope).toString('hex');
  } catch {
    return null;
  }
}
