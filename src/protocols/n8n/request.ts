import type { Fetch } from '../../ports.ts';
import type { N8nConnection } from './config.ts';

/** Most credentials in one page of a listing: n8n allows 250. */
const PAGE = 100;

/** What one exchange works with. */
export interface Exchange {
  readonly connection: N8nConnection;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
}

/** `GET /api/v1/credentials`: names and types of credentials, never their values. Needs `credential:list`. */
export function listCredentialsRequest(
  exchange: Exchange,
  { cursor, limit = PAGE }: { readonly cursor: string | null; readonly limit?: number },
): Promise<Response> {
  const query = new URLSearchParams({ limit: String(limit), ...(cursor !== null && { cursor }) });
  return send(exchange, 'GET', `/credentials?${query.toString()}`);
}

/** `GET /api/v1/credentials/{id}`: whether it is there. Needs `credential:read`. */
export function getCredentialRequest(exchange: Exchange, id: string): Promise<Response> {
  return send(exchange, 'GET', `/credentials/${encodeURIComponent(id)}`);
}

/** `POST /api/v1/credentials/{id}/test`: n8n tests it with what it has stored. Needs `credential:read`. */
export function testCredentialRequest(exchange: Exchange, id: string): Promise<Response> {
  return send(exchange, 'POST', `/credentials/${encodeURIComponent(id)}/test`);
}

function send({ connection, fetch, signal }: Exchange, method: string, route: string): Promise<Response> {
  const headers = { 'x-n8n-api-key': connection.apiKey().unwrap(), accept: 'application/json' };
  return fetch(`${connection.url}/api/v1${route}`, { method, headers, signal });
}
