import type { RandomSource } from '../ports.ts';

const RANDOM_BYTES = 30;

/**
 * A password of 40 characters with 240 random bits. It has upper and lower case and digits, which is what Active Directory
 * asks for (MS-SAMR §3.1.1.7.2); nearly all have, and those that have not are thrown away.
 */
export function newPassword(random: RandomSource): string {
  for (;;) {
    const password = random.bytes(RANDOM_BYTES).toString('base64url');
    if (/[a-z]/.test(password) && /[A-Z]/.test(password) && /\d/.test(password)) return password;
  }
}
