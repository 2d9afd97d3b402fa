import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { systemRandom } from '../../src/ports.ts';
import { decrypt } from '../../src/vault/aead.ts';
import { envelopeKeyId, expandDataKey, openEnvelope, sealEnvelope, type SealedName } from '../../src/vault/envelope.ts';
import { codeOf } from '../support/codes.ts';
import { twoKeyCiphertext } from '../support/ghash.ts';

const key = expandDataKey(Buffer.alloc(16, 1), Buffer.alloc(32, 2));
const otherKey = expandDataKey(Buffer.alloc(16, 3), Buffer.alloc(32, 4));
const name: SealedName = { ownerId: 'alice', credentialId: 'cr_1', field: 'grant', generation: 3, attemptId: 'a1' };
const HEADER_BYTES = 62;

it('opens what it sealed, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 4096 }), (bytes) => {
      const plaintext = Buffer.from(bytes);
      expect(openEnvelope(key, name, sealEnvelope(key, name, plaintext, systemRandom))).toEqual(plaintext);
    }),
  );
});

it('never seals twice to the same bytes', () => {
  const seal = (): string => sealEnvelope(key, name, Buffer.from('secret'), systemRandom).toString('hex');
  expect(new Set(Array.from({ length: 1000 }, seal)).size).toBe(1000);
});

it.each<[string, Partial<SealedName>]>([
  ['another owner', { ownerId: 'bob' }],
  ['no owner', { ownerId: null }],
  ['another credential', { credentialId: 'cr_2' }],
  ['another field', { field: 'registered' }],
  ['an older generation', { generation: 2 }],
  ['another attempt', { attemptId: 'a2' }],
])('does not open under the name of %s', (_sentence, change) => {
  const envelope = sealEnvelope(key, name, Buffer.from('secret'), systemRandom);
  expect(codeOf(() => openEnvelope(key, { ...name, ...change }, envelope))).toBe('ERR_KEYRING_AUTHENTICATION_FAILED');
});

it('keeps names apart whose parts run together', () => {
  const envelope = sealEnvelope(key, { ...name, credentialId: 'ab', field: 'c' }, Buffer.from('x'), systemRandom);
  expect(codeOf(() => openEnvelope(key, { ...name, credentialId: 'a', field: 'bc' }, envelope))).toBe(
    'ERR_KEYRING_AUTHENTICATION_FAILED',
  );
});

it('answers every flipped bit and every truncation with a code', () => {
  const envelope = sealEnvelope(key, name, Buffer.from('a secret'), systemRandom);
  const codes = new Set<string>();
  for (let bit = 0; bit < envelope.length * 8; bit += 1) {
    const flipped = Buffer.from(envelope);
    flipped.writeUInt8((flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7)), bit >> 3);
    codes.add(codeOf(() => openEnvelope(key, name, flipped)));
  }
  for (let length = 0; length < envelope.length; length += 1) {
    codes.add(codeOf(() => openEnvelope(key, name, envelope.subarray(0, length))));
  }
  codes.add(codeOf(() => openEnvelope(key, name, Buffer.concat([envelope, Buffer.alloc(1)]))));
  expect([...codes].sort()).toEqual(['ERR_KEYRING_AUTHENTICATION_FAILED', 'ERR_KEYRING_ENVELOPE_MALFORMED']);
});

it('does not open with a key of another id, nor with another key that claims this id', () => {
  const envelope = sealEnvelope(key, name, Buffer.from('secret'), systemRandom);
  expect(codeOf(() => openEnvelope(otherKey, name, envelope))).toBe('ERR_KEYRING_AUTHENTICATION_FAILED');
  expect(codeOf(() => openEnvelope({ ...otherKey, keyId: key.keyId }, name, envelope))).toBe(
    'ERR_KEYRING_AUTHENTICATION_FAILED',
  );
});

it('refuses a value whose tag is right but whose commitment is for another key', () => {
  // What an attacker who knows two keys can build: valid under the second one in every way that GCM itself checks.
  const nonce = Buffer.alloc(12, 9);
  const header = Buffer.concat([Buffer.from([1, 1]), otherKey.keyId, key.commitment, nonce]);
  const cipher = createCipheriv('aes-256-gcm', otherKey.encryptionKey.unwrap(), nonce, { authTagLength: 16 });
  const aad = Buffer.concat([header, ...['+', 'alice', 'cr_1', 'grant', '3', 'a1'].map(lengthPrefixed)]);
  cipher.setAAD(aad);
  const body = Buffer.concat([cipher.update('evil'), cipher.final(), cipher.getAuthTag()]);
  const honest = Buffer.concat([Buffer.from([1, 1]), otherKey.keyId, otherKey.commitment, nonce]);
  expect(header.length).toBe(HEADER_BYTES);
  expect(codeOf(() => openEnvelope(otherKey, name, Buffer.concat([header, body])))).toBe(
    'ERR_KEYRING_AUTHENTICATION_FAILED',
  );
  expect(codeOf(() => openEnvelope(otherKey, name, Buffer.concat([honest, body])))).toBe(
    'ERR_KEYRING_AUTHENTICATION_FAILED',
  );
});

describe('a ciphertext that was built to open under two keys', () => {
  const attempted = systemRandom.bytes(12);
  const parts = ['+', 'alice', 'cr_1', 'grant', '3', 'a1'].map(lengthPrefixed);
  const header = Buffer.concat([Buffer.from([1, 1]), key.keyId, key.commitment, attempted]);
  const additionalData = Buffer.concat([header, ...parts]);
  const keys = [key, otherKey].map((each) => each.encryptionKey.unwrap()) as [Buffer, Buffer];
  const sealed = twoKeyCiphertext(keys, attempted, additionalData);
  const envelope = Buffer.concat([header, sealed.ciphertext, sealed.tag]);

  it('is accepted by GCM itself under both, with different contents', () => {
    const [first, second] = keys.map((each) => decrypt({ key: each, nonce: attempted, additionalData }, sealed));
    expect(first).toHaveLength(32);
    expect(second).toHaveLength(32);
    expect(first).not.toEqual(second);
  });

  it('opens under the key that it is committed to and not under the second', () => {
    expect(openEnvelope(key, name, envelope)).toHaveLength(32);
    expect(codeOf(() => openEnvelope(otherKey, name, envelope))).toBe('ERR_KEYRING_AUTHENTICATION_FAILED');
    // Not even when the second key goes by the id of the first.
    expect(codeOf(() => openEnvelope({ ...otherKey, keyId: key.keyId }, name, envelope))).toBe(
      'ERR_KEYRING_AUTHENTICATION_FAILED',
    );
  });
});

it.each([
  ['no byte', 0],
  ['64 MiB', 64 * 1024 * 1024],
])('seals and opens %s', (_sentence, length) => {
  const plaintext = Buffer.alloc(length, 7);
  const envelope = sealEnvelope(key, name, plaintext, systemRandom);
  expect(envelope.length).toBe(HEADER_BYTES + length + 16);
  expect(openEnvelope(key, name, envelope).equals(plaintext)).toBe(true);
});

it('refuses every other version and algorithm, and a tag of four bytes', () => {
  const envelope = sealEnvelope(key, name, Buffer.from('secret'), systemRandom);
  for (const at of [0, 1]) {
    for (let value = 0; value < 256; value += 1) {
      if (value === envelope[at]) continue;
      const other = Buffer.from(envelope);
      other.writeUInt8(value, at);
      expect(codeOf(() => openEnvelope(key, name, other))).toBe('ERR_KEYRING_ENVELOPE_MALFORMED');
    }
  }
  expect(codeOf(() => openEnvelope(key, name, envelope.subarray(0, -12)))).toBe('ERR_KEYRING_ENVELOPE_MALFORMED');
});

it('decodes any bytes to a code and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(codeOf(() => openEnvelope(key, name, Buffer.from(bytes)))).toMatch(/^ERR_KEYRING_/);
    }),
  );
});

it('names its key in the header', () => {
  expect(envelopeKeyId(sealEnvelope(key, name, Buffer.alloc(0), systemRandom))).toEqual(key.keyId);
});

function lengthPrefixed(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text)]);
}
