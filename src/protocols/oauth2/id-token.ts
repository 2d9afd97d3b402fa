import { createHash } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { ProtocolError } from '../../errors.ts';
import type { TokenResponse } from './request.ts';

/** An ID token is made for the answer that it comes in. Allows for a clock that nobody knows to be wrong. */
const LONGEST_AGE_MS = 3_600_000;

export interface IdTokenContext {
  readonly clientId: string;
  /** The code that the answer was given for; `null` for a device. */
  readonly code: string | null;
  /** By the server's clock. */
  readonly now: Date;
  readonly host: string;
}

/**
 * What openid-client leaves open when it has checked signature, issuer, audience, end and nonce of an ID token (OpenID
 * Connect Core §3.1.3.7): `azp` beside one audience, the age, and that it belongs to this token and this code (§3.1.3.8,
 * §3.3.2.11). An answer without an ID token passes: whether there has to be one is decided elsewhere.
 *
 * @throws ProtocolError `ERR_OAUTH2_RESPONSE_INVALID`
 */
export function requireFittingIdToken(response: TokenResponse, context: IdTokenContext): void {
  const { id_token: token, access_token: accessToken } = response;
  if (token === undefined) return;
  const { alg = '' } = decodeProtectedHeader(token);
  const { azp, iat = 0, at_hash: tokenHash, c_hash: codeHash } = decodeJwt(token);
  const fits: Record<string, boolean> = {
    azp: azp === undefined || azp === context.clientId,
    iat: Math.abs(context.now.getTime() - iat * 1000) <= LONGEST_AGE_MS,
    at_hash: tokenHash === undefined || tokenHash === halfHash(accessToken, alg),
    c_hash: codeHash === undefined || context.code === null || codeHash === halfHash(context.code, alg),
  };
  const unfit = Object.keys(fits).find((name) => fits[name] === false);
  if (unfit === undefined) return;
  throw new ProtocolError(
    'ERR_OAUTH2_RESPONSE_INVALID',
    `${context.host} gave an ID token that does not belong to its answer (${unfit}).`,
  );
}

/** The left half, in base64url, of the hash that goes with the algorithm; `null` for one whose hash is not known here. */
function halfHash(text: string, algorithm: string): string | null {
  const bits = /^Ed/.test(algorithm) ? '512' : /^[A-Z]{2}(256|384|512)$/.exec(algorithm)?.[1];
  if (bits === undefined) return null;
  const digest = createHash(`sha${bits}`).update(text).digest();
  return digest.subarray(0, digest.length / 2).toString('base64url');
}
