import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Secret } from '../secret.ts';
import { isLoopbackOrigin, loopbackAuthorities } from './address.ts';

/** Why a request is turned away, as the status that it gets. */
export type Refusal = { readonly status: 401 | 403 | 405; readonly reason: 'method' | 'host' | 'origin' | 'token' };

/**
 * Who may talk to the relay. Host must name this machine, or a page of a foreign site could come in under a name of its
 * own that resolves to loopback. An Origin, which browsers send and nothing else has to, must be a page of this machine;
 * the page of stately.ai is shown inside ours and connects to nothing. The token is what lets in.
 */
export class Gate {
  readonly #authorities: readonly string[];
  readonly #token: Buffer;

  constructor(port: number, token: Secret<string>) {
    this.#authorities = loopbackAuthorities(port);
    this.#token = digest(token.unwrap());
  }

  /** `null`: come in. */
  refusalOf(request: IncomingMessage): Refusal | null {
    const { method, headers } = request;
    if (method !== 'GET') return { status: 405, reason: 'method' };
    if (!this.#authorities.includes(headers.host ?? '')) return { status: 403, reason: 'host' };
    if (headers.origin !== undefined && !isLoopbackOrigin(headers.origin)) return { status: 403, reason: 'origin' };
    return this.#knows(tokenOf(request)) ? null : { status: 401, reason: 'token' };
  }

  #knows(token: string): boolean {
    // Digests have one length and tell nothing about how much of a guess was right.
    return timingSafeEqual(digest(token), this.#token);
  }
}

/** From the header, which no log keeps, or from the address, which is all that a browser can give. */
function tokenOf({ headers, url = '' }: IncomingMessage): string {
  const [, bearer] = /^Bearer ([^ ]+)$/i.exec(headers.authorization ?? '') ?? [];
  return bearer ?? requestedUrl(url)?.searchParams.get('token') ?? '';
}

export function requestedUrl(target: string): URL | null {
  return URL.parse(target, 'http://relay');
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
