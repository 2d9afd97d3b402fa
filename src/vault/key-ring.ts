import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { z } from 'zod/v4';
import { KeyRingError } from '../errors.ts';
import type { Clock, RandomSource } from '../ports.ts';
import { Secret } from '../secret.ts';
import type { RecordStore } from '../storage/record-store.ts';
import { expandDataKey, KEY_ID_BYTES, type DataKey } from './envelope.ts';
import { ARGON2ID_SALT_BYTES, argon2idSchema, deriveFromPassphrase, newArgon2idParameters } from './kdf.ts';

/** 32 random bytes, or a passphrase from which they are derived (Argon2id). */
export type MasterKey = Buffer | Secret<Buffer> | { readonly passphrase: string | Secret<string> };

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HASH_KEY_ID = 'hash-key';

const ringSchema = z.strictObject({
  schemaVersion: z.literal(1),
  ringId: z.string(),
  kdf: z.discriminatedUnion('algorithm', [z.strictObject({ algorithm: z.literal('raw') }), argon2idSchema]),
  activeKey: z.string(),
  keys: z.array(
    z.strictObject({
      keyId: z.string(),
      createdAt: z.iso.datetime(),
      retiredAt: z.iso.datetime().nullable(),
      wrapped: z.base64(),
    }),
  ),
  hashKey: z.base64(),
});
type StoredRing = z.infer<typeof ringSchema>;

/**
 * The data keys of one store, unwrapped. The stored form holds them sealed under the key-encryption key (AES-256-GCM,
 * which binds ring and key id as additional data; AES-KW could not).
 */
export class KeyRing {
  readonly #keys: ReadonlyMap<string, DataKey>;
  readonly #activeKey: DataKey;
  readonly #hashKey: Buffer;

  private constructor(keys: ReadonlyMap<string, DataKey>, activeKey: DataKey, hashKey: Buffer) {
    this.#keys = keys;
    this.#activeKey = activeKey;
    this.#hashKey = hashKey;
  }

  /**
   * Opens the store's key ring, or founds one when the store has none yet.
   *
   * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH`, `ERR_KEYRING_PARAMETERS_REFUSED`
   */
  static async open(
    store: RecordStore,
    masterKey: MasterKey,
    ports: { clock: Clock; random: RandomSource },
  ): Promise<KeyRing> {
    const existing = await store.getKeyRing();
    if (existing !== null) return KeyRing.#unwrap(parseRing(existing), masterKey);
    const founded = JSON.stringify(await foundRing(masterKey, ports));
    await store.compareAndSetKeyRing(founded, null);
    // Another process may have founded it first: what counts is what is stored.
    return KeyRing.#unwrap(parseRing((await store.getKeyRing()) ?? founded), masterKey);
  }

  static async #unwrap(ring: StoredRing, masterKey: MasterKey): Promise<KeyRing> {
    const kek = await keyEncryptionKey(ring, masterKey);
    const keys = new Map<string, DataKey>();
    for (const { keyId, wrapped } of ring.keys) {
      keys.set(keyId, expandDataKey(Buffer.from(keyId, 'hex'), unwrapKey(kek, ring.ringId, keyId, wrapped)));
    }
    const active = keys.get(ring.activeKey);
    if (!active) throw new KeyRingError('ERR_KEYRING_KEY_UNKNOWN', 'The key ring has no active key.');
    return new KeyRing(keys, active, unwrapKey(kek, ring.ringId, HASH_KEY_ID, ring.hashKey));
  }

  get activeKey(): DataKey {
    return this.#activeKey;
  }

  /** @throws KeyRingError `ERR_KEYRING_KEY_UNKNOWN` */
  key(keyId: Buffer): DataKey {
    const key = this.#keys.get(keyId.toString('hex'));
    if (key) return key;
    throw new KeyRingError(
      'ERR_KEYRING_KEY_UNKNOWN',
      'A sealed value names a data key that the key ring does not hold.',
    );
  }

  /** HMAC-SHA-256 under a key of this ring; `purpose` keeps the uses apart. It stays the same when data keys rotate. */
  keyedHash(purpose: string, text: string): Buffer {
    return createHmac('sha256', this.#hashKey).update(`${purpose}\0${text}`, 'utf8').digest();
  }
}

async function foundRing(masterKey: MasterKey, ports: { clock: Clock; random: RandomSource }): Promise<StoredRing> {
  const ringId = ports.random.bytes(KEY_ID_BYTES).toString('hex');
  const keyId = ports.random.bytes(KEY_ID_BYTES).toString('hex');
  const kdf = isPassphrase(masterKey)
    ? newArgon2idParameters(ports.random.bytes(ARGON2ID_SALT_BYTES))
    : ({ algorithm: 'raw' } as const);
  const kek = await keyEncryptionKey({ ringId, kdf }, masterKey);
  const wrap = (id: string): string => wrapKey(kek, ringId, id, ports.random.bytes(KEY_BYTES), ports.random);
  return {
    schemaVersion: 1,
    ringId,
    kdf,
    activeKey: keyId,
    keys: [{ keyId, createdAt: ports.clock.now().toISOString(), retiredAt: null, wrapped: wrap(keyId) }],
    hashKey: wrap(HASH_KEY_ID),
  };
}

async function keyEncryptionKey(ring: Pick<StoredRing, 'ringId' | 'kdf'>, masterKey: MasterKey): Promise<Buffer> {
  const master = await masterBytes(ring.kdf, masterKey);
  return Buffer.from(
    hkdfSync('sha256', master.unwrap(), ring.ringId, 'credential-lifecycle/key-encryption-key/v1', KEY_BYTES),
  );
}

async function masterBytes(kdf: StoredRing['kdf'], masterKey: MasterKey): Promise<Secret<Buffer>> {
  if (isPassphrase(masterKey)) {
    const { passphrase } = masterKey;
    if (kdf.algorithm !== 'argon2id') throw mismatch();
    return deriveFromPassphrase(typeof passphrase === 'string' ? Secret.of(passphrase) : passphrase, kdf);
  }
  if (kdf.algorithm !== 'raw') throw mismatch();
  const key = Buffer.isBuffer(masterKey) ? Secret.of(masterKey) : masterKey;
  if (key.unwrap().length !== KEY_BYTES)
    throw new TypeError(`Expected the master key to be ${String(KEY_BYTES)} bytes.`);
  return key;
}

function isPassphrase(masterKey: MasterKey): masterKey is { readonly passphrase: string | Secret<string> } {
  return !Buffer.isBuffer(masterKey) && 'passphrase' in masterKey;
}

function wrapKey(kek: Buffer, ringId: string, keyId: string, key: Buffer, random: RandomSource): string {
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', kek, nonce, { authTagLength: TAG_BYTES }).setAAD(
    wrapContext(ringId, keyId),
  );
  return Buffer.concat([nonce, cipher.update(key), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

function unwrapKey(kek: Buffer, ringId: string, keyId: string, wrapped: string): Buffer {
  const bytes = Buffer.from(wrapped, 'base64');
  if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) throw mismatch();
  const decipher = createDecipheriv('aes-256-gcm', kek, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(wrapContext(ringId, keyId)).setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    throw mismatch();
  }
}

function wrapContext(ringId: string, keyId: string): Buffer {
  return Buffer.from(`credential-lifecycle/key-ring/v1\0${ringId}\0${keyId}`, 'utf8');
}

/** A wrong master key and an altered key ring look the same, on purpose. */
function mismatch(): KeyRingError {
  return new KeyRingError(
    'ERR_KEYRING_MASTER_KEY_MISMATCH',
    'The master key does not open the key ring of this database.',
  );
}

function parseRing(text: string): StoredRing {
  try {
    return ringSchema.parse(JSON.parse(text));
  } catch {
    throw mismatch();
  }
}
