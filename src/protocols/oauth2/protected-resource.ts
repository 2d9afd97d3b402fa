import type { Clock, Fetch, RandomSource } from '../../ports.ts';
import type { Material } from '../protocol.ts';
import type { OAuth2Grant } from './config.ts';
import { dpopProof } from './dpop.ts';

/** What proofs are made with. */
export interface ProofSources {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** How far the clock of a URL's host is ahead of ours. */
  readonly aheadMs: (url: string) => number;
}

/** What a caller puts on its requests: a bearer token (RFC 6750), or one bound to a key (RFC 9449) or certificate (RFC 8705). */
export function materialOf(
  grant: OAuth2Grant,
  { clock, random, aheadMs }: ProofSources,
): Omit<Material, 'expiresAt' | 'generation'> {
  const { accessToken, dpopKey, tls } = grant;
  const certificate = tls === undefined ? {} : { tls };
  if (dpopKey === undefined || grant.tokenType !== 'DPoP') {
    return { headers: { authorization: `Bearer ${accessToken}` }, ...certificate };
  }
  const authorization = `DPoP ${accessToken}`;
  return {
    headers: { authorization },
    ...certificate,
    proof: async (request) => ({
      authorization,
      dpop: await dpopProof(dpopKey, request, {
        accessToken,
        now: new Date(clock.now().getTime() + aheadMs(request.url)),
        random,
      }),
    }),
  };
}

/** Gets a resource with the grant's access token. Returns the HTTP status. A nonce that the server asks for is given once. */
export async function protectedResourceRequest(
  url: string,
  grant: OAuth2Grant,
  { fetch, signal, ...sources }: ProofSources & { fetch: Fetch; signal: AbortSignal },
): Promise<number> {
  const { headers, tls, proof } = materialOf(grant, sources);
  const get = async (nonce?: string): Promise<Response> =>
    fetch(url, {
      headers: { ...(proof === undefined ? headers : await proof({ method: 'GET', url, nonce })), accept: '*/*' },
      signal,
      ...(tls !== undefined && { tls }),
    });
  const response = await get();
  const nonce = proof === undefined ? null : wantedNonce(response);
  return nonce === null ? response.status : (await get(nonce)).status;
}

/** RFC 9449 §9. */
function wantedNonce(response: Response): string | null {
  const challenge = response.headers.get('www-authenticate') ?? '';
  return response.status === 401 && challenge.includes('use_dpop_nonce') ? response.headers.get('dpop-nonce') : null;
}
