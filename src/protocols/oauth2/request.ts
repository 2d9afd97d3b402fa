import * as client from 'openid-client';
import { ConfigurationError } from '../../errors.ts';
import type { ClientTls, Fetch } from '../../ports.ts';
import { clientAuthenticationOf, clientTlsOf } from './client-authentication.ts';
import type { OAuth2Config, OAuth2Grant, OAuth2Secret } from './config.ts';
import { dpopKeyPair, type DPoPKey } from './dpop.ts';
import { translateDiscoveryError, translateOAuth2Error } from './errors.ts';

/** The requests of RFC 6749, 7009, 7523, 7662, 8414 and 8693. Wire names stay in here and in `response.ts`. */
export type TokenResponse = Awaited<ReturnType<typeof client.refreshTokenGrant>>;

export interface Exchange {
  readonly config: OAuth2Config;
  readonly secret: OAuth2Secret;
  readonly server: client.ServerMetadata;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  /** The key that the tokens are or will be bound to (RFC 9449); `null` for bearer tokens. */
  readonly dpopKey: DPoPKey | null;
  /** How far the server's clock is ahead of ours by now, for what bears the time. */
  readonly serverAheadMs: () => number;
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
  return atTokenEndpoint(exchange, (configuration, options) =>
    client.clientCredentialsGrant(configuration, tokenParameters(exchange.config), options),
  );
}

/** Refreshing an access token, RFC 6749 §6. */
export async function refreshTokenGrantRequest(exchange: Exchange, refreshToken: string): Promise<TokenResponse> {
  const { config } = exchange;
  const parameters = tokenParameters(config);
  parameters.delete('audience');
  // What a person granted may be less than what was asked for, and more than that may not be asked for here.
  if (config.grantType !== 'refresh_token') parameters.delete('scope');
  return atTokenEndpoint(exchange, (configuration, options) =>
    client.refreshTokenGrant(configuration, refreshToken, parameters, options),
  );
}

/** Token exchange, RFC 8693 §2.1. */
export async function tokenExchangeGrantRequest(exchange: Exchange): Promise<TokenResponse> {
  const { config, secret } = exchange;
  const { subjectTokenType, actorTokenType, requestedTokenType } = config.tokenExchange ?? {};
  const parameters = tokenParameters(config);
  const named = {
    subject_token: secret.subjectToken,
    subject_token_type: subjectTokenType,
    actor_token: secret.actorToken,
    actor_token_type: secret.actorToken === undefined ? undefined : actorTokenType,
    requested_token_type: requestedTokenType,
  };
  for (const [name, value] of Object.entries(named)) if (value !== undefined) parameters.set(name, value);
  return grantRequest(exchange, 'urn:ietf:params:oauth:grant-type:token-exchange', parameters);
}

/** JWT-bearer grant, RFC 7523 §2.1. */
export async function jwtBearerGrantRequest(exchange: Exchange, assertion: string): Promise<TokenResponse> {
  const parameters = tokenParameters(exchange.config);
  parameters.set('assertion', assertion);
  return grantRequest(exchange, 'urn:ietf:params:oauth:grant-type:jwt-bearer', parameters);
}

/** A token request of any other grant type. */
export async function grantRequest(
  exchange: Exchange,
  grantType: string,
  parameters: URLSearchParams,
): Promise<TokenResponse> {
  return atTokenEndpoint(exchange, (configuration, options) =>
    client.genericGrantRequest(configuration, grantType, parameters, options),
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

async function atTokenEndpoint<T>(
  exchange: Exchange,
  request: (configuration: client.Configuration, options: client.DPoPOptions) => Promise<T>,
): Promise<T> {
  try {
    const configuration = configurationOf(exchange);
    return await request(configuration, await dpopOptions(exchange, configuration));
  } catch (error) {
    throw translateOAuth2Error(error, hostOf(exchange));
  }
}

/** Host of the token endpoint, for messages. */
export function hostOf({ server }: Pick<Exchange, 'server'>): string {
  return new URL(server.token_endpoint ?? server.issuer).host;
}

/** What makes openid-client send a proof, and repeat a request once that the server wants a nonce in. */
export async function dpopOptions(
  { dpopKey }: Pick<Exchange, 'dpopKey'>,
  configuration: client.Configuration,
): Promise<client.DPoPOptions> {
  return dpopKey === null ? {} : { DPoP: client.getDPoPHandle(configuration, await dpopKeyPair(dpopKey)) };
}

export function configurationOf(exchange: Exchange): client.Configuration {
  const { config, secret, server, fetch, signal, serverAheadMs } = exchange;
  const tls = clientTlsOf(secret);
  const metadata = {
    [client.clockSkew]: Math.round(serverAheadMs() / 1000),
    ...(tls !== undefined && { use_mtls_endpoint_aliases: true }),
  };
  const authentication = clientAuthenticationOf(config, secret, server);
  const configuration = new client.Configuration(server, config.clientId, metadata, authentication);
  configuration[client.customFetch] = customFetch(fetch, signal, tls);
  if (config.allowInsecureTransport) client.allowInsecureRequests(configuration);
  return configuration;
}

/** For an answer with an ID token: it is checked with the keys of the issuer, where the metadata names them. */
export function checkingConfigurationOf(exchange: Exchange): client.Configuration {
  const { config, server } = exchange;
  const configuration = configurationOf(exchange);
  if (config.issuer !== undefined && server.jwks_uri !== undefined) client.enableNonRepudiationChecks(configuration);
  return configuration;
}

function customFetch(fetch: Fetch, signal: AbortSignal, tls?: ClientTls): client.CustomFetch {
  return (url, { method, headers, body }) =>
    fetch(url, { method, headers, ...(body !== undefined && { body }), signal, ...(tls !== undefined && { tls }) });
}

/** Scope, audience and resources (RFC 8707 §2.2), as every token request repeats them. */
export function tokenParameters({
  scope,
  audience,
  resources = [],
}: Pick<OAuth2Config, 'scope' | 'audience' | 'resources'>): URLSearchParams {
  const parameters = new URLSearchParams();
  if (scope !== undefined) parameters.set('scope', scope);
  if (audience !== undefined) parameters.set('audience', audience);
  for (const resource of resources) parameters.append('resource', resource);
  return parameters;
}
