import { createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto';
import { KeyRingError } from '../errors.ts';
import type { RandomSource } from '../ports.ts';
import { Secret } from '../secret.ts';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from './aead.ts';

/**
 * Envelope v1. Every byte of the header, and the context that names what is sealed, is authenticated.
 *
 * | offset | bytes | what |
 * | --- | --- | --- |
 * | 0 | 1 | version, 1 |
 * | 1 | 1 | algorithm, 1 = AES-256-GCM |
 * | 2 | 16 | data key id |
 * | 18 | 32 | key commitment |
 * | 50 | 12 | nonce, random |
 * | 62 | n | ciphertext |
 * | 62 + n | 16 | tag |
 */
const VERSION = 1;
const AES_256_GCM = 1;
export const KEY_ID_BYTES = 16;
const COMMITMENT_BYTES = 32;
const KEY_ID_AT = 2;
const COMMITMENT_AT = KEY_ID_AT + KEY_ID_BYTES;
const NONCE_AT = COMMITMENT_AT + COMMITMENT_BYTES;
const HEADER_BYTES = NONCE_AT + NONCE_BYTES;
const LENGTH_BYTES = 4;
const PREAMBLE = Buffer.from([VERSION, AES_256_GCM]);

/** A data key, split for its two uses: GCM alone does not commit to a key, the derived value does. */
export interface DataKey {
  readonly keyId: Buffer;
  /** In a holder, so that a key that was released cannot seal any more: it would seal under zeros. */
  readonly encryptionKey: Secret<Buffer>;
  readonly commitment: Buffer;
}

/** What is sealed, bound as additional data: a value moved to another name does not open. */
export interface SealedName {
  readonly ownerId: string | null;
  readonly credentialId: string;
  readonly field: string;
  readonly generation: number;
  readonly attemptId: string;
}

/** HKDF-SHA-256 over 32 bytes of key material, with the key id as salt. */
export function expandDataKey(keyId: Buffer, material: Buffer): DataKey {
  const derive = (use: string): Buffer =>
    Buffer.from(hkdfSync('sha256', material, keyId, `credential-lifecycle/envelope/v1/${use}`, 32));
  return { keyId, encryptionKey: Secret.of(derive('encrypt')), commitment: derive('commit') };
}

const keyObjects = new WeakMap<Buffer, KeyObject>();

/**
 * The key as cipher and MAC take it, made once. It goes with the bytes that it came of: when they are released, nobody reaches
 * it any more, and its memory is cleared when it is collected.
 *
 * @throws TypeError after the key was released
 */
export function keyObjectOf(key: Secret<Buffer>): KeyObject {
  const bytes = key.unwrap();
  const known = keyObjects.get(bytes);
  if (known) return known;
  const made = createSecretKey(bytes);
  keyObjects.set(bytes, made);
  return made;
}

export function sealEnvelope(key: DataKey, name: SealedName, plaintext: Buffer, random: RandomSource): Buffer {
  const nonce = random.bytes(NONCE_BYTES);
  const header = Buffer.concat([PREAMBLE, key.keyId, key.commitment, nonce]);
  const input = { key: keyObjectOf(key.encryptionKey), nonce, additionalData: additionalData(header, name) };
  return Buffer.concat([header, ...encrypt(input, plaintext)]);
}

/**
 * Id of the data key that an envelope names.
 *
 * @throws KeyRingError `ERR_KEYRING_ENVELOPE_MALFORMED`
 */
export function envelopeKeyId(envelope: Buffer): Buffer {
  if (envelope.length < HEADER_BYTES + TAG_BYTES) throw malformed('is shorter than its header');
  if (envelope[0] !== VERSION) throw malformed('has an unknown version');
  if (envelope[1] !== AES_256_GCM) throw malformed('has an unknown algorithm');
  return envelope.subarray(KEY_ID_AT, COMMITMENT_AT);
}

/**
 * Opens an envelope with the one key that it names; no other key is ever tried.
 *
 * @throws KeyRingError `ERR_KEYRING_ENVELOPE_MALFORMED`, `ERR_KEYRING_AUTHENTICATION_FAILED`
 */
export function openEnvelope(key: DataKey, name: SealedName, envelope: Buffer): Buffer {
  const keyId = envelopeKeyId(envelope);
  const commitment = envelope.subarray(COMMITMENT_AT, NONCE_AT);
  if (!timingSafeEqual(keyId, key.keyId) || !timingSafeEqual(commitment, key.commitment)) throw notAuthentic();
  const input = {
    key: keyObjectOf(key.encryptionKey),
    nonce: envelope.subarray(NONCE_AT, HEADER_BYTES),
    additionalData: additionalData(envelope.subarray(0, HEADER_BYTES), name),
  };
  const sealed = { ciphertext: envelope.subarray(HEADER_BYTES, -TAG_BYTES), tag: envelope.subarray(-TAG_BYTES) };
  const plaintext = decrypt(input, sealed);
  if (plaintext === null) throw notAuthentic();
  return plaintext;
}

/** The header and each part of the name, every part preceded by its length so that no two names give the same bytes. */
function additionalData(header: Buffer, name: SealedName): Buffer {
  const owner = name.ownerId === null ? ['-'] : ['+', name.ownerId];
  const parts = [...owner, name.credentialId, name.field, String(name.generation), name.attemptId];
  const lengths = parts.map((part) => Buffer.byteLength(part, 'utf8'));
  // In one piece: this runs at each use of a credential.
  const bytes = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + LENGTH_BYTES + length, header.length));
  let at = header.copy(bytes);
  for (const [index, part] of parts.entries()) {
    at = bytes.writeUInt32BE(lengths[index] ?? 0, at);
    at += bytes.write(part, at, 'utf8');
  }
  return bytes;
}

function malformed(what: string): KeyRingError {
  return new KeyRingError('ERR_KEYRING_ENVELOPE_MALFORMED', `A sealed value ${what}.`);
}

function notAuthentic(): KeyRingError {
  return new KeyRingError('ERR_KEYRING_AUTHENTICATION_FAILED', 'A sealed value does not belong where it was found.');
}
