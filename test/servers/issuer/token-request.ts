import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { IssuerClient } from './contract.ts';

const MAX_BODY_BYTES = 65_536;

/** A token request as it came in, or what is wrong with it (RFC 6749 §5.2). */
export type TokenRequest =
  | { readonly client: IssuerClient; readonly refreshToken: string }
  | {
      readonly clientId: string | null;
      readonly error: 'invalid_client' | 'invalid_request' | 'unsupported_grant_type';
    };

export async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) {
    body += String(chunk);
    if (body.length > MAX_BODY_BYTES) throw new Error('The body is too large.');
  }
  return body;
}

/** Client authentication by HTTP Basic only, each parameter once, form-encoded: what is not exactly right is refused. */
export function readTokenRequest(
  request: IncomingMessage,
  body: string,
  clients: readonly IssuerClient[],
): TokenRequest {
  const [clientId = '', secret = ''] = basicOf(request.headers.authorization ?? '');
  const client = clients.find((known) => known.clientId === clientId);
  if (!client || !isEqual(client.clientSecret, secret)) return { clientId: clientId || null, error: 'invalid_client' };
  const form = new URLSearchParams(body);
  const isForm = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false;
  const isRepeated = new Set(form.keys()).size !== [...form.keys()].length;
  if (request.method !== 'POST' || !isForm || isRepeated) return { clientId, error: 'invalid_request' };
  if (form.get('grant_type') !== 'refresh_token') return { clientId, error: 'unsupported_grant_type' };
  const refreshToken = form.get('refresh_token');
  return refreshToken ? { client, refreshToken } : { clientId, error: 'invalid_request' };
}

function basicOf(header: string): string[] {
  const encoded = /^Basic (\S+)$/.exec(header)?.[1] ?? '';
  return Buffer.from(encoded, 'base64')
    .toString()
    .split(':')
    .map((part) => decodeURIComponent(part.replaceAll('+', ' ')));
}

function isEqual(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right));
}
