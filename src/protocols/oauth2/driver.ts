import type { ServerMetadata } from 'openid-client';
import { isCredentialError, ReauthorizationRequiredError } from '../../errors.ts';
import { canonicalJson, toJsonObject, type JsonObject } from '../../json.ts';
import type { Fetch, Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import { boundedFetch, DEFAULT_BOUNDS } from '../bounded-fetch.ts';
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
import { signAssertion } from './assertion.ts';
import { OAuth2Authorization } from './authorization.ts';
import { bindGrant } from './binding.ts';
import { clientTlsOf } from './client-authentication.ts';
import {
  isUserGrant,
  parseOAuth2Config,
  parseOAuth2Grant,
  parseOAuth2Secret,
  type OAuth2Config,
  type OAuth2Grant,
} from './config.ts';
import { generateDPoPKey } from './dpop.ts';
import { open } from './opened.ts';
import { materialOf, protectedResourceRequest } from './protected-resource.ts';
import {
  clientCredentialsGrantRequest,
  hostOf,
  introspectionRequest,
  jwtBearerGrantRequest,
  refreshTokenGrantRequest,
  revocationRequest,
  tokenExchangeGrantRequest,
  type Exchange,
  type TokenResponse,
} from './request.ts';
import { processTokenResponse } from './response.ts';
import { AuthorizationServers } from './server-metadata.ts';
import { tokenFetch } from './token-fetch.ts';

/** How a credential's grant can be checked at the other side, best first. */
type Check = { readonly kind: 'testUrl' | 'userinfo' | 'introspection'; readonly endpoint: string };

/** OAuth 2.0 (RFC 6749) and OpenID Connect: every grant of `docs/oauth2.md`. */
export class OAuth2Driver implements ProtocolDriver {
  readonly protocol = 'oauth2';
  readonly authorization: OAuth2Authorization;
  readonly #ports: Ports;
  readonly #fetch: Fetch;
  readonly #servers: AuthorizationServers;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#fetch = boundedFetch(ports.fetch, () => ports.clock.now());
    this.#servers = new AuthorizationServers(this.#fetch, ports.clock);
    this.authorization = new OAuth2Authorization({ ports, servers: this.#servers, fetch: this.#fetch });
  }

  parseConfig(config: unknown): JsonObject {
    return toJsonObject(parseOAuth2Config(config));
  }

  parseSecret(secret: unknown, config: JsonObject): JsonObject {
    return toJsonObject(parseOAuth2Secret(secret, parseOAuth2Config(config)));
  }

  identity(config: JsonObject): JsonObject {
    const { issuer, tokenEndpoint, clientId, grantType, scope, resources, audience } = parseOAuth2Config(config);
    const target = toJsonObject({ resources, audience });
    const server = { issuer: issuer ?? null, tokenEndpoint: tokenEndpoint ?? null };
    return { ...server, clientId, grantType, scope: scope ?? null, ...target };
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

  refreshTraits(input: Omit<DriverInput, 'signal'>): RefreshTraits {
    const { config, secret, grant } = open({ ...input, signal: NEVER });
    const spends = isUserGrant(config) ? (grant?.refreshToken ?? secret.refreshToken ?? null) : null;
    return {
      spends: spends === null ? null : Secret.of(spends),
      reuseGraceMs: config.reuseGraceMs,
      deadlineMs: DEFAULT_BOUNDS.deadlineMs,
    };
  }

  /** The client as the token endpoint knows it. */
  app(input: Omit<DriverInput, 'signal'>): Secret<string> {
    const { config, secret } = open({ ...input, signal: NEVER });
    return Secret.of(canonicalJson([this.endpoint(input.config), config.clientId ?? null, secret.clientSecret ?? null]));
  }

  async refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued> {
    const opened = open(input);
    const { config, secret, grant } = opened;
    const server = await this.#servers.of(config, opened.signal);
    const dpopKey = config.dpop === true ? (grant?.dpopKey ?? (await generateDPoPKey())) : null;
    // The server's metadata may take a request of its own; only the token request spends the token.
    const { logger } = this.#ports;
    const fetch = tokenFetch(this.#fetch, { logger, beforeSend, hasIssuer: config.issuer !== undefined });
    const exchange: Exchange = { ...opened, server, fetch, dpopKey };
    const requestedAt = this.#ports.clock.now();
    const previousRefreshToken = grant?.refreshToken ?? secret.refreshToken ?? null;
    const response = await this.#tokenRequest(exchange, previousRefreshToken);
    const issued = processTokenResponse(response, { config, previousRefreshToken, requestedAt });
    const binding = { dpopKey, tls: clientTlsOf(secret), tokenType: response.token_type, isFirst: grant === null };
    return bindGrant(issued, parseOAuth2Grant(issued.grant.unwrap()), binding);
  }

  async #tokenRequest(exchange: Exchange, refreshToken: string | null): Promise<TokenResponse> {
    const { config, secret, server } = exchange;
    switch (config.grantType) {
      case 'client_credentials':
        return clientCredentialsGrantRequest(exchange);
      case 'token_exchange':
        return tokenExchangeGrantRequest(exchange);
      case 'jwt_bearer': {
        const { clock, random } = this.#ports;
        const tokenEndpoint = server.token_endpoint ?? server.issuer;
        return jwtBearerGrantRequest(exchange, await signAssertion(config, secret, { tokenEndpoint, clock, random }));
      }
      default:
        if (refreshToken !== null) return refreshTokenGrantRequest(exchange, refreshToken);
        throw new ReauthorizationRequiredError(
          'ERR_OAUTH2_NO_REFRESH_TOKEN',
          `There is no refresh token of ${hostOf(exchange)} to get another access token with.`,
        );
    }
  }

  material(grant: Secret<JsonObject>): Omit<Material, 'expiresAt' | 'generation'> {
    return materialOf(parseOAuth2Grant(grant.unwrap()), this.#ports);
  }

  async confirm(input: DriverInput): Promise<Confirmation> {
    const opened = open(input);
    const server = await this.#servers.of(opened.config, opened.signal);
    const check = checkOf(opened.config, server);
    if (check === null || opened.grant === null) return 'unconfirmable';
    return this.#check(check, { ...opened, server, fetch: this.#fetch, dpopKey: null }, opened.grant);
  }

  /** It presents a token, and a wrong token locks nobody out. */
  testTraits(): TestTraits {
    return { isLogin: false };
  }

  async test(input: DriverInput): Promise<TestResult> {
    const opened = open(input);
    const startedAt = this.#ports.clock.hostTime().ms;
    const server = await this.#servers.of(opened.config, opened.signal);
    const check = checkOf(opened.config, server);
    const outcome =
      check === null || opened.grant === null
        ? 'unconfirmable'
        : await this.#check(check, { ...opened, server, fetch: this.#fetch, dpopKey: null }, opened.grant);
    const endpoint = check?.endpoint ?? server.token_endpoint ?? server.issuer;
    return {
      success: outcome !== 'rejected',
      message: testMessage(check, outcome, new URL(endpoint).host),
      details: {
        latencyMs: this.#ports.clock.hostTime().ms - startedAt,
        endpoint,
        permissionsVerified: opened.grant?.scope?.split(' ').filter((scope) => scope !== '') ?? [],
        metadata: { grantType: opened.config.grantType, checkedBy: check?.kind ?? 'tokenEndpoint' },
      },
      testedAt: this.#ports.clock.now(),
    };
  }

  async revoke(input: DriverInput): Promise<'revoked' | 'unsupported'> {
    const opened = open(input);
    const server = await this.#servers.of(opened.config, opened.signal);
    // Before the first refresh the only token that lives there is the one that its owner entered.
    const refreshToken = opened.grant?.refreshToken ?? opened.secret.refreshToken ?? null;
    const accessToken = opened.grant?.accessToken ?? null;
    if (server.revocation_endpoint === undefined || (refreshToken ?? accessToken) === null) return 'unsupported';
    await revocationRequest({ ...opened, server, fetch: this.#fetch, dpopKey: null }, { refreshToken, accessToken });
    return 'revoked';
  }

  async #check(check: Check, exchange: Exchange, grant: OAuth2Grant): Promise<Confirmation> {
    if (check.kind !== 'introspection') {
      const status = await protectedResourceRequest(check.endpoint, grant, {
        ...exchange,
        ...this.#ports,
        fetch: this.#fetch,
      });
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
}

const NEVER = new AbortController().signal;

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
