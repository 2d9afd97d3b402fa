import type { IncomingMessage, ServerResponse } from 'node:http';
import type { default as Provider } from 'oidc-provider';

export const RESOURCE_PATH = '/resource';

/** Answers as an API would: 401 without a live access token; with one 200, or the status that `?status=` asks for. */
export function answerResource(response: ServerResponse, url: URL, clientId: string | null): void {
  const status = clientId === null ? 401 : statusOf(url);
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...(clientId === null && { 'www-authenticate': 'Bearer error="invalid_token"' }),
  });
  response.end(JSON.stringify(clientId === null ? { error: 'invalid_token' } : { client_id: clientId, status }));
}

/** Whom the request's access token was issued to; `null` when it has none that is live. */
export async function clientOfLiveToken(provider: Provider, request: IncomingMessage): Promise<string | null> {
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) return null;
  const machineToken = await provider.ClientCredentials.find(token);
  if (machineToken?.isValid) return machineToken.clientId ?? null;
  const accessToken = await provider.AccessToken.find(token);
  if (!accessToken?.isValid) return null;
  const grant = await provider.Grant.find(accessToken.grantId);
  return grant ? (accessToken.clientId ?? null) : null;
}

function statusOf(url: URL): number {
  const status = Number(url.searchParams.get('status') ?? '200');
  return Number.isInteger(status) && status >= 200 && status <= 599 ? status : 400;
}
