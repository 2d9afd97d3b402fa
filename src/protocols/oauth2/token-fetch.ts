import { isPlainObject } from '../../json.ts';
import type { Fetch, Logger } from '../../ports.ts';
import type { BeforeSend } from '../protocol.ts';
import { sendOnce } from '../send-once.ts';
import { withoutEmptyRefreshToken } from './response.ts';

/** The token endpoint's own fetch: says before each request that it leaves, and cleans the answer. */
export function tokenFetch(
  fetch: Fetch,
  options: {
    readonly logger: Logger;
    /** Absent where nothing is spent. */
    readonly beforeSend?: BeforeSend;
    /** Without an issuer nothing of an ID token can be checked, so it is not looked at. */
    readonly hasIssuer: boolean;
    /** Keys are fetched without a word: that spends nothing. */
    readonly jwksUri?: string | undefined;
  },
): Fetch {
  const { logger, beforeSend, hasIssuer, jwksUri } = options;
  return async (url, init) => {
    if (url === jwksUri) return fetch(url, init);
    const sent = beforeSend === undefined ? fetch(url, init) : sendOnce(fetch, url, init ?? {}, beforeSend);
    const response = await withoutEmptyRefreshToken(await sent, () => {
      logger.warn({ endpoint: url }, 'The answer holds an empty refresh token; the one before is kept.');
    });
    return hasIssuer ? response : withoutIdToken(response);
  };
}

async function withoutIdToken(response: Response): Promise<Response> {
  const text = await response.text();
  const { status, headers } = response;
  return new Response(text === '' ? null : withoutMember(text, 'id_token'), { status, headers });
}

function withoutMember(text: string, name: string): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return text;
  }
  return isPlainObject(body) && name in body ? JSON.stringify({ ...body, [name]: undefined }) : text;
}
