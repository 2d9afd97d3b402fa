import type { ServerMetadata } from 'openid-client';
import { ConfigurationError } from '../../errors.ts';
import type { Clock, Fetch } from '../../ports.ts';
import type { OAuth2Config } from './config.ts';
import { discoveryRequest } from './request.ts';

const METADATA_LIFE_MS = 600_000;

/** Endpoints by their wire name, and the setting that names them when there is no metadata. */
const ENDPOINTS = {
  token_endpoint: 'tokenEndpoint',
  authorization_endpoint: 'authorizationEndpoint',
  device_authorization_endpoint: 'deviceAuthorizationEndpoint',
  pushed_authorization_request_endpoint: 'pushedAuthorizationRequestEndpoint',
  introspection_endpoint: 'introspectionEndpoint',
  revocation_endpoint: 'revocationEndpoint',
} as const satisfies Record<string, keyof OAuth2Config>;
export type EndpointName = keyof typeof ENDPOINTS;
const ENDPOINT_NAMES: readonly EndpointName[] = [
  'token_endpoint',
  'authorization_endpoint',
  'device_authorization_endpoint',
  'pushed_authorization_request_endpoint',
  'introspection_endpoint',
  'revocation_endpoint',
];

/** What is known of authorization servers: their metadata (RFC 8414), overruled by what the owner entered. */
export class AuthorizationServers {
  readonly #fetch: Fetch;
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly server: ServerMetadata; readonly fetchedAt: Date }>();

  constructor(fetch: Fetch, clock: Clock) {
    this.#fetch = fetch;
    this.#clock = clock;
  }

  /**
   * @param needed Beside the token endpoint; looked for in the metadata when the owner did not enter it.
   * @throws ConfigurationError `ERR_OAUTH2_ENDPOINT_MISSING`, `ERR_OAUTH2_DISCOVERY_FAILED`
   */
  async of(config: OAuth2Config, signal: AbortSignal, needed: readonly EndpointName[] = []): Promise<ServerMetadata> {
    const wanted: readonly EndpointName[] = ['token_endpoint', ...needed];
    const lacking = wanted.some((name) => config[ENDPOINTS[name]] === undefined);
    const discovered = lacking && config.issuer !== undefined ? await this.#discover(config, signal) : undefined;
    const entered: Partial<Record<EndpointName, string>> = {};
    for (const name of ENDPOINT_NAMES) {
      const url = config[ENDPOINTS[name]];
      if (url !== undefined) entered[name] = url;
    }
    const server: ServerMetadata = {
      issuer: config.issuer ?? new URL(config.tokenEndpoint ?? '').origin,
      ...discovered,
      ...entered,
    };
    // Documents say `null` where they should say nothing.
    const missing = wanted.find((name) => (server[name] ?? undefined) === undefined);
    if (missing === undefined) return withUrls(server, wanted);
    throw new ConfigurationError(
      'ERR_OAUTH2_ENDPOINT_MISSING',
      `${new URL(server.issuer).host} names no ${missing.replaceAll('_', ' ')}, and the configuration has no ${ENDPOINTS[missing]}.`,
    );
  }

  async #discover({ issuer = '', allowInsecureTransport }: OAuth2Config, signal: AbortSignal): Promise<ServerMetadata> {
    const now = this.#clock.now();
    const known = this.#known.get(issuer);
    if (known && now.getTime() - known.fetchedAt.getTime() < METADATA_LIFE_MS) return known.server;
    const server = await discoveryRequest(issuer, { fetch: this.#fetch, signal, allowInsecureTransport });
    this.#known.set(issuer, { server, fetchedAt: now });
    return server;
  }
}

/** The metadata are a remote document: what stands for a URL in them need not be one. */
function withUrls(server: ServerMetadata, wanted: readonly EndpointName[]): ServerMetadata {
  const odd = wanted.find((name) => URL.parse(String(server[name])) === null);
  if (odd === undefined) return server;
  const { host } = new URL(server.issuer);
  const name = odd.replaceAll('_', ' ');
  throw new ConfigurationError('ERR_OAUTH2_DISCOVERY_FAILED', `The metadata of ${host} name a ${name} that is no URL.`);
}
