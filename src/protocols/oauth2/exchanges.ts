import type { Fetch, Logger, Ports } from '../../ports.ts';
import { boundedFetch } from '../bounded-fetch.ts';
import { certainSkewMs, ClockSkew, type Skew } from '../clock-skew.ts';
import type { BeforeSend } from '../protocol.ts';
import type { DPoPKey } from './dpop.ts';
import type { Opened } from './opened.ts';
import { profileOf } from './profile.ts';
import type { Exchange } from './request.ts';
import { AuthorizationServers, type EndpointName } from './server-metadata.ts';
import { ownersFetch, tokenEndpointFetch } from './token-endpoint.ts';

export interface TokenExchangeOptions {
  readonly dpopKey: DPoPKey | null;
  /** Absent where a request spends nothing. */
  readonly beforeSend?: BeforeSend;
  /** Default: the ID token of the answer is not looked at. */
  readonly wantsIdToken?: boolean;
}

/**
 * Begins each exchange with an authorization server, so that every request goes through the same: the bounds of time and
 * size, the skew of the server's clock, its metadata, and a fetch that knows which hosts the owner named.
 */
export class Exchanges {
  readonly #fetch: Fetch;
  readonly #clockSkew: ClockSkew;
  readonly #servers: AuthorizationServers;
  readonly #logger: Logger;

  constructor({ clock, fetch, logger }: Ports) {
    this.#clockSkew = new ClockSkew(clock);
    this.#fetch = this.#clockSkew.learning(boundedFetch(fetch, () => clock.now()));
    this.#servers = new AuthorizationServers(this.#fetch, clock);
    this.#logger = logger;
  }

  /**
   * For requests that get no token.
   *
   * @param needed Looked for in the metadata when the owner did not enter it.
   * @throws ConfigurationError `ERR_OAUTH2_ENDPOINT_MISSING`, `ERR_OAUTH2_DISCOVERY_FAILED`
   */
  async begin(
    opened: Opened,
    { dpopKey = null, needed = [] }: { dpopKey?: DPoPKey | null; needed?: readonly EndpointName[] } = {},
  ): Promise<Exchange> {
    const { config, signal } = opened;
    const server = await this.#servers.of(config, signal, needed);
    const tokenEndpoint = server.token_endpoint ?? server.issuer;
    const serverAheadMs = (): number => this.aheadMs(tokenEndpoint);
    return { ...opened, server, dpopKey, fetch: ownersFetch(this.#fetch, config), serverAheadMs };
  }

  /** For token requests. */
  async beginToken(opened: Opened, { dpopKey, ...options }: TokenExchangeOptions): Promise<Exchange> {
    const exchange = await this.begin(opened, { dpopKey });
    const fetch = tokenEndpointFetch(exchange.fetch, {
      ...options,
      profile: profileOf(opened.config.profile),
      clockSkew: this.#clockSkew,
      logger: this.#logger,
    });
    return { ...exchange, fetch };
  }

  /** What is known of the clock there. */
  skewAt(url: string): Skew | null {
    return this.#clockSkew.of(new URL(url).host);
  }

  /** How far the clock there is ahead of ours for certain. */
  aheadMs(url: string): number {
    return certainSkewMs(this.skewAt(url));
  }
}
