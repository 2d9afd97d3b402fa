import { z } from 'zod/v4';
import type { SandboxAdministration } from '../../src/sandbox/administration-client.ts';
import type { ClientName } from '../../src/sandbox/options.ts';

const bodySchema = z.looseObject({
  access_token: z.string().optional(),
  refresh_token: z.string().optional(),
  expires_in: z.int().optional(),
  error: z.string().optional(),
});

export interface TokenAnswer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: z.output<typeof bodySchema>;
}

/** One token request, written out by hand so that the server is not judged by the client that we ship. */
export async function requestToken(
  server: SandboxAdministration,
  client: ClientName,
  parameters: Readonly<Record<string, string>>,
  clientSecret = server.clients[client].clientSecret,
): Promise<TokenAnswer> {
  const response = await post(server.tokenEndpoint, server.clients[client].clientId, clientSecret, parameters);
  const body = bodySchema.parse(await response.json());
  return { status: response.status, retryAfter: response.headers.get('retry-after'), body };
}

export function refresh(server: SandboxAdministration, client: ClientName, refreshToken = ''): Promise<TokenAnswer> {
  return requestToken(server, client, { grant_type: 'refresh_token', refresh_token: refreshToken });
}

export async function introspect(server: SandboxAdministration, client: ClientName, token = ''): Promise<unknown> {
  const { clientId, clientSecret } = server.clients[client];
  return (await post(server.introspectionEndpoint, clientId, clientSecret, { token })).json();
}

function post(
  url: string,
  clientId: string,
  clientSecret: string,
  parameters: Readonly<Record<string, string>>,
): Promise<Response> {
  const basic = Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(clientSecret)}`).toString('base64');
  const headers = { authorization: `Basic ${basic}` };
  return fetch(url, { method: 'POST', headers, body: new URLSearchParams(parameters) });
}
