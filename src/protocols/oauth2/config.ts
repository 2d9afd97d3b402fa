import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import { parseWith } from '../schema.ts';
import { belongsTo, certificatePem, privateKeyPem, SIGNING_ALGORITHMS } from './client-key.ts';
import { dpopKeySchema } from './dpop.ts';
import { grantFacts } from './grant-facts.ts';
import { profileNameSchema, withProfile } from './profile.ts';

/** Ways of client authentication (RFC 6749 §2.3.1, RFC 7523 §2.2, RFC 8705 §2, OpenID Connect Core §9). */
const CLIENT_AUTHENTICATIONS = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
  'none',
] as const;

/** An endpoint URL: https, or http when `allowInsecureTransport` is set; no user, password or fragment in it. */
const url = z.url({ protocol: /^https?$/ }).refine((text) => {
  const parsed = URL.parse(text);
  return parsed === null || (parsed.username === '' && parsed.password === '' && parsed.hash === '');
}, 'must hold no user, password or fragment');
const scope = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/, 'must be names separated by single spaces');
// VSCHAR (RFC 6749, appendix A.1): nothing that could move the cursor of a terminal.
const clientId = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[\x20-\x7e]+$/);

const URL_FIELDS = [
  'issuer',
  'tokenEndpoint',
  'authorizationEndpoint',
  'deviceAuthorizationEndpoint',
  'pushedAuthorizationRequestEndpoint',
  'introspectionEndpoint',
  'revocationEndpoint',
  'userinfoEndpoint',
  'testUrl',
] as const;

/** A resource indicator (RFC 8707 §2): an absolute URI without a fragment. */
const resource = z.string().refine((text) => URL.parse(text)?.hash === '' && !text.includes('#'), {
  message: 'must be an absolute URI without a fragment',
});
const line = z
  .string()
  .min(1)
  .max(1024)
  .regex(/^[\x20-\x7e]+$/);
const signingAlgorithm = z.enum(SIGNING_ALGORITHMS);

/** Parameters of an authorization request that the engine sets itself. */
const OWN_PARAMETERS = new Set([
  ...['client_id', 'client_secret', 'response_type', 'response_mode', 'redirect_uri', 'scope', 'state', 'nonce'],
  ...['code_challenge', 'code_challenge_method', 'request', 'request_uri', 'resource', 'audience', 'dpop_jkt'],
]);

const tokenExchangeSchema = z.strictObject({
  /** RFC 8693 §3, for example `urn:ietf:params:oauth:token-type:access_token`. */
  subjectTokenType: line,
  actorTokenType: line.optional(),
  requestedTokenType: line.optional(),
});

const assertionSchema = z.strictObject({
  /** `iss`; default: the client id. */
  issuer: line.optional(),
  /** `sub`; default: the issuer. */
  subject: line.optional(),
  /** `aud`; default: the issuer of the server, or its token endpoint. */
  audience: line.optional(),
  algorithm: signingAlgorithm.optional(),
  keyId: line.optional(),
  /** Default 5 minutes. */
  lifetimeMs: z.int().min(10_000).max(3_600_000).default(300_000),
  /** Further claims, for servers that want the scope in the assertion. */
  claims: z.record(line, line).optional(),
});

const configSchema = z
  .strictObject({
    /** What is known of the provider (`docs/providers.md`). What is entered beside it wins. */
    profile: profileNameSchema.optional(),
    /** Authorization server, for discovery (RFC 8414, OpenID Connect Discovery). */
    issuer: url.optional(),
    /** Used as it is; without it the issuer's metadata names it. */
    tokenEndpoint: url.optional(),
    authorizationEndpoint: url.optional(),
    deviceAuthorizationEndpoint: url.optional(),
    pushedAuthorizationRequestEndpoint: url.optional(),
    introspectionEndpoint: url.optional(),
    revocationEndpoint: url.optional(),
    userinfoEndpoint: url.optional(),
    grantType: z.enum([
      'client_credentials',
      'refresh_token',
      'authorization_code',
      'device_code',
      'token_exchange',
      'jwt_bearer',
    ]),
    clientId,
    clientAuthentication: z.enum(CLIENT_AUTHENTICATIONS).default('client_secret_basic'),
    /** How `clientKey` signs; default by the kind of key: RS256, ES256, ES384, Ed25519. */
    clientKeyAlgorithm: signingAlgorithm.optional(),
    clientKeyId: line.optional(),
    /** `aud` of client assertions; default: the issuer, or the token endpoint where no issuer is given. */
    clientAssertionAudience: line.optional(),
    scope: scope.optional(),
    /** Resource indicators (RFC 8707), sent with the authorization request and with every token request. */
    resources: z.array(resource).min(1).max(20).optional(),
    /** The `audience` that some servers want beside or instead of a resource. */
    audience: line.optional(),
    /** Parameters that only this server wants in an authorization request, for example `access_type`. */
    authorizationParameters: z
      .record(line, line)
      .refine((parameters) => !Object.keys(parameters).some((name) => OWN_PARAMETERS.has(name)), {
        message: 'must not hold parameters that the engine sets itself',
      })
      .optional(),
    /** Sends authorization requests by the back channel (RFC 9126); also when the server's metadata requires it. */
    pushedAuthorizationRequests: z.boolean().optional(),
    /** Binds tokens to a key of their own (RFC 9449). */
    dpop: z.boolean().optional(),
    /** For the grant type token_exchange. */
    tokenExchange: tokenExchangeSchema.optional(),
    /** For the grant type jwt_bearer. */
    assertion: assertionSchema.optional(),
    /** Any resource that answers 2xx to a good token and 401 to a bad one. */
    testUrl: url.optional(),
    /** How long the server still accepts a spent refresh token. */
    reuseGraceMs: z.int().min(0).max(3_600_000).default(0),
    allowInsecureTransport: z.boolean().default(false),
  })
  .refine((config) => config.issuer !== undefined || config.tokenEndpoint !== undefined, {
    path: ['issuer'],
    message: 'is needed when there is no tokenEndpoint',
  })
  .refine((config) => config.grantType !== 'token_exchange' || config.tokenExchange !== undefined, {
    path: ['tokenExchange'],
    message: 'is needed for the grant type token_exchange',
  })
  .check(({ value: config, issues }) => {
    if (config.allowInsecureTransport) return;
    for (const name of URL_FIELDS) {
      const input = config[name];
      if (input === undefined || URL.parse(input)?.protocol !== 'http:') continue;
      issues.push({
        code: 'custom',
        path: [name],
        input,
        message: 'must be https, or allowInsecureTransport must be true',
      });
    }
  });

export type OAuth2Config = z.infer<typeof configSchema>;

const token = z.string().min(1).max(65_536);

const secretSchema = z.strictObject({
  clientSecret: z.string().min(1).max(8192).optional(),
  refreshToken: token.optional(),
  /** Signs client assertions (`private_key_jwt`). */
  clientKey: privateKeyPem.optional(),
  /** Client certificate, with its chain, for `tls_client_auth` and `self_signed_tls_client_auth`. */
  tlsCertificate: certificatePem.optional(),
  tlsKey: privateKeyPem.optional(),
  /** What a token exchange starts from. */
  subjectToken: token.optional(),
  actorToken: token.optional(),
  /** Signs the assertion of the grant type jwt_bearer. */
  assertionKey: privateKeyPem.optional(),
});

/** What the owner entered. */
export type OAuth2Secret = z.infer<typeof secretSchema>;

const grantSchema = z.strictObject({
  accessToken: z.string(),
  refreshToken: z.string().nullable(),
  scope: z.string().nullable(),
  /** The private key that the tokens are bound to (RFC 9449), when they are. */
  dpopKey: dpopKeySchema.optional(),
  /** Whether the access token wants the scheme DPoP; a server may have ignored the proof. */
  tokenType: z.enum(['Bearer', 'DPoP']).optional(),
  /** The client certificate that was shown when the tokens were issued: they may be bound to it (RFC 8705 §3). */
  tls: z.strictObject({ cert: z.string(), key: z.string() }).optional(),
  ...grantFacts,
});

/** What the authorization server issued. */
export type OAuth2Grant = z.infer<typeof grantSchema>;

/** Whether a person gives this grant: it then lives by its refresh token. */
export function isUserGrant({ grantType }: Pick<OAuth2Config, 'grantType'>): boolean {
  return grantType === 'authorization_code' || grantType === 'device_code' || grantType === 'refresh_token';
}

/** Whether there is nothing to begin with until a person has signed in. */
export function needsPerson({ grantType }: Pick<OAuth2Config, 'grantType'>): boolean {
  return grantType === 'authorization_code' || grantType === 'device_code';
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field. */
export function parseOAuth2Config(config: unknown): OAuth2Config {
  return parseWith(configSchema, withProfile(config), 'config');
}

const parsedConfigs = new WeakMap<JsonObject, OAuth2Config>();

/** The settings of a record that was read. They do not change, and one refresh asks for them many times: they are parsed once. */
export function storedOAuth2Config(config: JsonObject): OAuth2Config {
  const known = parsedConfigs.get(config);
  if (known) return known;
  const parsed = parseOAuth2Config(config);
  parsedConfigs.set(config, parsed);
  return parsed;
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field, never its value. */
export function parseOAuth2Secret(secret: unknown, config: OAuth2Config): OAuth2Secret {
  const parsed = parseWith(secretSchema, secret, 'secret');
  for (const [field, why] of requiredMembers(config)) {
    if (parsed[field] !== undefined) continue;
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field secret.${field} is needed for ${why}.`);
  }
  requireKeyPair(parsed);
  return parsed;
}

type SecretMember = keyof OAuth2Secret;

function requiredMembers({ grantType, clientAuthentication }: OAuth2Config): [SecretMember, string][] {
  const authentication = `the client authentication ${clientAuthentication}`;
  const byAuthentication: Record<OAuth2Config['clientAuthentication'], SecretMember[]> = {
    none: [],
    client_secret_basic: ['clientSecret'],
    client_secret_post: ['clientSecret'],
    client_secret_jwt: ['clientSecret'],
    private_key_jwt: ['clientKey'],
    tls_client_auth: ['tlsCertificate', 'tlsKey'],
    self_signed_tls_client_auth: ['tlsCertificate', 'tlsKey'],
  };
  const byGrant: Partial<Record<OAuth2Config['grantType'], SecretMember>> = {
    refresh_token: 'refreshToken',
    token_exchange: 'subjectToken',
    jwt_bearer: 'assertionKey',
  };
  const member = byGrant[grantType];
  return [
    ...byAuthentication[clientAuthentication].map((name): [SecretMember, string] => [name, authentication]),
    ...(member === undefined ? [] : [[member, `the grant type ${grantType}`] satisfies [SecretMember, string]]),
  ];
}

function requireKeyPair({ tlsCertificate, tlsKey }: OAuth2Secret): void {
  if ((tlsCertificate === undefined) !== (tlsKey === undefined)) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The fields secret.tlsCertificate and secret.tlsKey go together.',
    );
  }
  if (tlsCertificate === undefined || tlsKey === undefined || belongsTo(tlsCertificate, tlsKey)) return;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field secret.tlsKey is not the key of tlsCertificate.');
}

export function parseOAuth2Grant(grant: JsonObject): OAuth2Grant {
  return parseWith(grantSchema, grant, 'grant');
}
