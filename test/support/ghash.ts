import { createCipheriv } from 'node:crypto';

/** Arithmetic of GHASH (NIST SP 800-38D §6), to build what an attacker with two keys can build. Test code: slow and plain. */
const R = 0xe1n << 120n;

export function multiply(x: bigint, y: bigint): bigint {
  let product = 0n;
  let factor = y;
  for (let bit = 127n; bit >= 0n; bit -= 1n) {
    if ((x >> bit) & 1n) product ^= factor;
    factor = factor & 1n ? (factor >> 1n) ^ R : factor >> 1n;
  }
  return product;
}

const ONE = 1n << 127n;

export function power(base: bigint, exponent: bigint): bigint {
  let result = ONE;
  let square = base;
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

/** The field has 2^128 elements, so x^(2^128 - 2) is 1/x. */
export function inverse(x: bigint): bigint {
  return power(x, 2n ** 128n - 2n);
}

export function blocksOf(bytes: Buffer): bigint[] {
  const padded = Buffer.concat([bytes, Buffer.alloc((16 - (bytes.length % 16)) % 16)]);
  return Array.from({ length: padded.length / 16 }, (_, index) =>
    toNumber(padded.subarray(index * 16, index * 16 + 16)),
  );
}

export function toNumber(block: Buffer): bigint {
  return BigInt(`0x${block.toString('hex')}`);
}

export function toBlock(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(32, '0'), 'hex');
}

/** One block through AES-256. */
function encipher(key: Buffer, block: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/**
 * A ciphertext and a tag that AES-256-GCM accepts under both keys, with this nonce and additional data (the key multi-collision
 * of Len, Grubbs and Ristenpart, 2021): the tag is linear in each block of the ciphertext, so one block can be solved for.
 */
export function twoKeyCiphertext(
  keys: readonly [Buffer, Buffer],
  nonce: Buffer,
  additionalData: Buffer,
): { ciphertext: Buffer; tag: Buffer } {
  const hashKeys = keys.map((key) => toNumber(encipher(key, Buffer.alloc(16))));
  const masks = keys.map((key) => toNumber(encipher(key, Buffer.concat([nonce, Buffer.from([0, 0, 0, 1])]))));
  const lengths = (BigInt(additionalData.length * 8) << 64n) | BigInt(32 * 8);
  const fixed = Buffer.alloc(16, 0x2a);
  // The block to be solved for is the first of two: its coefficient is H^3, after it come the other block and the lengths.
  const blocks = (free: bigint): bigint[] => [...blocksOf(additionalData), free, toNumber(fixed), lengths];
  const ghash = (hashKey: bigint, free: bigint): bigint =>
    blocks(free).reduce((sum, block) => multiply(sum ^ block, hashKey), 0n);
  const [h1 = 0n, h2 = 0n] = hashKeys;
  const [s1 = 0n, s2 = 0n] = masks;
  const difference = ghash(h1, 0n) ^ ghash(h2, 0n) ^ s1 ^ s2;
  const free = multiply(difference, inverse(power(h1, 3n) ^ power(h2, 3n)));
  return { ciphertext: Buffer.concat([toBlock(free), fixed]), tag: toBlock(ghash(h1, free) ^ s1) };
}
