import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';

/** The one cipher of this package: AES-256-GCM with nonces of 96 bits and tags of 128 bits (NIST SP 800-38D). */
const ALGORITHM = 'aes-256-gcm';
export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

/** Key, nonce and additional data of one encryption. */
export interface AeadInput {
  /** As an object it is taken in once; bytes are taken in at each call, which costs more than the cipher does. */
  readonly key: Buffer | KeyObject;
  /** Never the same twice under one key. */
  readonly nonce: Buffer;
  readonly additionalData: Buffer;
}

/**
 * The parts of ciphertext and tag, in order, to be joined by the caller into whatever holds them.
 *
 * @throws TypeError for a key or nonce of another size: that is misuse, not data
 */
export function encrypt({ key, nonce, additionalData }: AeadInput, plaintext: Buffer): [Buffer, Buffer] {
  requireSizes(key, nonce);
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData);
  const ciphertext = cipher.update(plaintext);
  // A stream mode has nothing left at the end.
  cipher.final();
  return [ciphertext, cipher.getAuthTag()];
}

/** The plaintext; `null` when the tag does not belong to everything else. A tag of another size never does. */
export function decrypt(
  { key, nonce, additionalData }: AeadInput,
  { ciphertext, tag }: { ciphertext: Buffer; tag: Buffer },
): Buffer | null {
  requireSizes(key, nonce);
  if (tag.length !== TAG_BYTES) return null;
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData).setAuthTag(tag);
  const plaintext = decipher.update(ciphertext);
  try {
    decipher.final();
    return plaintext;
  } catch {
    // What did not authenticate is given to nobody.
    plaintext.fill(0);
    return null;
  }
}

function requireSizes(key: Buffer | KeyObject, nonce: Buffer): void {
  const size = Buffer.isBuffer(key) ? key.length : key.symmetricKeySize;
  if (size !== KEY_BYTES) throw new TypeError(`Expected a key of ${String(KEY_BYTES)} bytes.`);
  if (nonce.length !== NONCE_BYTES) throw new TypeError(`Expected a nonce of ${String(NONCE_BYTES)} bytes.`);
}
