import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { KeyRingError } from '../errors.ts';
import type { RandomSource } from '../ports.ts';
import { Secret } from '../secret.ts';
import { decrypt, encrypt, KEY_BYTES, NONCE_BYTES, TAG_BYTES } from './aead.ts';
import { deriveFromPassphrase, newArgon2idParameters, type Argon2idParameters } from './kdf.ts';

/** 32 random bytes, or a passphrase from which they are derived (Argon2id). */
export type MasterKey = Buffer | Secret<Buffer> | { readonly passphrase: string | Secret<string> };

/** How the master key becomes bytes. */
export type KeyDerivation = { readonly algorithm: 'raw' } | Argon2idParameters;

/** Spends on a ring that holds no usable parameters what a right one would have cost. */
const DECOY = newArgon2idParameters(Buffer.alloc(16));

/**
 * The key that wraps the keys of a ring. AES-256-GCM and not AES-KW: GCM binds ring id and key id as additional data,
 * so that wrapped keys cannot change places; AES-KW has no place for a context.
 */
export class KeyEncryptionKey {
  readonly #ringId: string;
  readonly #wrappingKey: Secret<Buffer>;
  readonly #sealingKey: Secret<Buffer>;

  private constructor(ringId: string, wrappingKey: Secret<Buffer>, sealingKey: Secret<Buffer>) {
    this.#ringId = ringId;
    this.#wrappingKey = wrappingKey;
    this.#sealingKey = sealingKey;
  }

  /** @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH`, `ERR_KEYRING_PARAMETERS_REFUSED` */
  static async derive(masterKey: MasterKey, ringId: string, kdf: KeyDerivation): Promise<KeyEncryptionKey> {
    const { bytes, owned } = await masterBytes(masterKey, kdf);
    try {
      return new KeyEncryptionKey(ringId, expand(bytes, ringId, 'wrap'), expand(bytes, ringId, 'seal'));
    } finally {
      if (owned) bytes.release();
    }
  }

  wrapKey(keyId: string, key: Buffer, random: RandomSource): string {
    const nonce = random.bytes(NONCE_BYTES);
    return Buffer.concat([nonce, ...encrypt(this.#input(nonce, keyId), key)]).toString('base64');
  }

  /** @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH` */
  unwrapKey(keyId: string, wrapped: string): Buffer {
    const bytes = Buffer.from(wrapped, 'base64');
    if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) throw mismatch();
    const sealed = { ciphertext: bytes.subarray(NONCE_BYTES, -TAG_BYTES), tag: bytes.subarray(-TAG_BYTES) };
    const key = decrypt(this.#input(bytes.subarray(0, NONCE_BYTES), keyId), sealed);
    if (key === null) throw mismatch();
    return key;
  }

  /** Authenticates the ring as a whole: which key is active, when keys were made and retired. */
  sealOf(text: string): string {
    return createHmac('sha256', this.#sealingKey.unwrap()).update(text, 'utf8').digest('base64');
  }

  /** @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH` */
  requireSeal(text: string, seal: string): void {
    const expected = Buffer.from(this.sealOf(text), 'base64');
    const given = Buffer.from(seal, 'base64');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw mismatch();
  }

  release(): void {
    this.#wrappingKey.release();
    this.#sealingKey.release();
  }

  #input(nonce: Buffer, keyId: string) {
    const additionalData = Buffer.from(`credential-lifecycle/key-ring/v1\0${this.#ringId}\0${keyId}`, 'utf8');
    return { key: this.#wrappingKey.unwrap(), nonce, additionalData };
  }
}

/** Takes as long as opening a ring with a passphrase does, and fails: what is damaged must not answer faster. */
export async function refuseSlowly(masterKey: MasterKey): Promise<never> {
  if (isPassphrase(masterKey)) (await derived(masterKey, DECOY)).release();
  throw mismatch();
}

export function isPassphrase(masterKey: MasterKey): masterKey is { readonly passphrase: string | Secret<string> } {
  return !Buffer.isBuffer(masterKey) && 'passphrase' in masterKey;
}

/** A wrong master key and an altered key ring look the same, on purpose. */
export function mismatch(): KeyRingError {
  return new KeyRingError(
    'ERR_KEYRING_MASTER_KEY_MISMATCH',
    'The master key does not open the key ring of this database.',
  );
}

async function masterBytes(
  masterKey: MasterKey,
  kdf: KeyDerivation,
): Promise<{ bytes: Secret<Buffer>; owned: boolean }> {
  if (isPassphrase(masterKey)) {
    if (kdf.algorithm === 'raw') return refuseSlowly(masterKey);
    return { bytes: await derived(masterKey, kdf), owned: true };
  }
  const bytes = Buffer.isBuffer(masterKey) ? Secret.of(masterKey) : masterKey;
  requireKeyLength(bytes.unwrap());
  if (kdf.algorithm !== 'raw') throw mismatch();
  return { bytes, owned: false };
}

function derived({ passphrase }: { passphrase: string | Secret<string> }, kdf: Argon2idParameters) {
  return deriveFromPassphrase(typeof passphrase === 'string' ? Secret.of(passphrase) : passphrase, kdf);
}

function requireKeyLength(bytes: Buffer): void {
  if (bytes.length !== KEY_BYTES) throw new TypeError(`Expected the master key to be ${String(KEY_BYTES)} bytes.`);
}

function expand(bytes: Secret<Buffer>, ringId: string, use: string): Secret<Buffer> {
  const info = `credential-lifecycle/key-encryption-key/v1/${use}`;
  return Secret.of(Buffer.from(hkdfSync('sha256', bytes.unwrap(), ringId, info, KEY_BYTES)));
}
