import { z } from 'zod/v4';
import { StorageError } from '../errors.ts';
import { canonicalJson } from '../json.ts';
import type { Clock, RandomSource } from '../ports.ts';
import { KEY_BYTES } from './aead.ts';
import { KEY_ID_BYTES } from './envelope.ts';
import type { KeyDerivation, KeyEncryptionKey } from './key-encryption-key.ts';
import { argon2idSchema } from './kdf.ts';

/** Name under which the key of the keyed hashes is wrapped; it never rotates. */
export const HASH_KEY_ID = 'hash-key';
const SCHEMA_VERSION = 1;

const keyIdSchema = z.string().regex(new RegExp(`^[0-9a-f]{${String(KEY_ID_BYTES * 2)}}$`));
const storedKeySchema = z.strictObject({
  keyId: keyIdSchema,
  createdAt: z.iso.datetime(),
  retiredAt: z.iso.datetime().nullable(),
  wrapped: z.base64(),
});
const bodySchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  ringId: z.string(),
  kdf: z.discriminatedUnion('algorithm', [z.strictObject({ algorithm: z.literal('raw') }), argon2idSchema]),
  activeKey: keyIdSchema,
  keys: z.array(storedKeySchema).min(1),
  hashKey: z.base64(),
});
const ringSchema = bodySchema.extend({ seal: z.base64() });

/** One data key as stored: wrapped. */
export type StoredKey = Readonly<z.infer<typeof storedKeySchema>>;
/** What the key ring says. Its text form is sealed as a whole under the key-encryption key. */
export type RingBody = Readonly<z.infer<typeof bodySchema>>;

export interface RingDocument {
  readonly body: RingBody;
  readonly seal: string;
}

interface Ports {
  readonly clock: Clock;
  readonly random: RandomSource;
}

/**
 * Reads the stored form; `null` when it is not one.
 *
 * @throws StorageError `ERR_STORE_SCHEMA_TOO_NEW`
 */
export function parseRing(text: string): RingDocument | null {
  const value = parseJson(text);
  const version = value instanceof Object && 'schemaVersion' in value ? value.schemaVersion : undefined;
  if (typeof version === 'number' && version > SCHEMA_VERSION) {
    throw new StorageError(
      'ERR_STORE_SCHEMA_TOO_NEW',
      `The key ring has schema version ${String(version)}; this version reads ${String(SCHEMA_VERSION)}.`,
    );
  }
  const result = ringSchema.safeParse(value);
  if (!result.success) return null;
  const { seal, ...body } = result.data;
  return { body, seal };
}

export function encodeRing(body: RingBody, kek: KeyEncryptionKey): string {
  return JSON.stringify({ ...body, seal: kek.sealOf(canonicalJson(body)) });
}

/** @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH` */
export function requireSealed({ body, seal }: RingDocument, kek: KeyEncryptionKey): void {
  kek.requireSeal(canonicalJson(body), seal);
}

export function newRingId(random: RandomSource): string {
  return random.bytes(KEY_ID_BYTES).toString('hex');
}

export function foundRing(ringId: string, kdf: KeyDerivation, kek: KeyEncryptionKey, ports: Ports): RingBody {
  const key = newKey(kek, ports);
  return {
    schemaVersion: SCHEMA_VERSION,
    ringId,
    kdf,
    activeKey: key.keyId,
    keys: [key],
    hashKey: wrapNewKey(kek, HASH_KEY_ID, ports.random),
  };
}

/** The ring with a new active key; the one before is retired and stays. */
export function withNewKey(body: RingBody, kek: KeyEncryptionKey, ports: Ports): RingBody {
  const retiredAt = ports.clock.now().toISOString();
  const retired = body.keys.map((key) => (key.keyId === body.activeKey ? { ...key, retiredAt } : key));
  const key = newKey(kek, ports);
  return { ...body, activeKey: key.keyId, keys: [...retired, key] };
}

/** The same keys under another key-encryption key. Nothing that they have sealed is touched. */
export function rewrapped(
  body: RingBody,
  from: KeyEncryptionKey,
  to: { kek: KeyEncryptionKey; kdf: KeyDerivation },
  random: RandomSource,
): RingBody {
  const rewrap = (keyId: string, wrapped: string): string => {
    const key = from.unwrapKey(keyId, wrapped);
    const again = to.kek.wrapKey(keyId, key, random);
    key.fill(0);
    return again;
  };
  return {
    ...body,
    kdf: to.kdf,
    keys: body.keys.map((key) => ({ ...key, wrapped: rewrap(key.keyId, key.wrapped) })),
    hashKey: rewrap(HASH_KEY_ID, body.hashKey),
  };
}

export function withoutKeys(body: RingBody, keyIds: ReadonlySet<string>): RingBody {
  return { ...body, keys: body.keys.filter((key) => !keyIds.has(key.keyId)) };
}

/**
 * Retired keys that may go: nothing refers to them, `keepNewest` newer ones are retired too, and they were retired before
 * `retiredBefore`, so that no writer that started under one of them is still at work.
 */
export function removableKeys(
  body: RingBody,
  limits: { referenced: ReadonlySet<string>; keepNewest: number; retiredBefore: Date },
): string[] {
  const retired = body.keys
    .flatMap((key) => (key.retiredAt === null ? [] : [{ keyId: key.keyId, retiredAt: new Date(key.retiredAt) }]))
    // The order of the ring decides between keys that were retired in the same millisecond.
    .reverse()
    .sort((one, other) => other.retiredAt.getTime() - one.retiredAt.getTime());
  return retired
    .slice(limits.keepNewest)
    .filter(({ keyId, retiredAt }) => retiredAt < limits.retiredBefore && !limits.referenced.has(keyId))
    .map(({ keyId }) => keyId);
}

function newKey(kek: KeyEncryptionKey, { clock, random }: Ports): StoredKey {
  const keyId = random.bytes(KEY_ID_BYTES).toString('hex');
  const wrapped = wrapNewKey(kek, keyId, random);
  return { keyId, createdAt: clock.now().toISOString(), retiredAt: null, wrapped };
}

function wrapNewKey(kek: KeyEncryptionKey, keyId: string, random: RandomSource): string {
  const key = random.bytes(KEY_BYTES);
  const wrapped = kek.wrapKey(keyId, key, random);
  key.fill(0);
  return wrapped;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
