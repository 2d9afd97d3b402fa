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
    const missing = wanted.find((name) => server[name] === undefined);
    if (missing === undefined) return server;
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
