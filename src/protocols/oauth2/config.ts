import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import { grantFacts } from './grant-facts.ts';
import { profileNameSchema, withProfile } from './profile.ts';

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
  'introspectionEndpoint',
  'revocationEndpoint',
  'userinfoEndpoint',
  'testUrl',
] as const;

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
    introspectionEndpoint: url.optional(),
    revocationEndpoint: url.optional(),
    userinfoEndpoint: url.optional(),
    grantType: z.enum(['client_credentials', 'refresh_token']),
    clientId,
    clientAuthentication: z.enum(['client_secret_basic', 'client_secret_post']).default('client_secret_basic'),
    scope: scope.optional(),
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

const secretSchema = z.strictObject({
  clientSecret: z.string().min(1).max(8192),
  refreshToken: z.string().min(1).max(65_536).optional(),
});

/** What the owner entered. */
export type OAuth2Secret = z.infer<typeof secretSchema>;

const grantSchema = z.strictObject({
  accessToken: z.string(),
  refreshToken: z.string().nullable(),
  scope: z.string().nullable(),
  ...grantFacts,
});

/** What the authorization server issued. */
export type OAuth2Grant = z.infer<typeof grantSchema>;

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field. */
export function parseOAuth2Config(config: unknown): OAuth2Config {
  return parseWith(configSchema, withProfile(config), 'config');
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field, never its value. */
export function parseOAuth2Secret(secret: unknown, config: OAuth2Config): OAuth2Secret {
  const parsed = parseWith(secretSchema, secret, 'secret');
  if (config.grantType === 'refresh_token' && parsed.refreshToken === undefined) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The field secret.refreshToken is needed for the grant type refresh_token.',
    );
  }
  return parsed;
}

export function parseOAuth2Grant(grant: JsonObject): OAuth2Grant {
  return parseWith(grantSchema, grant, 'grant');
}

function parseWith<T>(schema: z.ZodType<T>, value: unknown, root: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const field = [root, ...(issue?.path ?? [])].join('.');
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${field} ${explain(issue, root)}.`);
}

function printable(key: string): string {
  return key.slice(0, 40).replaceAll(/[^\x20-\x7e]/g, '?');
}

/** In our own words: the schema library's messages may quote the value. */
function explain(issue: z.core.$ZodIssue | undefined, root: string): string {
  switch (issue?.code) {
    case 'unrecognized_keys':
      // A name may be a value pasted into the wrong place.
      return root === 'secret' ? 'has unknown members' : `has unknown members: ${issue.keys.map(printable).join(', ')}`;
    case 'invalid_value':
      return `must be one of: ${issue.values.map(String).join(', ')}`;
    case 'invalid_type':
      return `must be of type ${issue.expected}`;
    case 'too_small':
      return 'is too small or too short';
    case 'too_big':
      return 'is too large or too long';
    case 'invalid_format':
      return issue.format === 'url' ? 'must be a URL' : 'has the wrong form';
    case 'custom':
      return issue.message;
    default:
      return 'is not valid';
  }
}
