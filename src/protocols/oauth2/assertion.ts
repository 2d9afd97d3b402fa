import { SignJWT } from 'jose';
import type { RandomSource } from '../../ports.ts';
import { signingKeyOf } from './client-key.ts';
import type { OAuth2Config, OAuth2Secret } from './config.ts';

/**
 * An assertion for the JWT-bearer grant (RFC 7523 §3), fresh for each request: its `jti` is never used twice.
 *
 * @param now By the server's clock.
 */
export async function signAssertion(
  config: OAuth2Config,
  secret: OAuth2Secret,
  { tokenEndpoint, now, random }: { tokenEndpoint: string; now: Date; random: RandomSource },
): Promise<string> {
  const { assertion } = config;
  const { key, algorithm } = signingKeyOf(secret.assertionKey ?? '', assertion?.algorithm);
  const issuer = assertion?.issuer ?? config.clientId;
  const issuedAt = Math.floor(now.getTime() / 1000);
  const header = { alg: algorithm, typ: 'JWT', ...(assertion?.keyId !== undefined && { kid: assertion.keyId }) };
  return new SignJWT({ ...assertion?.claims })
    .setProtectedHeader(header)
    .setIssuer(issuer)
    .setSubject(assertion?.subject ?? issuer)
    .setAudience(assertion?.audience ?? config.issuer ?? tokenEndpoint)
    .setJti(random.bytes(16).toString('base64url'))
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + Math.floor((assertion?.lifetimeMs ?? DEFAULT_LIFETIME_MS) / 1000))
    .sign(key);
}

const DEFAULT_LIFETIME_MS = 300_000;
