import { createPrivateKey, X509Certificate, type KeyObject, type webcrypto } from 'node:crypto';
import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';

/** How keys sign assertions (RFC 7518 §3.1, RFC 9864). */
export const SIGNING_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'Ed25519',
] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** An unencrypted private key in PEM that can sign. */
export const privateKeyPem = z.string().max(32_768).refine(isSigningKey, {
  message: 'must be an unencrypted private key in PEM: RSA of 2048 bits or more, P-256, P-384 or Ed25519',
});

/** A certificate in PEM, with the certificates that lead to its issuer behind it. */
export const certificatePem = z
  .string()
  .max(131_072)
  .refine((pem) => readCertificate(pem) !== null, { message: 'must be a certificate in PEM' });

/** A key as openid-client signs with it. */
export interface SigningKey {
  readonly key: webcrypto.CryptoKey;
  readonly algorithm: SigningAlgorithm;
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` when the key does not sign by that algorithm. */
export function signingKeyOf(pem: string, wanted: SigningAlgorithm | undefined): SigningKey {
  const key = createPrivateKey(pem);
  const algorithm = wanted ?? defaultAlgorithm(key);
  if (algorithm === null || !fits(key, algorithm)) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The private key does not sign by the configured algorithm.');
  }
  return { key: key.toCryptoKey(importParameters(algorithm), false, ['sign']), algorithm };
}

/** Whether the certificate is of this key. Both are well-formed. */
export function belongsTo(certificate: string, key: string): boolean {
  return readCertificate(certificate)?.checkPrivateKey(createPrivateKey(key)) ?? false;
}

function isSigningKey(pem: string): boolean {
  const key = readKey(pem);
  return key !== null && defaultAlgorithm(key) !== null;
}

function readKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

function defaultAlgorithm({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): SigningAlgorithm | null {
  const { modulusLength = 0, namedCurve } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'rsa') return modulusLength >= 2048 ? 'RS256' : null;
  if (asymmetricKeyType === 'ed25519') return 'Ed25519';
  if (asymmetricKeyType !== 'ec') return null;
  return namedCurve === 'prime256v1' ? 'ES256' : namedCurve === 'secp384r1' ? 'ES384' : null;
}

function fits(key: KeyObject, algorithm: SigningAlgorithm): boolean {
  const own = defaultAlgorithm(key);
  return own === algorithm || (own === 'RS256' && /^[RP]S/.test(algorithm));
}

function importParameters(algorithm: SigningAlgorithm): Parameters<KeyObject['toCryptoKey']>[0] {
  if (algorithm === 'Ed25519') return 'Ed25519';
  const hash = `SHA-${algorithm.slice(2)}`;
  if (algorithm.startsWith('ES')) return { name: 'ECDSA', namedCurve: algorithm === 'ES256' ? 'P-256' : 'P-384' };
  return { name: algorithm.startsWith('RS') ? 'RSASSA-PKCS1-v1_5' : 'RSA-PSS', hash };
}
