import { z } from 'zod/v4';
import { decrypt, encrypt } from '../../src/vault/aead.ts';
import { argon2id } from '../../src/vault/kdf.ts';
import { cavpVectors, sharedVectors, vectorSuite } from '../support/vectors.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

it('derives what RFC 9106 §5.3 says', async () => {
  const tag = await argon2id({
    message: Buffer.alloc(32, 1),
    nonce: Buffer.alloc(16, 2),
    secret: Buffer.alloc(8, 3),
    associatedData: Buffer.alloc(12, 4),
    memory: 32,
    passes: 3,
    parallelism: 4,
    tagLength: 32,
  });
  expect(tag.toString('hex')).toBe('0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659');
});

vectorSuite("Argon2id, the reference implementation's own tests", sharedVectors('argon2id.json'), (text) => {
  const { rows } = z
    .object({
      rows: z.array(
        z.object({
          passes: z.int(),
          memoryKiB: z.int(),
          parallelism: z.int(),
          password: z.string(),
          salt: z.string(),
          tagHex: z.string(),
        }),
      ),
    })
    .parse(JSON.parse(text));

  it.each(rows)('t = $passes, m = $memoryKiB KiB, p = $parallelism, "$password"', async (row) => {
    const tag = await argon2id({
      message: Buffer.from(row.password),
      nonce: Buffer.from(row.salt),
      memory: row.memoryKiB,
      passes: row.passes,
      parallelism: row.parallelism,
      tagLength: row.tagHex.length / 2,
    });
    expect(tag.toString('hex')).toBe(row.tagHex);
  });
});

vectorSuite('AES-GCM, Wycheproof', sharedVectors('wycheproof-aes-gcm.json'), (text) => {
  const test = z.object({
    tcId: z.int(),
    ...{ key: z.string(), iv: z.string(), aad: z.string(), msg: z.string(), ct: z.string(), tag: z.string() },
    result: z.enum(['valid', 'invalid', 'acceptable']),
  });
  const { testGroups } = z
    .object({
      testGroups: z.array(z.object({ ivSize: z.int(), keySize: z.int(), tagSize: z.int(), tests: z.array(test) })),
    })
    .parse(JSON.parse(text));
  const isOurs = ({ ivSize, keySize, tagSize }: (typeof testGroups)[number]): boolean =>
    ivSize === 96 && keySize === 256 && tagSize === 128;
  const ours = testGroups.filter(isOurs).flatMap(({ tests }) => tests);
  const others = testGroups.filter((group) => !isOurs(group)).flatMap(({ tests }) => tests);

  it('has cases of both kinds', () => {
    expect(ours.filter(({ result }) => result === 'valid').length).toBeGreaterThan(30);
    expect(ours.filter(({ result }) => result === 'invalid').length).toBeGreaterThan(20);
    expect(others.length).toBeGreaterThan(200);
  });

  it.each(ours)('256-bit key, 96-bit nonce, 128-bit tag: case $tcId is $result', (vector) => {
    const input = { key: hex(vector.key), nonce: hex(vector.iv), additionalData: hex(vector.aad) };
    const opened = decrypt(input, { ciphertext: hex(vector.ct), tag: hex(vector.tag) });
    expect(opened?.toString('hex') ?? null).toBe(vector.result === 'valid' ? vector.msg : null);
    if (vector.result !== 'valid') return;
    expect(encrypt(input, hex(vector.msg)).map((part) => part.toString('hex'))).toEqual([vector.ct, vector.tag]);
  });

  it.each(others)('another size of key or nonce is refused by policy: case $tcId', (vector) => {
    const input = { key: hex(vector.key), nonce: hex(vector.iv), additionalData: hex(vector.aad) };
    expect(() => decrypt(input, { ciphertext: hex(vector.ct), tag: hex(vector.tag) })).toThrow(TypeError);
    expect(() => encrypt(input, hex(vector.msg))).toThrow(TypeError);
  });
});

interface CavpCase {
  readonly fields: Readonly<Record<string, string>>;
  readonly sizes: Readonly<Record<string, number>>;
  readonly fails: boolean;
}

/** Reads a response file of NIST's CAVP: `[IVlen = 96]` sets sizes, `Key = ...` a field, a blank line ends a case. */
function parseCavp(text: string): CavpCase[] {
  const sizes: Record<string, number> = {};
  const cases: CavpCase[] = [];
  for (const block of text.split(/\r?\n\r?\n/)) {
    const fields: Record<string, string> = {};
    for (const line of block.split(/\r?\n/)) {
      const size = /^\[(\w+) = (\d+)\]$/.exec(line);
      if (size?.[1] !== undefined) sizes[size[1]] = Number(size[2]);
      const field = /^(\w+) =\s?(\w*)$/.exec(line);
      if (field?.[1] !== undefined) fields[field[1]] = field[2] ?? '';
    }
    if (fields['Key'] !== undefined) cases.push({ fields, sizes: { ...sizes }, fails: /^FAIL$/m.test(block) });
  }
  return cases;
}

function isOurSize({ sizes }: CavpCase): boolean {
  return sizes['IVlen'] === 96 && sizes['Taglen'] === 128;
}

function inputOf({ fields }: CavpCase) {
  return { key: hex(fields['Key'] ?? ''), nonce: hex(fields['IV'] ?? ''), additionalData: hex(fields['AAD'] ?? '') };
}

vectorSuite('AES-256-GCM, NIST CAVP decryption', cavpVectors('ciphers/AES/GCM/gcmDecrypt256.rsp'), (text) => {
  const cases = parseCavp(text);
  const ours = cases.filter(isOurSize);

  it('opens each that passes and refuses each that fails', () => {
    expect(ours.length).toBeGreaterThan(300);
    expect(ours.filter(({ fails }) => fails).length).toBeGreaterThan(50);
    for (const each of ours) {
      const sealed = { ciphertext: hex(each.fields['CT'] ?? ''), tag: hex(each.fields['Tag'] ?? '') };
      expect(decrypt(inputOf(each), sealed)?.toString('hex') ?? null).toBe(each.fails ? null : each.fields['PT']);
    }
  });

  it('refuses each with a shorter tag, the right ones too', () => {
    const short = cases.filter(({ sizes }) => sizes['IVlen'] === 96 && sizes['Taglen'] !== 128);
    expect(short.length).toBeGreaterThan(1_000);
    for (const each of short) {
      const sealed = { ciphertext: hex(each.fields['CT'] ?? ''), tag: hex(each.fields['Tag'] ?? '') };
      expect(decrypt(inputOf(each), sealed)).toBeNull();
    }
  });

  it('refuses each with a nonce of another size', () => {
    const others = cases.filter(({ sizes }) => sizes['IVlen'] !== 96);
    expect(others.length).toBeGreaterThan(1_000);
    for (const each of others) {
      expect(() => decrypt(inputOf(each), { ciphertext: Buffer.alloc(0), tag: Buffer.alloc(16) })).toThrow(TypeError);
    }
  });
});

vectorSuite('AES-256-GCM, NIST CAVP encryption', cavpVectors('ciphers/AES/GCM/gcmEncryptExtIV256.rsp'), (text) => {
  it('seals each to the very bytes', () => {
    const ours = parseCavp(text).filter(isOurSize);
    expect(ours.length).toBeGreaterThan(300);
    for (const each of ours) {
      const parts = encrypt(inputOf(each), hex(each.fields['PT'] ?? '')).map((part) => part.toString('hex'));
      expect(parts).toEqual([each.fields['CT'], each.fields['Tag']]);
    }
  });
});
