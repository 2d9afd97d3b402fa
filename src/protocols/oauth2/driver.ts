import type { ServerMetadata } from 'openid-client';
import { isCredentialError, ReauthorizationRequiredError } from '../../errors.ts';
import { canonicalJson, toJsonObject, type JsonObject } from '../../json.ts';
import type { Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import { DEFAULT_BOUNDS } from '../bounded-fetch.ts';
import { describeSkew } from '../clock-skew.ts';
import type {
  BeforeSend,
  Budget,
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
import { nextToken, type NextToken } from './companions.ts';
import {
  isUserGrant,
  parseOAuth2Config,
  parseOAuth2Grant,
  parseOAuth2Secret,
  storedOAuth2Config,
  type OAuth2Config,
  type OAuth2Grant,
} from './config.ts';
import { generateDPoPKey, type DPoPKey } from './dpop.ts';
import { Exchanges } from './exchanges.ts';
import { open, type Opened } from './opened.ts';
import { quotasOf, withoutProfile } from './profile.ts';
import { materialOf, protectedResourceRequest, type ProofSources } from './protected-resource.ts';
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
import { companionRefused, processCompanionResponse, processTokenResponse } from './response.ts';
import { protectedResourceFetch } from './token-endpoint.ts';

/** How a credential's grant can be checked at the other side, best first. */
type Check = { readonly kind: 'testUrl' | 'userinfo' | 'introspection'; readonly endpoint: string };

/** OAuth 2.0 (RFC 6749) and OpenID Connect: every grant of `docs/oauth2.md`. */
export class OAuth2Driver implements ProtocolDriver {
  readonly protocol = 'oauth2';
  readonly authorization: OAuth2Authorization;
  readonly #ports: Ports;
  readonly #exchanges: Exchanges;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#exchanges = new Exchanges(ports);
    this.authorization = new OAuth2Authorization(ports, this.#exchanges);
  }

  parseConfig(config: unknown): JsonObject {
    return toJsonObject(withoutProfile(parseOAuth2Config(config), config));
  }

  parseSecret(secret: unknown, config: JsonObject): JsonObject {
    return toJsonObject(parseOAuth2Secret(secret, parseOAuth2Config(config)));
  }

  identity(config: JsonObject): JsonObject {
    const { issuer, tokenEndpoint, clientId, grantType, scope, ...rest } = parseOAuth2Config(config);
    const { resources, audience, assertion, tokenExchange } = rest;
    // An assertion says for whom a token is: another subject is another credential.
    const target = toJsonObject({ resources, audience, assertion, tokenExchange });
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
    const { issuer, tokenEndpoint } = storedOAuth2Config(config);
    return tokenEndpoint ?? issuer ?? '';
  }

  /** What the provider allows all credentials of a client together; quotas of single tokens are no matter of an endpoint. */
  budget(config: JsonObject): Budget | null {
    const quota = quotasOf(storedOAuth2Config(config)).find(({ per }) => per === 'client');
    return quota === undefined ? null : { requests: quota.requests, perMs: quota.perMs };
  }

  refreshTraits(input: Omit<DriverInput, 'signal'>): RefreshTraits {
    const opened = open({ ...input, signal: NEVER });
    const { refreshToken: spends } = nextTokenOf(opened);
    return {
      spends: spends === null ? null : Secret.of(spends),
      reuseGraceMs: opened.config.reuseGraceMs,
      deadlineMs: DEFAULT_BOUNDS.deadlineMs,
    };
  }

  /** The client as the token endpoint knows it. */
  app(input: Omit<DriverInput, 'signal'>): Secret<string> {
    const { config, secret } = open({ ...input, signal: NEVER });
    const { clientSecret = null, clientKey = null, tlsCertificate = null } = secret;
    return Secret.of(
      canonicalJson([this.endpoint(input.config), config.clientId, clientSecret, clientKey, tlsCertificate]),
    );
  }

  async refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued> {
    const opened = open(input);
    const { config, grant } = opened;
    const dpopKey = config.dpop === true ? (grant?.dpopKey ?? (await generateDPoPKey())) : null;
    // The server's metadata may take a request of its own; only the token request spends the token.
    const exchange = await this.#exchanges.beginToken(opened, { dpopKey, beforeSend });
    const requestedAt = this.#ports.clock.now();
    const { companion, refreshToken } = nextTokenOf(opened);
    const context = { config, previousRefreshToken: refreshToken, requestedAt, previous: grant };
    try {
      const response = await this.#tokenRequest(exchange, refreshToken);
      const answered = { ...context, serverAheadMs: exchange.serverAheadMs() };
      return companion === null
        ? bound(processTokenResponse(response, answered), { ...opened, dpopKey, response })
        : processCompanionResponse(response, companion, answered);
    } catch (error) {
      return companionRefused(error, companion, context);
    }
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
        const now = new Date(clock.now().getTime() + exchange.serverAheadMs());
        return jwtBearerGrantRequest(exchange, await signAssertion(config, secret, { tokenEndpoint, now, random }));
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
    return materialOf(parseOAuth2Grant(grant.unwrap()), this.#proofSources());
  }

  async confirm(input: DriverInput): Promise<Confirmation> {
    const opened = open(input);
    const exchange = await this.#exchanges.begin(opened);
    const check = checkOf(opened.config, exchange.server);
    if (check === null || opened.grant === null) return 'unconfirmable';
    return this.#check(check, exchange, opened.grant);
  }

  /** It presents a token, and a wrong token locks nobody out. */
  testTraits(): TestTraits {
    return { isLogin: false };
  }

  async test(input: DriverInput): Promise<TestResult> {
    const opened = open(input);
    const startedAt = this.#ports.clock.hostTime().ms;
    const exchange = await this.#exchanges.begin(opened);
    const { server } = exchange;
    const check = checkOf(opened.config, server);
    const outcome =
      check === null || opened.grant === null ? 'unconfirmable' : await this.#check(check, exchange, opened.grant);
    const tokenEndpoint = server.token_endpoint ?? server.issuer;
    const endpoint = check?.endpoint ?? tokenEndpoint;
    const skew = this.#exchanges.skewAt(tokenEndpoint);
    const clock = describeSkew(skew, new URL(tokenEndpoint).host);
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
    const exchange = await this.#exchanges.begin(opened);
    // Before the first refresh the only token that lives there is the one that its owner entered.
    const refreshToken = opened.grant?.refreshToken ?? opened.secret.refreshToken ?? null;
    const accessToken = opened.grant?.accessToken ?? null;
    if (exchange.server.revocation_endpoint === undefined || (refreshToken ?? accessToken) === null)
      return 'unsupported';
    await revocationRequest(exchange, { refreshToken, accessToken });
    return 'revoked';
  }

  async #check(check: Check, exchange: Exchange, grant: OAuth2Grant): Promise<Confirmation> {
    if (check.kind !== 'introspection') {
      const fetch = protectedResourceFetch(exchange.fetch, exchange.config.profile);
      const { signal } = exchange;
      const status = await protectedResourceRequest(check.endpoint, grant, { ...this.#proofSources(), fetch, signal });
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

  #proofSources(): ProofSources {
    const { clock, random } = this.#ports;
    return { clock, random, aheadMs: (url) => this.#exchanges.aheadMs(url) };
  }
}

const NEVER = new AbortController().signal;

/** Grants that nobody gave are asked for anew and spend nothing. */
function nextTokenOf({ config, secret, grant }: Opened): NextToken {
  if (!isUserGrant(config)) return { companion: null, refreshToken: null };
  return nextToken(grant, secret.refreshToken ?? null);
}

function bound(
  issued: Issued,
  { secret, grant, dpopKey, response }: Opened & { dpopKey: DPoPKey | null; response: TokenResponse },
): Issued {
  const binding = { dpopKey, tls: clientTlsOf(secret), tokenType: response.token_type, isFirst: grant === null };
  return bindGrant(issued, parseOAuth2Grant(issued.grant.unwrap()), binding);
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
