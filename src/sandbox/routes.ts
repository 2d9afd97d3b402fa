import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { default as Provider } from 'oidc-provider';
import { ADMINISTRATION_PATH, type Administration } from './administration.ts';
import type { Endpoint } from './request-log.ts';
import { answerResource, clientOfLiveToken, RESOURCE_PATH } from './resource.ts';
import { type ProviderHandler, serveToken, type TokenEndpointOptions } from './token-endpoint.ts';

const ENDPOINT_OF_PATH: ReadonlyMap<string, Endpoint> = new Map([
  ['/token', 'token'],
  ['/token/introspection', 'introspection'],
  ['/token/revocation', 'revocation'],
  ['/me', 'userinfo'],
  [RESOURCE_PATH, 'resource'],
]);

export interface RouteOptions extends TokenEndpointOptions {
  readonly provider: Provider;
  readonly administration: Administration;
}

/** Takes each request to the part of the server that answers it. */
export function requestListener(options: RouteOptions): RequestListener {
  const handler = options.provider.callback();
  return (request, response) => {
    route(request, response, handler, options).catch(() => {
      response.destroy();
    });
  };
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  handler: ProviderHandler,
  options: RouteOptions,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://127.0.0.1');
  const { provider, administration, log } = options;
  if (url.pathname.startsWith(ADMINISTRATION_PATH)) return administration.handle(request, response, url.pathname);
  const endpoint = ENDPOINT_OF_PATH.get(url.pathname) ?? 'other';
  if (endpoint === 'token') return serveToken(request, response, handler, options);
  const clientId = endpoint === 'resource' ? await clientOfLiveToken(provider, request) : null;
  response.once('finish', () => {
    const { statusCode: status } = response;
    const outcome = status < 400 ? 'answered' : 'refused';
    log.write({ endpoint, clientId, grantType: null, outcome, status, error: null });
  });
  if (endpoint === 'resource') answerResource(response, url, clientId);
  else await handler(request, response);
}
