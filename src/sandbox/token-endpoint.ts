import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { KoaContextWithOIDC, default as Provider } from 'oidc-provider';
import type { TokenEndpointFaults } from './faults.ts';
import type { SandboxSettings } from './options.ts';
import { currentObservation, type RequestLog } from './request-log.ts';

export type ProviderHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Writes each outcome of the token endpoint into the log before the answer leaves, so that no kill can lose it. */
export function logTokenRequests(provider: Provider, log: RequestLog): void {
  provider.on('grant.success', (context: KoaContextWithOIDC) => {
    const drop = currentObservation.getStore()?.dropAnswer ?? false;
    log.write({ ...factsOf(context), outcome: drop ? 'dropped' : 'issued', status: 200, error: null });
    if (drop) context.req.socket.destroy();
  });
  const refused = (context: KoaContextWithOIDC, error: Error): void => {
    if (context.oidc.route !== 'token') return;
    const code = 'error' in error && typeof error.error === 'string' ? error.error : 'server_error';
    log.write({ ...factsOf(context), outcome: 'refused', status: context.status, error: code });
  };
  provider.on('grant.error', refused);
  provider.on('server_error', refused);
}

export interface TokenEndpointOptions {
  readonly faults: TokenEndpointFaults;
  readonly log: RequestLog;
  readonly clientAuthentication: SandboxSettings['clientAuthentication'];
}

/** Hands a token request to the provider, or lets it meet the fault that waits for it. */
export async function serveToken(
  request: IncomingMessage,
  response: ServerResponse,
  next: ProviderHandler,
  { faults, log, clientAuthentication }: TokenEndpointOptions,
): Promise<void> {
  const fault = faults.take();
  if (faults.latencyMs > 0) await delay(faults.latencyMs);
  const facts = { endpoint: 'token', clientId: clientIdOfBasic(request), grantType: null } as const;
  if (fault?.kind === 'dropRequest') {
    log.write({ ...facts, outcome: 'failed', status: 0, error: 'dropped' });
    request.socket.destroy();
  } else if (fault?.kind === 'status') {
    log.write({ ...facts, outcome: 'failed', status: fault.status, error: 'forced' });
    answerError(request, response, fault, 'temporarily_unavailable');
  } else if (usesBasic(request) !== (clientAuthentication === 'client_secret_basic')) {
    // The provider takes either way of client authentication for the other; a strict server does not.
    log.write({ ...facts, outcome: 'refused', status: 401, error: 'invalid_client' });
    answerError(request, response, { status: 401 }, 'invalid_client');
  } else {
    const observation = { graceReuse: false, spentTokenPresented: false, dropAnswer: fault !== null };
    await currentObservation.run(observation, () => next(request, response));
  }
}

function usesBasic(request: IncomingMessage): boolean {
  return request.headers.authorization !== undefined;
}

function answerError(
  request: IncomingMessage,
  response: ServerResponse,
  { status, retryAfterSeconds }: { readonly status: number; readonly retryAfterSeconds?: number | undefined },
  error: string,
): void {
  request.resume();
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...(status === 401 && { 'www-authenticate': 'Basic realm="sandbox"' }),
    ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
  });
  response.end(JSON.stringify({ error }));
}

function factsOf(context: KoaContextWithOIDC): {
  endpoint: 'token';
  clientId: string | null;
  grantType: string | null;
} {
  const { client, params } = context.oidc;
  const grantType = params?.['grant_type'];
  const clientId = client?.clientId ?? params?.['client_id'] ?? clientIdOfBasic(context.req);
  return { endpoint: 'token', clientId: textOrNull(clientId), grantType: textOrNull(grantType) };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The client id of an HTTP Basic header, which is known even when the client's secret was refused. */
function clientIdOfBasic(request: IncomingMessage): string | null {
  const encoded = /^Basic (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const [clientId] = Buffer.from(encoded, 'base64').toString().split(':');
  return clientId ? decodeURIComponent(clientId) : null;
}
