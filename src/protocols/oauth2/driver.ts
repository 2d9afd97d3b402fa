import type { ServerMetadata } from 'openid-client';
import { isCredentialError } from '../../errors.ts';
import { canonicalJson, type JsonObject } from '../../json.ts';
import type { Fetch, Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import { boundedFetch, DEFAULT_BOUNDS } from '../bounded-fetch.ts';
import { certainSkewMs, ClockSkew, describeSkew } from '../clock-skew.ts';
import type {
  BeforeSend,
  Confirmation,
  DriverInput,
  Entered,
  Issued,
  Material,
  ProtocolDriver,
  RefreshTraits,
  TestResult,
  TestTraits,
} from '../protocol.ts';
import { nextToken } from './companions.ts';
import {
  parseOAuth2Config,
  parseOAuth2Grant,
  parseOAuth2Secret,
  type OAuth2Config,
  type OAuth2Grant,
  type OAuth2Secret,
} from './config.ts';
import {
  bearerRequest,
  clientCredentialsGrantRequest,
  discoveryRequest,
  introspectionRequest,
  refreshTokenGrantRequest,
  revocationRequest,
  type Exchange,
} from './request.ts';
import { profileOf, quotasOf, withoutProfile } from './profile.ts';
import { companionRefused, processCompanionResponse, processTokenResponse } from './response.ts';
import { ownersFetch, protectedResourceFetch, tokenEndpointFetch } from './token-endpoint.ts';

const METADATA_LIFE_MS = 600_000;

interface Opened {
  readonly config: OAuth2Config;
  readonly secret: OAuth2Secret;
  readonly grant: OAuth2Grant | null;
  readonly signal: AbortSignal;
}

/** How a credential's grant can be checked at the other side, best first. */
type Check = { readonly kind: 'testUrl' | 'userinfo' | 'introspection'; readonly endpoint: string };

/** OAuth 2.0 (RFC 6749): client credentials and refresh-token grants with rotation. */
export class OAuth2Driver implements ProtocolDriver {
  readonly protocol = 'oauth2';
  readonly #ports: Ports;
  readonly #fetch: Fetch;
  readonly #clockSkew: ClockSkew;
  readonly #metadata = new Map<string, { readonly server: ServerMetadata; readonly fetchedAt: Date }>();

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#clockSkew = new ClockSkew(ports.clock);
    this.#fetch = this.#clockSkew.learning(boundedFetch(ports.fetch, () => ports.clock.now()));
  }

  parseConfig(config: unknown): JsonObject {
    return definedMembers(withoutProfile(parseOAuth2Config(config), config));
  }

  parseSecret(secret: unknown, config: JsonObject): JsonObject {
    return definedMembers(parseOAuth2Secret(secret, parseOAuth2Config(config)));
  }

  identity(config: JsonObject): JsonObject {
    const { issuer, tokenEndpoint, clientId, grantType, scope } = parseOAuth2Config(config);
    return { issuer: issuer ?? null, tokenEndpoint: tokenEndpoint ?? null, clientId, grantType, scope: scope ?? null };
  }

  /** A refresh token that was entered anew begins a grant of its own; another client secret does not end the one there is. */
  keepsGrant(before: Entered, after: Entered): boolean {
    const tokenOf = ({ config, registered }: Entered): string | undefined =>
      parseOAuth2Secret(registered.unwrap(), parseOAuth2Config(config)).refreshToken;
    const isSameClient = canonicalJson(this.identity(before.config)) === canonicalJson(this.identity(after.config));
    return isSameClient && tokenOf(before) !== undefined && tokenOf(before) === tokenOf(after);
  }

  endpoint(config: JsonObject): string {
    const { issuer, tokenEndpoint } = parseOAuth2Config(config);
    return tokenEndpoint ?? issuer ?? '';
  }

  /** What the provider allows all credentials of a client together; quotas of single tokens are no matter of an endpoint. */
  budget(config: JsonObject): { requests: number; perMs: number } | null {
    const quota = quotasOf(parseOAuth2Config(config)).find(({ per }) => per === 'client');
    return quota === undefined ? null : { requests: quota.requests, perMs: quota.perMs };
  }

  refreshTraits(input: Omit<DriverInput, 'signal'>): RefreshTraits {
    const { config, secret, grant } = open({ ...input, signal: NEVER });
    const { refreshToken } = nextToken(grant, secret.refreshToken ?? null);
    const spends = config.grantType === 'refresh_token' ? refreshToken : null;
    return {
      spends: spends === null ? null : Secret.of(spends),
      reuseGraceMs: config.reuseGraceMs,
      deadlineMs: DEFAULT_BOUNDS.deadlineMs,
    };
  }

  async refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued> {
    const opened = open(input);
    const { config, secret, grant } = opened;
    const server = await this.#serverOf(opened);
    // The server's metadata may take a request of its own; only the token request spends the token.
    const fetch = tokenEndpointFetch(ownersFetch(this.#fetch, config), {
      profile: profileOf(config.profile),
      clockSkew: this.#clockSkew,
      logger: this.#ports.logger,
      beforeSend,
    });
    const serverAheadMs = this.#serverAheadMs(server);
    const exchange: Exchange = { ...opened, server, fetch, serverAheadMs };
    const requestedAt = this.#ports.clock.now();
    const { companion, refreshToken } = nextToken(grant, secret.refreshToken ?? null);
    const context = { config, previousRefreshToken: refreshToken, requestedAt, previous: grant };
    const isRefresh = config.grantType === 'refresh_token' && refreshToken !== null;
    try {
      const response = isRefresh
        ? await refreshTokenGrantRequest(exchange, refreshToken)
        : await clientCredentialsGrantRequest(exchange);
      const answered = { ...context, serverAheadMs: this.#serverAheadMs(server) };
      return companion === null
        ? processTokenResponse(response, answered)
        : processCompanionResponse(response, companion, answered);
    } catch (error) {
      return companionRefused(error, companion, context);
    }
  }

  material(grant: Secret<JsonObject>): Pick<Material, 'headers'> {
    return { headers: { authorization: `Bearer ${parseOAuth2Grant(grant.unwrap()).accessToken}` } };
  }

  async confirm(input: DriverInput): Promise<Confirmation> {
    const opened = open(input);
    const server = await this.#serverOf(opened);
    const check = checkOf(opened.config, server);
    if (check === null || opened.grant === null) return 'unconfirmable';
    return this.#check(check, { ...opened, server, fetch: ownersFetch(this.#fetch, opened.config) }, opened.grant);
  }

  /** It presents a token, and a wrong token locks nobody out. */
  testTraits(): TestTraits {
    return { isLogin: false };
  }

  async test(input: DriverInput): Promise<TestResult> {
    const opened = open(input);
    const startedAt = this.#ports.clock.hostTime().ms;
    const server = await this.#serverOf(opened);
    const check = checkOf(opened.config, server);
    const outcome =
      check === null || opened.grant === null
        ? 'unconfirmable'
        : await this.#check(check, { ...opened, server, fetch: ownersFetch(this.#fetch, opened.config) }, opened.grant);
    const endpoint = check?.endpoint ?? server.token_endpoint ?? server.issuer;
    const { host } = new URL(server.token_endpoint ?? server.issuer);
    const skew = this.#clockSkew.of(host);
    const clock = describeSkew(skew, host);
    return {
      success: outcome !== 'rejected',
      message: [testMessage(check, outcome, new URL(endpoint).host), clock].filter((text) => text !== null).join(' '),
      details: {
        latencyMs: this.#ports.clock.hostTime().ms - startedAt,
        endpoint,
        permissionsVerified: opened.grant?.scope?.split(' ').filter((scope) => scope !== '') ?? [],
        metadata: {
          grantType: opened.config.grantType,
          checkedBy: check?.kind ?? 'tokenEndpoint',
          ...(skew !== null && { clockSkewSeconds: String(Math.round(skew.aheadMs / 1000)) }),
        },
      },
      testedAt: this.#ports.clock.now(),
    };
  }

  async revoke(input: DriverInput): Promise<'revoked' | 'unsupported'> {
    const opened = open(input);
    const server = await this.#serverOf(opened);
    // Before the first refresh the only token that lives there is the one that its owner entered.
    const refreshToken = opened.grant?.refreshToken ?? opened.secret.refreshToken ?? null;
    const accessToken = opened.grant?.accessToken ?? null;
    if (server.revocation_endpoint === undefined || (refreshToken ?? accessToken) === null) return 'unsupported';
    await revocationRequest(
      { ...opened, server, fetch: ownersFetch(this.#fetch, opened.config) },
      { refreshToken, accessToken },
    );
    return 'revoked';
  }

  async #check(check: Check, exchange: Exchange, grant: OAuth2Grant): Promise<Confirmation> {
    if (check.kind !== 'introspection') {
      const fetch = protectedResourceFetch(exchange.fetch, exchange.config.profile);
      const status = await bearerRequest(check.endpoint, grant, { ...exchange, fetch });
      if (status === 401) return 'rejected';
      return status < 300 ? 'accepted' : 'unconfirmable';
    }
    try {
      return (await introspectionRequest(exchange, grant)) ? 'accepted' : 'rejected';
    } catch (error) {
      // A server may keep introspection for its resource servers: then it proves nothing about the token.
      if (isCredentialError(error) && error.code.startsWith('ERR_OAUTH2_')) return 'unconfirmable';
      throw error;
    }
  }

  #serverAheadMs(server: ServerMetadata): number {
    return certainSkewMs(this.#clockSkew.of(new URL(server.token_endpoint ?? server.issuer).host));
  }

  async #serverOf({ config, signal }: Opened): Promise<ServerMetadata> {
    const discovered = config.tokenEndpoint === undefined ? await this.#discover(config, signal) : undefined;
    return {
      issuer: config.issuer ?? new URL(config.tokenEndpoint ?? '').origin,
      ...discovered,
      ...(config.tokenEndpoint !== undefined && { token_endpoint: config.tokenEndpoint }),
      ...(config.introspectionEndpoint !== undefined && { introspection_endpoint: config.introspectionEndpoint }),
      ...(config.revocationEndpoint !== undefined && { revocation_endpoint: config.revocationEndpoint }),
    };
  }

  async #discover(config: OAuth2Config, signal: AbortSignal): Promise<ServerMetadata> {
    const issuer = config.issuer ?? '';
    const now = this.#ports.clock.now();
    const known = this.#metadata.get(issuer);
    if (known && now.getTime() - known.fetchedAt.getTime() < METADATA_LIFE_MS) return known.server;
    const { allowInsecureTransport } = config;
    const server = await discoveryRequest(issuer, { fetch: this.#fetch, signal, allowInsecureTransport });
    this.#metadata.set(issuer, { server, fetchedAt: now });
    return server;
  }
}

const NEVER = new AbortController().signal;

function open(input: DriverInput): Opened {
  const config = parseOAuth2Config(input.config);
  return {
    config,
    secret: parseOAuth2Secret(input.registered.unwrap(), config),
    grant: input.grant === null ? null : parseOAuth2Grant(input.grant.unwrap()),
    signal: input.signal,
  };
}

function checkOf(config: OAuth2Config, server: ServerMetadata): Check | null {
  if (config.testUrl !== undefined) return { kind: 'testUrl', endpoint: config.testUrl };
  if (config.userinfoEndpoint !== undefined) return { kind: 'userinfo', endpoint: config.userinfoEndpoint };
  const endpoint = server.introspection_endpoint;
  return endpoint === undefined ? null : { kind: 'introspection', endpoint };
}

function testMessage(check: Check | null, outcome: Confirmation, host: string): string {
  if (outcome === 'rejected') return `${host} does not accept the access token.`;
  if (outcome === 'accepted') return `${host} accepts the access token.`;
  return check === null
    ? `${host} issued an access token.`
    : `${host} issued an access token; it could not be checked further.`;
}

function definedMembers(value: Record<string, JsonObject[string] | undefined>): JsonObject {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, member]) => (member === undefined ? [] : [[key, member]])),
  );
}
