import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { NodeHelpers, type ICredentialDataDecryptedObject, type INodeProperties } from 'n8n-workflow';
import type { AdoptedEntry } from '../../src/client.ts';
import { basicEntry } from '../../src/n8n/basic-entry.ts';
import { basicProperties } from '../../src/n8n/basic-properties.ts';
import { pemText } from '../../src/n8n/form-values.ts';
import { ldapEntry } from '../../src/n8n/ldap-entry.ts';
import { ldapProperties } from '../../src/n8n/ldap-properties.ts';
import { parseBasicConfig, parseBasicSecret } from '../../src/protocols/basic/config.ts';
import { parseLdapConfig, parseLdapSecret } from '../../src/protocols/ldap/config.ts';

type Stored = Record<string, string | number | boolean>;

/** What n8n hands over: the stored values with the defaults of the fields, without the fields that are not shown. */
function decrypted(properties: INodeProperties[], stored: Stored): ICredentialDataDecryptedObject {
  const values = NodeHelpers.getNodeParameters(properties, stored, true, false, null, null);
  return JSON.parse(JSON.stringify(values)) as ICredentialDataDecryptedObject;
}

const ldap = (stored: Stored): AdoptedEntry => ldapEntry(decrypted(ldapProperties, stored));
const basic = (stored: Stored): AdoptedEntry => basicEntry(decrypted(basicProperties, stored));

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
const CERTIFICATE = KEY.replaceAll('PRIVATE KEY', 'CERTIFICATE');

const ACCOUNT: Stored = {
  url: ' ldaps://ldap.example.com ',
  baseDn: 'dc=example,dc=com',
  bindDn: 'cn=service,dc=example,dc=com',
  password: ' s3cret ',
};
const NOTHING_SAID = {
  ...{ url: 'ldaps://ldap.example.com', preset: 'openldap', baseDn: 'dc=example,dc=com', bindMethod: 'simple' },
  bindDn: 'cn=service,dc=example,dc=com',
};
/** Every advanced field that says something. */
const FULL: Stored = {
  ...{ advanced: true, ca: CERTIFICATE, serverName: 'dc1.example.com', allowInsecureTransport: true },
  ...{ userFilter: '(uid={username})', userBaseDn: 'ou=people,dc=example,dc=com', attributes: 'cn, mail ,,uid' },
  ...{ groups: 'search', groupFilter: '(member={dn})', groupBaseDn: 'ou=groups,dc=example,dc=com', nestedGroups: true },
  ...{ passwordPolicyDn: 'cn=policy,dc=example,dc=com', lockoutWindowMs: 60_000 },
  ...{ maxConnections: 2, maxUserBinds: 3, pageSize: 100, maxEntries: 500 },
  ...{ acquireTimeoutMs: 1_000, connectTimeoutMs: 2_000, operationTimeoutMs: 3_000 },
};

describe('the values of lifecycleLdapApi', () => {
  it('become an account with nothing that was not entered', () => {
    expect(ldap(ACCOUNT)).toEqual({
      name: 'cn=service,dc=example,dc=com at ldap.example.com',
      protocol: 'ldap',
      config: NOTHING_SAID,
      secret: { password: ' s3cret ' },
    });
  });

  it('keep the advanced settings while they are switched on, and lose them otherwise', () => {
    const { advanced: _advanced, attributes: _attributes, ...settings } = FULL;
    expect(ldap({ ...ACCOUNT, ...FULL }).config).toMatchObject({ ...settings, attributes: ['cn', 'mail', 'uid'] });
    expect(ldap({ ...ACCOUNT, ...FULL, advanced: false })).toEqual(ldap(ACCOUNT));
  });

  it('mean with untouched advanced settings what the engine means by none', () => {
    const { config } = ldap({ ...ACCOUNT, advanced: true });
    expect({ ...parseLdapConfig(config), userAuthentication: undefined }).toEqual({
      ...parseLdapConfig(NOTHING_SAID),
      userAuthentication: undefined,
    });
  });

  it.each<[string, Stored, object]>([
    [
      'a DN template',
      { userAuthentication: 'dnTemplate', userDnTemplate: 'uid={username},dc=x' },
      { userDnTemplate: 'uid={username},dc=x' },
    ],
    ['a UPN domain', { userAuthentication: 'upn', upnDomain: 'ad.example.com' }, { upnDomain: 'ad.example.com' }],
  ])('take %s with the way that it belongs to, and with no other', (_what, stored, config) => {
    expect(ldap({ ...ACCOUNT, advanced: true, ...stored }).config).toMatchObject(config);
    const other = ldapEntry({ ...ACCOUNT, advanced: true, ...stored, userAuthentication: 'search' });
    for (const name of Object.keys(config)) expect(other.config).not.toHaveProperty(name);
  });

  it('take the account that belongs to the chosen rotation, and no other', () => {
    const both = {
      ...{ rotatorDn: 'cn=rotator,dc=x', rotatorPassword: 'r' },
      ...{ standbyBindDn: 'cn=standby,dc=x', standbyPassword: 's' },
    };
    const rotator = ldapEntry({ ...ACCOUNT, ...both, advanced: true, passwordRotation: 'rotator' });
    expect(rotator).toMatchObject({ config: { rotatorDn: 'cn=rotator,dc=x' }, secret: { rotatorPassword: 'r' } });
    expect(rotator.secret).not.toHaveProperty('standbyPassword');
    const standby = ldapEntry({ ...ACCOUNT, ...both, advanced: true, passwordRotation: 'standby' });
    expect(standby).toMatchObject({ config: { standbyBindDn: 'cn=standby,dc=x' }, secret: { standbyPassword: 's' } });
    expect(standby.config).not.toHaveProperty('rotatorDn');
    const self = ldapEntry({ ...ACCOUNT, ...both, advanced: true, passwordRotation: 'self' });
    expect(self.secret).toEqual({ password: ' s3cret ' });
  });

  it('say who binds by a certificate alone when that was chosen', () => {
    const stored = { ...ACCOUNT, bindMethod: 'external', clientCertificate: CERTIFICATE, clientKey: KEY };
    const { config, secret } = ldapEntry(stored);
    expect(config).not.toHaveProperty('bindDn');
    expect(secret).toEqual({ clientCertificate: CERTIFICATE, clientKey: KEY });
  });

  it.each<[string, Stored]>([
    ['all defaults', ACCOUNT],
    ['all settings', { ...ACCOUNT, ...FULL }],
    ['a certificate', { ...ACCOUNT, bindMethod: 'external', clientCertificate: CERTIFICATE, clientKey: KEY }],
    [
      'two accounts',
      { ...ACCOUNT, advanced: true, passwordRotation: 'standby', standbyBindDn: 'cn=b', standbyPassword: 'b' },
    ],
  ])('are what the protocol reads, with %s', (_what, stored) => {
    const { config, secret } = ldap(stored);
    expect(() => parseLdapSecret(secret, parseLdapConfig(config))).not.toThrow();
  });

  it.each<[string, Stored, string]>([
    ['nothing', {}, 'config.url'],
    ['a web address', { ...ACCOUNT, url: 'https://ldap.example.com' }, 'config.url'],
    ['no base DN', { ...ACCOUNT, baseDn: '' }, 'config.baseDn'],
    ['no bind DN', { ...ACCOUNT, bindDn: '' }, 'config.bindDn'],
    ['no password', { ...ACCOUNT, password: '' }, 'secret.password'],
    ['a blank password', { ...ACCOUNT, password: '   ' }, 'secret.password'],
    [
      'a certificate without its key',
      { ...ACCOUNT, bindMethod: 'external', clientCertificate: CERTIFICATE },
      'secret.clientKey',
    ],
    [
      'a template without a place',
      { ...ACCOUNT, advanced: true, userAuthentication: 'dnTemplate', userDnTemplate: 'uid=x' },
      'config.userDnTemplate',
    ],
    ['no UPN domain', { ...ACCOUNT, advanced: true, userAuthentication: 'upn' }, 'config.upnDomain'],
    ['a user filter without a place', { ...ACCOUNT, advanced: true, userFilter: '(uid=x)' }, 'config.userFilter'],
    ['a CA that is none', { ...ACCOUNT, advanced: true, ca: 'my certificate' }, 'config.ca'],
    [
      'no rotator',
      { ...ACCOUNT, advanced: true, passwordRotation: 'rotator', rotatorDn: 'cn=r' },
      'secret.rotatorPassword',
    ],
    ['too many connections', { ...ACCOUNT, advanced: true, maxConnections: 1_000 }, 'config.maxConnections'],
    ['a number that is none', { ...ACCOUNT, advanced: true, pageSize: 'many' }, 'config.pageSize'],
  ])('that are wrong (%s) are refused by the protocol, which names the field', (_what, stored, field) => {
    const { config, secret } = ldap(stored);
    expect(() => parseLdapSecret(secret, parseLdapConfig(config))).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED', message: expect.stringContaining(field) }),
    );
  });
});

const LOGIN: Stored = { username: ' robot ', password: ' pässword ' };
const RULES: Stored = {
  ...{ testUrl: 'http://legacy.example.com/whoami', advanced: true, allowInsecureTransport: true },
  ...{ testStatus: '200, 204', testBodyIncludes: 'Welcome', maxPasswordAgeDays: 90 },
  ...{ passwordSetAt: '2026-01-31T00:00:00', webhookSecret: 'a webhook secret of 24 b' },
  rotationWebhookUrl: 'http://legacy.example.com/hook',
};

describe('the values of lifecycleBasicApi', () => {
  it('become a user name and a password, with nothing that was not entered', () => {
    expect(basic(LOGIN)).toEqual({
      name: 'robot',
      protocol: 'basic',
      config: { username: 'robot' },
      secret: { password: ' pässword ' },
    });
  });

  it('keep the advanced settings while they are switched on, and lose them otherwise', () => {
    const { config, secret, name } = basic({ ...LOGIN, ...RULES });
    expect(name).toBe('robot at legacy.example.com');
    expect(config).toMatchObject({ testStatus: [200, 204], testBodyIncludes: 'Welcome', maxPasswordAgeDays: 90 });
    expect(secret).toMatchObject({ passwordSetAt: '2026-01-31T00:00:00.000Z', webhookSecret: RULES['webhookSecret'] });
    expect(() => parseBasicSecret(secret, parseBasicConfig(config))).not.toThrow();
    expect(basic({ ...LOGIN, ...RULES, advanced: false }).config).toEqual({
      username: 'robot',
      testUrl: RULES['testUrl'],
    });
    expect(basic({ ...LOGIN, ...RULES, advanced: false }).secret).toEqual({ password: ' pässword ' });
  });

  it('hold no rule for a test URL that there is not', () => {
    expect(basic({ ...LOGIN, ...RULES, testUrl: '' }).config).not.toHaveProperty('testStatus');
  });

  it.each<[string, Stored, string]>([
    ['nothing', {}, 'config.username'],
    ['a colon in the name', { ...LOGIN, username: 'a:b' }, 'config.username'],
    ['no password', { ...LOGIN, password: '' }, 'secret.password'],
    ['a line break in the password', { ...LOGIN, password: 'a\nb' }, 'secret.password'],
    ['plain http', { ...LOGIN, testUrl: 'http://legacy.example.com' }, 'config.testUrl'],
    ['a status that is none', { ...LOGIN, ...RULES, testStatus: '200,ok' }, 'config.testStatus'],
    ['a status that is an error', { ...LOGIN, ...RULES, testStatus: '401' }, 'config.testStatus'],
    ['a webhook without a secret', { ...LOGIN, ...RULES, webhookSecret: '' }, 'secret.webhookSecret'],
    ['a date that is none', { ...LOGIN, ...RULES, passwordSetAt: 'last week' }, 'secret.passwordSetAt'],
    ['an age below a day', { ...LOGIN, ...RULES, maxPasswordAgeDays: 0.5 }, 'config.maxPasswordAgeDays'],
  ])('that are wrong (%s) are refused by the protocol, which names the field', (_what, stored, field) => {
    const { config, secret } = basic(stored);
    expect(() => parseBasicSecret(secret, parseBasicConfig(config))).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED', message: expect.stringContaining(field) }),
    );
  });
});

describe('a PEM text', () => {
  it.each<[string, (pem: string) => string]>([
    ['as it is', (pem) => pem],
    ['in one line', (pem) => pem.replaceAll('\n', ' ')],
    ['without any break', (pem) => pem.replaceAll('\n', '')],
    ['with breaks written as \\n', (pem) => pem.replaceAll('\n', '\\n')],
    ['with the breaks of Windows', (pem) => pem.replaceAll('\n', '\r\n')],
    ['with words around it', (pem) => `my key:\n${pem}thanks`],
  ])('comes out whole when it went in %s', (_what, broken) => {
    expect(pemText(broken(KEY))).toBe(KEY);
    expect(pemText(broken(KEY) + broken(CERTIFICATE))).toBe(KEY + CERTIFICATE);
  });

  it.each(['', 'no key', '-----BEGIN PRIVATE KEY-----', '-----BEGIN A-----x-----END B-----'])(
    'that is none stays what it is: %p',
    (text) => {
      expect(pemText(text)).toBe(text);
    },
  );
});

describe.each<[string, INodeProperties[], readonly string[]]>([
  ['lifecycleLdapApi', ldapProperties, ['password', 'clientKey', 'rotatorPassword', 'standbyPassword']],
  ['lifecycleBasicApi', basicProperties, ['password', 'webhookSecret', 'generationMarker']],
])('the form of %s', (_type, properties, secrets) => {
  it('masks every secret and nothing else', () => {
    const masked = properties.filter(({ typeOptions }) => typeOptions?.password === true).map(({ name }) => name);
    expect(masked.sort()).toEqual([...secrets].sort());
  });

  it('names no field twice, and describes each', () => {
    const names = properties.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const silent = properties.filter(({ type, description }) => type !== 'notice' && type !== 'hidden' && !description);
    expect(silent).toEqual([]);
  });

  it('has nothing dangerous switched on', () => {
    const on = properties.filter(({ type, default: preset }) => type === 'boolean' && preset !== false);
    expect(on).toEqual([]);
  });
});

describe('what a form can say', () => {
  const named = (properties: INodeProperties[]) => new Set(properties.map(({ name }) => name));

  it('is every setting of ldap but those of the pool, which nobody needs in n8n', () => {
    const known = Object.keys({ ...parseLdapConfig(ldap({ ...ACCOUNT, ...FULL }).config) });
    const missing = known.filter((name) => !named(ldapProperties).has(name));
    expect(missing.sort()).toEqual(['idleCheckAfterMs', 'idleTimeoutMs', 'maxAgeMs']);
  });

  it('is every setting of basic', () => {
    const known = Object.keys(parseBasicConfig(basic({ ...LOGIN, ...RULES }).config));
    expect(known.filter((name) => !named(basicProperties).has(name))).toEqual([]);
  });
});
