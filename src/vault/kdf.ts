import { argon2, type Argon2Parameters } from 'node:crypto';
import { z } from 'zod/v4';
import { KeyRingError } from '../errors.ts';
import { Secret } from '../secret.ts';

/** Argon2id parameters (RFC 9106 §3.1) as kept in the key ring. */
export interface Argon2idParameters {
  readonly algorithm: 'argon2id';
  /** 16 bytes, base64. */
  readonly salt: string;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
}

export const argon2idSchema = z.strictObject({
  algorithm: z.literal('argon2id'),
  salt: z.base64(),
  memoryKiB: z.int(),
  passes: z.int(),
  parallelism: z.int(),
});

const DEFAULTS = { memoryKiB: 19_456, passes: 2, parallelism: 1 } as const;
const SALT_BYTES = 16;
const DERIVED_BYTES = 32;

/** What a stored parameter may be; both ends count. */
export interface Argon2idBounds {
  readonly memoryKiB: readonly [least: number, most: number];
  readonly passes: readonly [least: number, most: number];
  readonly parallelism: readonly [least: number, most: number];
}

/** Bounds come from here, never from the file: neither a memory bomb nor a downgrade gets as far as an allocation. */
export const ARGON2ID_BOUNDS: Argon2idBounds = {
  memoryKiB: [19_456, 1_048_576],
  passes: [2, 16],
  parallelism: [1, 4],
};

export function newArgon2idParameters(salt: Buffer): Argon2idParameters {
  return { algorithm: 'argon2id', salt: salt.toString('base64'), ...DEFAULTS };
}

export const ARGON2ID_SALT_BYTES = SALT_BYTES;

/**
 * Derives 32 bytes from a passphrase, which is taken in its normal form NFKC. Release what you get.
 *
 * @throws KeyRingError `ERR_KEYRING_PARAMETERS_REFUSED` before any memory is taken.
 */
export async function deriveFromPassphrase(
  passphrase: Secret<string>,
  parameters: Argon2idParameters,
): Promise<Secret<Buffer>> {
  const nonce = Buffer.from(parameters.salt, 'base64');
  requireWithinBounds(parameters, nonce);
  const message = Buffer.from(passphrase.unwrap().normalize('NFKC'), 'utf8');
  const { memoryKiB: memory, passes, parallelism } = parameters;
  try {
    return Secret.of(await argon2id({ message, nonce, memory, passes, parallelism, tagLength: DERIVED_BYTES }));
  } finally {
    message.fill(0);
  }
}

/** Argon2id, version 0x13 (RFC 9106). */
export function argon2id(input: Argon2Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2('argon2id', input, (error, derived) => {
      if (error) reject(error);
      else resolve(derived);
    });
  });
}

function requireWithinBounds(parameters: Argon2idParameters, nonce: Buffer): void {
  const within = (['memoryKiB', 'passes', 'parallelism'] as const).every((name) => {
    const [least, most] = ARGON2ID_BOUNDS[name];
    return parameters[name] >= least && parameters[name] <= most;
  });
  if (within && nonce.length === SALT_BYTES) return;
  throw new KeyRingError(
    'ERR_KEYRING_PARAMETERS_REFUSED',
    'The key derivation parameters are outside the allowed bounds.',
  );
}
