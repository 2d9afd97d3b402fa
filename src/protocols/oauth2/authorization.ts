import { z } from 'zod/v4';
import { ConfigurationError, KeyRingError } from '../../errors.ts';
import { toJsonObject, type JsonObject } from '../../json.ts';
import type { Ports } from '../../ports.ts';
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
  requireArrival,
  requirePkce,
  requireRedirectUri,
  type BegunCode,
} from './authorization-code.ts';
import { bindGrant } from './binding.ts';
import { clientTlsOf } from './client-authentication.ts';
import { isUserGrant, needsPerson, parseOAuth2Config, parseOAuth2Grant, type OAuth2Config } from './config.ts';
import { begunDeviceSchema, deviceAuthorizationRequest, pollDeviceToken } from './device-code.ts';
import { generateDPoPKey } from './dpop.ts';
import type { Exchanges } from './exchanges.ts';
import { requireFittingIdToken } from './id-token.ts';
import { open, type Opened } from './opened.ts';
import { hostOf, type Exchange } from './request.ts';
import { processTokenResponse } from './response.ts';

/** RFC 6749 §4.1.2 recommends ten minutes for a code; a person gets as long for the whole sign-in. */
const SIGN_IN_MS = 600_000;

const begunSchema = z.discriminatedUnion('kind', [begunCodeSchema, begunDeviceSchema]);

/** Lets a person sign in: the authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636), or a device code (RFC 8628). */
export class OAuth2Authorization implements AuthorizationDriver {
  readonly #ports: Ports;
  readonly #exchanges: Exchanges;

  constructor(ports: Ports, exchanges: Exchanges) {
    this.#ports = ports;
    this.#exchanges = exchanges;
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
    if (begun.kind === 'redirect' && input.arrivedAt !== undefined) requireArrival(input.arrivedAt, begun);
    const exchange = await this.#exchanges.beginToken(opened, {
      dpopKey: begun.dpopKey,
      // A device code is asked for again and again; a code is spent by the first request.
      ...(begun.kind === 'redirect' && { beforeSend }),
      wantsIdToken: asksForIdToken(config),
    });
    const { clock } = this.#ports;
    const startedAt = clock.now();
    const response =
      begun.kind === 'device'
        ? await pollDeviceToken(exchange, begun, { clock, onPending: input.onPending })
        : await authorizationCodeGrantRequest(exchange, begun, input.parameters ?? new URLSearchParams());
    // The last of a device's requests was made after the waiting, not when that began.
    const requestedAt = begun.kind === 'device' ? clock.now() : startedAt;
    const serverAheadMs = exchange.serverAheadMs();
    requireFittingIdToken(response, {
      ...{ clientId: config.clientId, code: input.parameters?.get('code') ?? null, host: hostOf(exchange) },
      now: new Date(clock.now().getTime() + serverAheadMs),
    });
    const issued = processTokenResponse(response, { config, previousRefreshToken: null, requestedAt, serverAheadMs });
    const { token_type: tokenType } = response;
    const binding = { dpopKey: begun.dpopKey, tls: clientTlsOf(secret), tokenType, isFirst: true };
    return bindGrant(issued, parseOAuth2Grant(issued.grant.unwrap()), binding);
  }

  async #beginRedirect(opened: Begin, redirectUri: string): Promise<BegunAuthorization> {
    const { config, dpopKey } = opened;
    requireRedirectUri(redirectUri, config);
    const exchange = await this.#exchanges.begin(opened, { dpopKey, needed: ['authorization_endpoint'] });
    const { server } = exchange;
    requirePkce(server);
    const pushed = config.pushedAuthorizationRequests ?? server.require_pushed_authorization_requests === true;
    const needed = ['authorization_endpoint', 'pushed_authorization_request_endpoint'] as const;
    const sending = pushed ? await this.#exchanges.begin(opened, { dpopKey, needed }) : exchange;
    const begun: BegunCode = {
      kind: 'redirect',
      redirectUri,
      state: this.#randomText(),
      codeVerifier: this.#randomText(),
      nonce: asksForIdToken(config) ? this.#randomText() : null,
      dpopKey,
    };
    const url = await authorizationRequest(sending, begun, pushed);
    const expiresAt = new Date(this.#ports.clock.now().getTime() + SIGN_IN_MS);
    return {
      prompt: { kind: 'redirect', url },
      state: Secret.of(begun.state),
      begun: Secret.of(toJsonObject(begun)),
      expiresAt,
    };
  }

  async #beginDevice(opened: Begin): Promise<BegunAuthorization> {
    const { dpopKey } = opened;
    const exchange = await this.#exchanges.begin(opened, { dpopKey, needed: ['device_authorization_endpoint'] });
    const requestedAt = this.#ports.clock.now();
    const device = await deviceAuthorizationRequest(exchange);
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

/** Without an issuer nothing of an ID token can be checked. */
function asksForIdToken({ issuer, scope }: OAuth2Config): boolean {
  return issuer !== undefined && (scope?.split(' ').includes('openid') ?? false);
}

function parseBegun(begun: Secret<JsonObject>): z.output<typeof begunSchema> {
  const result = begunSchema.safeParse(begun.unwrap());
  if (result.success) return result.data;
  throw new KeyRingError('ERR_CREDENTIAL_UNREADABLE', 'What was sealed for this sign-in is not valid.');
}
