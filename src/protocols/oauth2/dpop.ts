import { createHash, type webcrypto } from 'node:crypto';
import { SignJWT } from 'jose';
import { z } from 'zod/v4';
import type { RandomSource } from '../../ports.ts';
import type { ProofRequest } from '../protocol.ts';

const part = z.string().min(1).max(128);

/** A private EC key as JWK (RFC 7518 §6.2): what DPoP-bound tokens are worth nothing without. */
export const dpopKeySchema = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: part,
  y: part,
  d: part,
});
export type DPoPKey = z.infer<typeof dpopKeySchema>;

const ES256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** A new key for one grant. */
export async function generateDPoPKey(): Promise<DPoPKey> {
  const { privateKey } = await crypto.subtle.generateKey(ES256, true, ['sign', 'verify']);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey('jwk', privateKey);
  return dpopKeySchema.parse({ kty, crv, x, y, d });
}

/** The pair as openid-client signs with it at the token endpoint. */
export async function dpopKeyPair(key: DPoPKey): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = await crypto.subtle.importKey('jwk', key, ES256, false, ['sign']);
  const publicKey = await crypto.subtle.importKey('jwk', publicPart(key), ES256, true, ['verify']);
  return { privateKey, publicKey };
}

/** A proof that whoever sends this request holds the key of its access token (RFC 9449 §4.2). `now`: by the server's clock. */
export async function dpopProof(
  key: DPoPKey,
  { method, url, nonce }: ProofRequest,
  { accessToken, now, random }: { accessToken: string; now: Date; random: RandomSource },
): Promise<string> {
  const target = new URL(url);
  const claims = {
    jti: random.bytes(16).toString('base64url'),
    htm: method.toUpperCase(),
    htu: `${target.origin}${target.pathname}`,
    ath: createHash('sha256').update(accessToken).digest('base64url'),
    ...(nonce !== undefined && { nonce }),
  };
  const { privateKey } = await dpopKeyPair(key);
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: publicPart(key) })
    .setIssuedAt(Math.floor(now.getTime() / 1000))
    .sign(privateKey);
}

function publicPart({ kty, crv, x, y }: DPoPKey) {
  return { kty, crv, x, y };
}
