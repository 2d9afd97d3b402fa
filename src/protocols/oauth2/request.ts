import * as client from 'openid-client';
import { ConfigurationError } from '../../errors.ts';
import type { Fetch } from '../../ports.ts';
import type { OAuth2Config, OAuth2Grant, OAuth2Secret } from './config.ts';
import { translateDiscoveryError, translateOAuth2Error } from './errors.ts';

/** The requests of RFC 6749, 7009, 7662 and 8414. Wire names stay in here and in `response.ts`. */
export type TokenResponse = Awaited<ReturnType<typeof client.refreshTokenGrant>>;

export interface Exchange {
  readonly config: OAuth2Config;
  readonly secret: OAuth2Secret;
  readonly server: client.ServerMetadata;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  /** How far the server's clock is ahead of ours, for what bears the time; default 0. */
  readonly serverAheadMs?: number;
}

/** Authorization server metadata (RFC 8414 §3), or OpenID Connect Discovery. */
export async function discoveryRequest(
  issuer: string,
  options: { fetch: Fetch; signal: AbortSignal; allowInsecureTransport: boolean },
): Promise<client.ServerMetadata> {
  try {
    const discovered = await client.discovery(new URL(issuer), 'discovery', undefined, client.None(), {
      execute: options.allowInsecureTransport ? [client.allowInsecureRequests] : [],
      [client.customFetch]: customFetch(options.fetch, options.signal),
    });
    const metadata = discovered.serverMetadata();
    // The library compares URLs, which forgives a slash; RFC 8414 §3.3 wants the same text.
    if (metadata.issuer === issuer) return metadata;
    throw new ConfigurationError(
      'ERR_OAUTH2_DISCOVERY_FAILED',
      `${new URL(issuer).host} calls itself another issuer than the configuration does, if only by a slash.`,
    );
  } catch (error) {
    throw translateDiscoveryError(error, new URL(issuer).host);
  }
}

/** Client credentials grant, RFC 6749 §4.4.2. */
export async function clientCredentialsGrantRequest(exchange: Exchange): Promise<TokenResponse> {
  return atTokenEndpoint(exchange, (configuration) =>
    client.clientCredentialsGrant(configuration, scopeParameter(exchange.config)),
  );
}

/** Refreshing an access token, RFC 6749 §6. */
export async function refreshTokenGrantRequest(exchange: Exchange, refreshToken: string): Promise<TokenResponse> {
  return atTokenEndpoint(exchange, (configuration) =>
    client.refreshTokenGrant(configuration, refreshToken, scopeParameter(exchange.config)),
  );
}

/** Token introspection, RFC 7662 §2.1. Returns whether the token is active. */
export async function introspectionRequest(exchange: Exchange, grant: OAuth2Grant): Promise<boolean> {
  const response = await atTokenEndpoint(exchange, (configuration) =>
    client.tokenIntrospection(configuration, grant.accessToken, { token_type_hint: 'access_token' }),
  );
  return response.active;
}

/** Token revocation, RFC 7009 §2.1: the refresh token if there is one, and the access token. */
export async function revocationRequest(
  exchange: Exchange,
  grant: { readonly refreshToken: string | null; readonly accessToken: string | null },
): Promise<void> {
  await atTokenEndpoint(exchange, async (configuration) => {
    if (grant.refreshToken !== null) {
      await client.tokenRevocation(configuration, grant.refreshToken, { token_type_hint: 'refresh_token' });
    }
    if (grant.accessToken !== null)
      await client.tokenRevocation(configuration, grant.accessToken, { token_type_hint: 'access_token' });
  });
}

/** A request with the access token as bearer token (RFC 6750 §2.1). Returns the HTTP status. */
export async function bearerRequest(
  url: string,
  grant: OAuth2Grant,
  options: { fetch: Fetch; signal: AbortSignal },
): Promise<number> {
  const response = await options.fetch(url, {
    headers: { authorization: `Bearer ${grant.accessToken}`, accept: '*/*' },
    signal: options.signal,
  });
  return response.status;
}

async function atTokenEndpoint<T>(
  exchange: Exchange,
  request: (configuration: client.Configuration) => Promise<T>,
): Promise<T> {
  try {
    return await request(configurationOf(exchange));
  } catch (error) {
    throw translateOAuth2Error(error, new URL(exchange.server.token_endpoint ?? exchange.server.issuer).host);
  }
}

function configurationOf({ config, secret, server, fetch, signal, serverAheadMs = 0 }: Exchange): client.Configuration {
  const authentication =
    config.clientAuthentication === 'client_secret_post'
      ? client.ClientSecretPost(secret.clientSecret)
      : client.ClientSecretBasic(secret.clientSecret);
  const configuration = new client.Configuration(
    server,
    config.clientId,
    { [client.clockSkew]: Math.round(serverAheadMs / 1000) },
    authentication,
  );
  configuration[client.customFetch] = customFetch(fetch, signal);
  if (config.allowInsecureTransport) client.allowInsecureRequests(configuration);
  return configuration;
}

function customFetch(fetch: Fetch, signal: AbortSignal): client.CustomFetch {
  return (url, { method, headers, body }) =>
    fetch(url, { method, headers, ...(body !== undefined && { body }), signal });
}

function scopeParameter(config: OAuth2Config): Record<string, string> {
  return config.scope === undefined ? {} : { scope: config.scope };
}
