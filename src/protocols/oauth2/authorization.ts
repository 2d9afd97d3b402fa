import { z } from 'zod/v4';
import { ConfigurationError, KeyRingError } from '../../errors.ts';
import { toJsonObject, type JsonObject } from '../../json.ts';
import type { Fetch, Ports } from '../../ports.ts';
import { Secret } from '../../secret.ts';
import type {
  AuthorizationCompletion,
  AuthorizationDriver,
  BeforeSend,
  BegunAuthorization,
  DriverInput,
  Issued,
} from '../protocol.ts';
import {
  authorizationCodeGrantRequest,
  authorizationRequest,
  begunCodeSchema,
  requirePkce,
  requireRedirectUri,
  type BegunCode,
} from './authorization-code.ts';
import { bindGrant } from './binding.ts';
import { clientTlsOf } from './client-authentication.ts';
import { isUserGrant, needsPerson, parseOAuth2Config, parseOAuth2Grant } from './config.ts';
import { begunDeviceSchema, deviceAuthorizationRequest, pollDeviceToken } from './device-code.ts';
import { generateDPoPKey } from './dpop.ts';
import { open, type Opened } from './opened.ts';
import { refreshTokenAdvice } from './refresh-token-advice.ts';
import type { Exchange } from './request.ts';
import { processTokenResponse } from './response.ts';
import type { AuthorizationServers } from './server-metadata.ts';
import { tokenFetch } from './token-fetch.ts';

/** RFC 6749 §4.1.2 recommends ten minutes for a code; a person gets as long for the whole sign-in. */
const SIGN_IN_MS = 600_000;

const begunSchema = z.discriminatedUnion('kind', [begunCodeSchema, begunDeviceSchema]);

/** Lets a person sign in: the authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636), or a device code (RFC 8628). */
export class OAuth2Authorization implements AuthorizationDriver {
  readonly #ports: Ports;
  readonly #servers: AuthorizationServers;
  readonly #fetch: Fetch;

  constructor({ ports, servers, fetch }: { ports: Ports; servers: AuthorizationServers; fetch: Fetch }) {
    this.#ports = ports;
    this.#servers = servers;
    this.#fetch = fetch;
  }

  needsPerson(config: JsonObject): boolean {
    return needsPerson(parseOAuth2Config(config));
  }

  stateOf(parameters: URLSearchParams): Secret<string> | null {
    const [state, ...others] = parameters.getAll('state');
    return state === undefined || state === '' || others.length > 0 ? null : Secret.of(state);
  }

  async begin(input: DriverInput, redirectUri: string | null): Promise<BegunAuthorization> {
    const opened = open(input);
    const { config } = opened;
    if (!isUserGrant(config)) {
      throw new ConfigurationError(
        'ERR_AUTHORIZATION_UNSUPPORTED',
        `A credential of the grant type ${config.grantType} has nobody who signs in.`,
      );
    }
    const dpopKey = config.dpop === true ? await generateDPoPKey() : null;
    return redirectUri === null || config.grantType === 'device_code'
      ? this.#beginDevice({ ...opened, dpopKey })
      : this.#beginRedirect({ ...opened, dpopKey }, redirectUri);
  }

  async complete(input: AuthorizationCompletion, beforeSend: BeforeSend): Promise<Issued> {
    const opened = open(input);
    const { config, secret } = opened;
    const begun = parseBegun(input.begun);
    const server = await this.#servers.of(config, opened.signal);
    const fetch = tokenFetch(this.#fetch, {
      logger: this.#ports.logger,
      // A device code is asked for again and again; a code is spent by the first request.
      ...(begun.kind === 'redirect' && { beforeSend }),
      hasIssuer: config.issuer !== undefined,
      jwksUri: server.jwks_uri,
    });
    const { clock } = this.#ports;
    const exchange: Exchange = { ...opened, server, fetch, dpopKey: begun.dpopKey };
    const startedAt = clock.now();
    const response =
      begun.kind === 'device'
        ? await pollDeviceToken(exchange, begun, { clock, onPending: input.onPending })
        : await authorizationCodeGrantRequest(exchange, begun, input.parameters ?? new URLSearchParams());
    // The last of a device's requests was made after the waiting, not when that began.
    const requestedAt = begun.kind === 'device' ? clock.now() : startedAt;
    const issued = processTokenResponse(response, { config, previousRefreshToken: null, requestedAt });
    const { token_type: tokenType } = response;
    const binding = { dpopKey: begun.dpopKey, tls: clientTlsOf(secret), tokenType, isFirst: true };
    const bound = bindGrant(issued, parseOAuth2Grant(issued.grant.unwrap()), binding);
    return issued.refreshable ? bound : { ...bound, advice: refreshTokenAdvice(config) };
  }

  async #beginRedirect(opened: Begin, redirectUri: string): Promise<BegunAuthorization> {
    const { config, signal, dpopKey } = opened;
    requireRedirectUri(redirectUri, config);
    const server = await this.#servers.of(config, signal, 'authorization_endpoint');
    requirePkce(server);
    const pushed = config.pushedAuthorizationRequests ?? server.require_pushed_authorization_requests === true;
    if (pushed) await this.#servers.of(config, signal, 'pushed_authorization_request_endpoint');
    const asksForIdToken = config.issuer !== undefined && (config.scope?.split(' ').includes('openid') ?? false);
    const begun: BegunCode = {
      kind: 'redirect',
      redirectUri,
      state: this.#randomText(),
      codeVerifier: this.#randomText(),
      nonce: asksForIdToken ? this.#randomText() : null,
      dpopKey,
    };
    const url = await authorizationRequest({ ...opened, server, fetch: this.#fetch }, begun, pushed);
    const expiresAt = new Date(this.#ports.clock.now().getTime() + SIGN_IN_MS);
    return {
      prompt: { kind: 'redirect', url },
      state: Secret.of(begun.state),
      begun: Secret.of(toJsonObject(begun)),
      expiresAt,
    };
  }

  async #beginDevice(opened: Begin): Promise<BegunAuthorization> {
    const { config, signal, dpopKey } = opened;
    const server = await this.#servers.of(config, signal, 'device_authorization_endpoint');
    const requestedAt = this.#ports.clock.now();
    const device = await deviceAuthorizationRequest({ ...opened, server, fetch: this.#fetch });
    const { deviceCode, intervalMs, lifetimeMs, userCode, verificationUri, verificationUriComplete } = device;
    const expiresAt = new Date(requestedAt.getTime() + lifetimeMs);
    return {
      prompt: { kind: 'device', userCode, verificationUri, verificationUriComplete },
      state: Secret.of(this.#randomText()),
      begun: Secret.of<JsonObject>({
        kind: 'device',
        deviceCode,
        intervalMs,
        expiresAt: expiresAt.toISOString(),
        dpopKey: dpopKey && { ...dpopKey },
      }),
      expiresAt,
    };
  }

  /** 256 bits: nobody guesses it. */
  #randomText(): string {
    return this.#ports.random.bytes(32).toString('base64url');
  }
}

type Begin = Opened & Pick<Exchange, 'dpopKey'>;

function parseBegun(begun: Secret<JsonObject>): z.output<typeof begunSchema> {
  const result = begunSchema.safeParse(begun.unwrap());
  if (result.success) return result.data;
  throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'What was sealed for this sign-in is not valid.');
}
