import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import { parseWith } from '../schema.ts';
import { isFilter } from './filter.ts';
import { parseLdapUrl, type LdapUrl } from './url.ts';

/** What a kind of directory is usually like. Each can be said otherwise by the field of the same name. */
const PRESETS = {
  openldap: {
    userFilter: '(&(objectClass=inetOrgPerson)(uid={username}))',
    groupFilter: '(&(objectClass=groupOfNames)(member={dn}))',
    attributes: ['cn', 'mail', 'uid', 'memberOf'],
    userAuthentication: 'search',
  },
  activeDirectory: {
    userFilter: '(&(objectCategory=person)(objectClass=user)(sAMAccountName={username}))',
    groupFilter: '(&(objectClass=group)(member={dn}))',
    attributes: ['cn', 'mail', 'sAMAccountName', 'userPrincipalName', 'memberOf'],
    userAuthentication: 'upn',
  },
} as const;

const dn = z
  .string()
  .trim()
  .min(1)
  .max(2_048)
  .regex(/^\P{Cc}*$/u);
const pem = z
  .string()
  .regex(/-----BEGIN [A-Z ]+-----/)
  .max(262_144);
const milliseconds = z.int().min(1).max(3_600_000);
const filterWith = (place: string) =>
  z
    .string()
    .refine(
      (text) => text.includes(place) && isFilter(text.replaceAll(place, 'x')),
      `must be a search filter (RFC 4515) that holds ${place}`,
    );

const configSchema = z
  .strictObject({
    /** ldaps://host, or ldap://host, which is then protected by StartTLS. */
    url: z.string().max(2_048),
    preset: z.enum(['openldap', 'activeDirectory']).default('openldap'),
    /** PEM certificates of the authorities that vouch for the server. */
    ca: pem.optional(),
    /** The name that the server's certificate holds, when it is not the host of the URL. */
    serverName: z.string().min(1).max(253).optional(),
    /** Plain ldap:// without StartTLS: passwords go over the network as they are. */
    allowInsecureTransport: z.boolean().default(false),
    baseDn: dn,
    /** `external`: the client certificate of the secret says who we are (SASL EXTERNAL). */
    bindMethod: z.enum(['simple', 'external']).default('simple'),
    bindDn: dn.optional(),
    /** A second account with the same rights: rotation then alternates between the two. */
    standbyBindDn: dn.optional(),
    /** An account that may reset the password of the other, for rotation. */
    rotatorDn: dn.optional(),
    userAuthentication: z.enum(['dnTemplate', 'upn', 'search']).optional(),
    userDnTemplate: dn.refine((text) => text.includes('{username}'), 'must hold {username}').optional(),
    /** What follows the @ of a user principal name. */
    upnDomain: z
      .string()
      .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/)
      .optional(),
    userBaseDn: dn.optional(),
    userFilter: filterWith('{username}').optional(),
    attributes: z
      .array(z.string().regex(/^[A-Za-z0-9.;-]{1,128}$|^[*+]$/))
      .min(1)
      .max(100)
      .optional(),
    /** Where groups come from: the attribute `memberOf`, or a search for groups that name the entry as a member. */
    groups: z.enum(['memberOf', 'search']).default('memberOf'),
    nestedGroups: z.boolean().default(false),
    groupBaseDn: dn.optional(),
    groupFilter: filterWith('{dn}').optional(),
    /** The policy entry whose pwdMaxAge holds for the account (ppolicy). */
    passwordPolicyDn: dn.optional(),
    maxConnections: z.int().min(1).max(100).default(10),
    /** Logins of users that are under way at once, each on a connection of its own. */
    maxUserBinds: z.int().min(1).max(100).default(10),
    acquireTimeoutMs: milliseconds.default(10_000),
    connectTimeoutMs: milliseconds.default(5_000),
    operationTimeoutMs: milliseconds.default(10_000),
    idleCheckAfterMs: milliseconds.default(30_000),
    idleTimeoutMs: milliseconds.default(120_000),
    maxAgeMs: z.int().min(1_000).max(86_400_000).default(1_800_000),
    /** Within this time the directory may lock an account after failed logins; rotation makes at most one in it. */
    lockoutWindowMs: z.int().min(0).max(86_400_000).default(1_800_000),
    pageSize: z.int().min(1).max(1_000).default(500),
    /** Most entries that one search may bring. */
    maxEntries: z.int().min(1).max(1_000_000).default(10_000),
  })
  .check(({ value: config, issues }) => {
    const refuse = (field: string, message: string): void => {
      issues.push({ code: 'custom', path: [field], input: undefined, message });
    };
    const url = serverUrl(config.url);
    if (url === null) refuse('url', 'must be ldap://host or ldaps://host, with a port at most');
    if (config.bindMethod === 'simple' && config.bindDn === undefined) refuse('bindDn', 'is needed for a simple bind');
    if (config.bindMethod === 'external' && config.bindDn !== undefined)
      refuse('bindDn', 'must be absent: the certificate says who binds');
    if (config.bindMethod === 'external' && config.allowInsecureTransport)
      refuse('bindMethod', 'needs TLS for a client certificate');
    if (config.userAuthentication === 'dnTemplate' && config.userDnTemplate === undefined) {
      refuse('userDnTemplate', 'is needed for userAuthentication dnTemplate');
    }
    if (config.userAuthentication === 'upn' && config.upnDomain === undefined) {
      refuse('upnDomain', 'is needed for userAuthentication upn');
    }
    if (config.standbyBindDn !== undefined && config.standbyBindDn === config.bindDn) {
      refuse('standbyBindDn', 'must be another account than bindDn');
    }
    if (config.rotatorDn !== undefined && [config.bindDn, config.standbyBindDn].includes(config.rotatorDn)) {
      refuse('rotatorDn', 'must be an account whose password is not rotated here');
    }
  });

export type LdapConfig = z.infer<typeof configSchema>;

const password = z
  .string()
  .min(1)
  .max(1_024)
  // A bind with an empty password succeeds as nobody (RFC 4513 §5.1.2).
  .refine((text) => text.trim() !== '', 'must not be blank');

const secretSchema = z.strictObject({
  password: password.optional(),
  /** The account that `password` belongs to; absent means `bindDn`. Rotation between two accounts writes it. */
  activeBindDn: z.string().optional(),
  /** The password of the other of the two accounts. */
  standbyPassword: password.optional(),
  rotatorPassword: password.optional(),
  /** Written by rotation: what the account may still have where a retirement was never made, and when this was made. */
  formerPassword: password.optional(),
  madeAt: z.iso.datetime().optional(),
  clientCertificate: pem.optional(),
  clientKey: pem.optional(),
});

/** What the owner entered. */
export type LdapSecret = z.infer<typeof secretSchema>;

const grantSchema = z.strictObject({
  /** Who the account is to the server, where it says. */
  identity: z.string().nullable(),
  vendor: z.string().nullable(),
});

/** What a login taught. It holds no secret. */
export type LdapGrant = z.infer<typeof grantSchema>;

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field. */
export function parseLdapConfig(config: unknown): LdapConfig {
  return parseWith(configSchema, config, 'config');
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field, never its value. */
export function parseLdapSecret(secret: unknown, config: LdapConfig): LdapSecret {
  const parsed = parseWith(secretSchema, secret, 'secret');
  const required: (keyof LdapSecret)[] =
    config.bindMethod === 'simple' ? ['password'] : ['clientCertificate', 'clientKey'];
  if (config.rotatorDn !== undefined) required.push('rotatorPassword');
  else if (config.standbyBindDn !== undefined) required.push('standbyPassword');
  const missing = required.find((field) => parsed[field] === undefined);
  if (missing !== undefined) {
    throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field secret.${missing} is needed with this config.`);
  }
  const { activeBindDn } = parsed;
  if (activeBindDn !== undefined && ![config.bindDn, config.standbyBindDn].includes(activeBindDn)) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The field secret.activeBindDn is none of the accounts of config.',
    );
  }
  return parsed;
}

/** What tells two credentials apart besides their secrets. */
export function identityOf(config: LdapConfig) {
  const { maxConnections: _connections, maxUserBinds: _binds, pageSize: _page, maxEntries: _entries, ...rest } = config;
  const { acquireTimeoutMs: _acquire, connectTimeoutMs: _connect, operationTimeoutMs: _operation, ...more } = rest;
  const {
    idleCheckAfterMs: _check,
    idleTimeoutMs: _idle,
    maxAgeMs: _age,
    lockoutWindowMs: _window,
    ...identity
  } = more;
  return identity;
}

export function parseLdapGrant(grant: JsonObject): LdapGrant {
  return parseWith(grantSchema, grant, 'grant');
}

/** The settings with what the preset says where they say nothing. */
export function withPreset(config: LdapConfig) {
  const preset = PRESETS[config.preset];
  const usual = config.upnDomain === undefined ? 'search' : preset.userAuthentication;
  return {
    ...config,
    userAuthentication: config.userAuthentication ?? (config.userDnTemplate === undefined ? usual : 'dnTemplate'),
    userFilter: config.userFilter ?? preset.userFilter,
    groupFilter: config.groupFilter ?? preset.groupFilter,
    attributes: config.attributes ?? preset.attributes,
    userBaseDn: config.userBaseDn ?? config.baseDn,
    groupBaseDn: config.groupBaseDn ?? config.baseDn,
  };
}

export type LdapSettings = ReturnType<typeof withPreset>;

/** A URL that names a server and nothing in it; `null` otherwise. */
export function serverUrl(text: string): (LdapUrl & { readonly host: string }) | null {
  try {
    const url = parseLdapUrl(text);
    const { host, dn: base, attributes, scope, filter, extensions } = url;
    const namesMore =
      base !== '' || attributes.length > 0 || scope !== null || filter !== null || extensions.length > 0;
    return host === null || namesMore ? null : { ...url, host };
  } catch {
    return null;
  }
}
