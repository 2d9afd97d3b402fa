import { z } from 'zod/v4';
import { ConfigurationError, InternalError } from '../../errors.ts';
import { isJsonObject, isPlainObject, type JsonObject, type JsonValue } from '../../json.ts';
import atlassian from './profiles/atlassian.json';
import auth0 from './profiles/auth0.json';
import generic from './profiles/generic.json';
import githubApp from './profiles/github-app.json';
import google from './profiles/google.json';
import hubspot from './profiles/hubspot.json';
import keycloak from './profiles/keycloak.json';
import microsoftEntra from './profiles/microsoft-entra.json';
import okta from './profiles/okta.json';
import salesforce from './profiles/salesforce.json';
import slack from './profiles/slack.json';
import xero from './profiles/xero.json';
import zoho from './profiles/zoho.json';

/** What is known of providers beyond the standards, as data: each fact with the page that says so. */
const FILES = {
  generic,
  google,
  'microsoft-entra': microsoftEntra,
  'github-app': githubApp,
  slack,
  salesforce,
  atlassian,
  zoho,
  hubspot,
  xero,
  keycloak,
  auth0,
  okta,
} as const;

export type ProfileName = keyof typeof FILES;
export const PROFILE_NAMES: readonly ProfileName[] = [
  'generic',
  'google',
  'microsoft-entra',
  'github-app',
  'slack',
  'salesforce',
  'atlassian',
  'zoho',
  'hubspot',
  'xero',
  'keycloak',
  'auth0',
  'okta',
];

const source = z.string().min(10);
const fact = <T extends z.ZodType>(value: T) => z.strictObject({ value, source }).optional();
const durationMs = z.int().positive();
const httpsUrl = z.url({ protocol: /^https$/ });
const pattern = z.string().refine((text) => {
  try {
    return new RegExp(text, 'i').source !== '';
  } catch {
    return false;
  }
});

export const MEANINGS = ['grantRefused', 'clientRefused', 'requestRefused', 'unavailable', 'rateLimited'] as const;
/** What a vendor's error means: who must act. */
export type Meaning = (typeof MEANINGS)[number];

const errorRule = z.strictObject({
  /** The member that holds the vendor's code; default `error`. */
  member: z.string().default('error'),
  equals: z.array(z.string()).min(1).optional(),
  /** Matched, without regard to case, against the text members that describe the error. Never shown. */
  description: pattern.optional(),
  status: z.int().optional(),
  means: z.enum(MEANINGS),
  /** In plain words, for the owner. */
  says: z.string().optional(),
  retryAfterMs: durationMs.optional(),
  source,
});

const expiredRule = z.strictObject({
  status: z.int().optional(),
  /** Path of a member of the JSON body, with dots between names. */
  bodyPath: z.string().optional(),
  equals: z.array(z.string()).min(1).optional(),
  /** Matched against the whole body where there is no path. */
  body: pattern.optional(),
  header: z.strictObject({ name: z.string(), contains: z.string() }).optional(),
  source,
});

const quotaSchema = z.strictObject({
  requests: z.int().positive(),
  perMs: durationMs,
  /** What is counted together. */
  per: z.enum(['refreshToken', 'client', 'user']),
  source,
});
/** So many token requests in so long a time. */
export type Quota = z.infer<typeof quotaSchema>;

const profileSchema = z.strictObject({
  name: z.string(),
  title: z.string(),
  /** The settings that it stands in for; what the owner enters wins. */
  endpoints: z
    .strictObject({
      issuer: httpsUrl.optional(),
      tokenEndpoint: httpsUrl.optional(),
      authorizationEndpoint: httpsUrl.optional(),
      deviceAuthorizationEndpoint: httpsUrl.optional(),
      revocationEndpoint: httpsUrl.optional(),
      userinfoEndpoint: httpsUrl.optional(),
      testUrl: httpsUrl.optional(),
      source,
    })
    .optional(),
  clientAuthentication: fact(z.enum(['client_secret_basic', 'client_secret_post'])),
  /** Whether a refresh replaces the refresh token. */
  rotation: fact(z.enum(['always', 'never', 'optional'])),
  /** How long a replaced refresh token is still accepted. */
  reuseGraceMs: fact(z.int().min(0).max(3_600_000)),
  /** The life of an access token when the answer does not say. */
  accessTokenLifetimeMs: fact(durationMs),
  /** The life of the grant, however often it is refreshed. */
  grantLifetimeMs: fact(durationMs),
  /** The life of a refresh token that is not used. */
  refreshTokenIdleMs: fact(durationMs),
  quotas: z.array(quotaSchema).default([]),
  errors: z.array(errorRule).default([]),
  /** Parameters that a refresh needs beside those of RFC 6749 §6. */
  refreshParameters: fact(z.record(z.string(), z.string())),
  /** What says, beside HTTP 401, that an access token is not accepted any more. */
  expiredWhen: z.array(expiredRule).default([]),
  /** What has to be asked for at the sign-in to be given a refresh token. */
  refreshTokenNeeds: z
    .strictObject({
      scopes: z.array(z.string()).default([]),
      authorizationParameters: z.record(z.string(), z.string()).default({}),
      /** What else, in plain words. */
      also: z.string().optional(),
      source,
    })
    .optional(),
  /** Members of an answer that hold a second token of the same grant. */
  companions: fact(z.array(z.string()).min(1)),
});
export type Profile = z.infer<typeof profileSchema>;

/** @throws InternalError `ERR_INTERNAL` naming the place, for a profile that does not keep to the schema */
export function parseProfile(value: unknown): Profile {
  const result = profileSchema.safeParse(value);
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? '';
  throw new InternalError('ERR_INTERNAL', `A provider profile is not valid at "${where}".`);
}

const loaded = new Map<ProfileName, Profile>();

/** @returns The profile of that name; without one, what holds for every server. */
export function profileOf(name: ProfileName = 'generic'): Profile {
  const known = loaded.get(name);
  if (known) return known;
  const own = parseProfile(FILES[name]);
  // Words that mean the same everywhere; a vendor's own come first.
  const errors = name === 'generic' ? own.errors : [...own.errors, ...profileOf('generic').errors];
  const profile = { ...own, errors };
  loaded.set(name, profile);
  return profile;
}

/** The member `profile` of settings. */
export const profileNameSchema = z.enum(PROFILE_NAMES);

const ENDPOINT_FIELDS = [
  'issuer',
  'tokenEndpoint',
  'authorizationEndpoint',
  'deviceAuthorizationEndpoint',
  'revocationEndpoint',
  'userinfoEndpoint',
  'testUrl',
] as const;

/**
 * Settings as entered, with what their profile knows in the places that were left open. Endpoints are taken all together,
 * or not at all when the owner names a server.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED` for a profile that needs the owner to name the server
 */
export function withProfile(entered: unknown): unknown {
  if (!isPlainObject(entered) || entered['profile'] === undefined) return entered;
  const name = profileNameSchema.safeParse(entered['profile']).data;
  if (name === undefined) return entered;
  const { endpoints, clientAuthentication, reuseGraceMs } = profileOf(name);
  const namesServer = entered['issuer'] !== undefined || entered['tokenEndpoint'] !== undefined;
  const known = new Map<string, unknown>();
  if (!namesServer && endpoints) for (const field of ENDPOINT_FIELDS) known.set(field, endpoints[field]);
  known.set('clientAuthentication', clientAuthentication?.value);
  known.set('reuseGraceMs', reuseGraceMs?.value);
  if (!namesServer && endpoints === undefined && name !== 'generic') {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      `The field config.issuer is needed: the profile ${name} has a server for each customer.`,
    );
  }
  const filled = [...known].filter(([field, value]) => value !== undefined && entered[field] === undefined);
  return { ...entered, ...Object.fromEntries(filled) };
}

/** Parsed settings without what their profile filled in: so a profile that is corrected corrects its credentials. */
export function withoutProfile<T extends object>(parsed: T, entered: unknown): Partial<T> {
  if (!isPlainObject(entered) || entered['profile'] === undefined) return parsed;
  const whole = withProfile(entered);
  const fields = isPlainObject(whole) ? Object.keys(whole) : [];
  const filled = new Set(fields.filter((field) => entered[field] === undefined));
  const kept: Partial<T> = { ...parsed };
  for (const field of Object.keys(parsed)) if (filled.has(field)) Reflect.deleteProperty(kept, field);
  return kept;
}

type ErrorRule = Profile['errors'][number];

/** The rule that knows this refusal; `null` when none does. */
export function meaningOf(profile: Profile, members: JsonObject, status: number): ErrorRule | null {
  return profile.errors.find((rule) => isMatch(rule, members, status)) ?? null;
}

const DESCRIBING_MEMBERS = ['error_description', 'message', 'error_message', 'error_hint', 'error_debug', 'hint'];

function isMatch(rule: ErrorRule, members: JsonObject, status: number): boolean {
  if (rule.status !== undefined && rule.status !== status) return false;
  const codes = [members[rule.member]].flat().map(String);
  if (rule.equals !== undefined && !rule.equals.some((code) => codes.includes(code))) return false;
  if (rule.description === undefined) return rule.equals !== undefined || rule.status !== undefined;
  const wanted = new RegExp(rule.description, 'i');
  return DESCRIBING_MEMBERS.some((name) => wanted.test(textOf(members[name])));
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value.slice(0, 2_000) : '';
}

/** Whether an answer of a protected resource says that the token is not accepted, although its status is not 401. */
export function saysExpired(
  profile: Profile,
  { status, headers, body }: { status: number; headers: Headers; body: string },
): boolean {
  return profile.expiredWhen.some((rule) => {
    if (rule.status !== undefined && rule.status !== status) return false;
    if (rule.header && !(headers.get(rule.header.name) ?? '').includes(rule.header.contains)) return false;
    if (rule.body !== undefined && !new RegExp(rule.body, 'i').test(body.slice(0, 10_000))) return false;
    return rule.equals === undefined || rule.equals.includes(String(memberAt(body, rule.bodyPath ?? '')));
  });
}

function memberAt(body: string, path: string): unknown {
  try {
    const value: unknown = JSON.parse(body);
    return path.split('.').reduce<unknown>((part, name) => {
      const isIndex = Array.isArray(part) && /^\d+$/.test(name);
      if (isIndex) return part[Number(name)];
      return isJsonObject(part) && Object.hasOwn(part, name) ? part[name] : undefined;
    }, value);
  } catch {
    return undefined;
  }
}

/**
 * How to be given a refresh token, in plain words, for the moment at which none came.
 *
 * @param request What the sign-in asked for; parameters that it sent are not advised again.
 */
export function refreshTokenAdvice(request: {
  profile?: ProfileName | undefined;
  scope?: string | undefined;
  authorizationParameters?: Readonly<Record<string, string>> | undefined;
}): string {
  const { profile: name, scope, authorizationParameters: sent = {} } = request;
  const { refreshTokenNeeds: needs, title } = profileOf(name);
  const has = new Set(scope?.split(' '));
  const wanted = needs?.scopes ?? [];
  const missing = wanted.some((one) => has.has(one)) ? [] : wanted;
  const parameters = Object.entries(needs?.authorizationParameters ?? {})
    .filter(([key, value]) => sent[key] !== value)
    .map(([key, value]) => `${key}=${value}`);
  const steps = [
    ...(missing.length === 0 ? [] : [`ask for the scope ${missing.join(' or ')}`]),
    ...(parameters.length === 0 ? [] : [`send ${parameters.join(' and ')} with the sign-in`]),
    ...(needs?.also === undefined ? [] : [needs.also]),
  ];
  const how = steps.length === 0 ? 'look at what the client may ask for' : steps.join('; ');
  const who = name === undefined || name === 'generic' ? 'The server' : title;
  return `${who} gave no refresh token, so a person is needed when the access token ends. To be given one: ${how}.`;
}

/** The quotas of the token endpoint, for whoever keeps budgets. Mind what each counts together. */
export function quotasOf({ profile }: { profile?: ProfileName | undefined }): readonly Quota[] {
  return profileOf(profile).quotas;
}
