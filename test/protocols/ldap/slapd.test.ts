import { escapeLdapDn } from '../../../src/protocols/ldap/dn.ts';
import { LdapDriver } from '../../../src/protocols/ldap/driver.ts';
import { NEUTRAL_REFUSAL } from '../../../src/protocols/ldap/users.ts';
import {
  groupDn,
  PEOPLE,
  serviceDn,
  SlapdServer,
  SPECIAL_PASSWORD,
  SUFFIX,
  uidOf,
  userDn,
  userPassword,
  USERS,
} from '../../servers/slapd.ts';
import { rejectedCode } from '../../support/codes.ts';
import { directoryOf, inputOf, noop, PORTS, slapdEntry, type Entered } from './support.ts';

let server: SlapdServer;
let driver: LdapDriver;

beforeAll(async () => {
  server = await SlapdServer.start();
});
afterAll(async () => {
  await server.stop();
});
beforeEach(() => {
  driver = new LdapDriver(PORTS);
});
afterEach(async () => {
  await driver.close();
});

function entry(config: object = {}, secret: object = {}): Entered {
  return slapdEntry(server, { config, secret });
}

/** A credential of a person: for what a policy does to his password. */
function personal(uid: string, password = SPECIAL_PASSWORD, config: object = {}): Entered {
  return entry({ bindDn: `uid=${uid},${PEOPLE}`, ...config }, { password });
}

async function refresh(entered: Entered) {
  return driver.refresh(inputOf(driver, entered), noop);
}

describe('a login', () => {
  it.each([
    ['StartTLS', {}, 'startTls'],
    ['ldaps', { url: 'tls' }, 'ldaps'],
    ['plain ldap behind its switch', { allowInsecureTransport: true, ca: undefined }, 'none'],
  ])('succeeds over %s and is tested', async (_way, config, tls) => {
    const url = 'url' in config ? server.tlsUrl : server.url;
    const entered = entry({ ...config, url });
    const issued = await refresh(entered);
    expect(issued).toMatchObject({ expiresAt: null, refreshable: true, secretExpiresAt: null });
    const result = await driver.test(inputOf(driver, entered, issued.grant));
    expect(result).toMatchObject({
      success: true,
      details: {
        endpoint: url,
        permissionsVerified: ['bind', 'search'],
        metadata: { baseDn: SUFFIX, tls, vendor: 'OpenLDAP' },
      },
    });
    expect(result.details.latencyMs).toBeGreaterThanOrEqual(0);
    expect(await directoryOf(driver, entered).whoAmI()).toBe(`dn:${serviceDn('service')}`);
  });

  it('succeeds with a client certificate by SASL EXTERNAL', async () => {
    const { certificate: clientCertificate, key: clientKey } = server.client;
    const entered = entry(
      { url: server.tlsUrl, bindMethod: 'external', bindDn: undefined },
      { password: undefined, clientCertificate, clientKey },
    );
    await refresh(entered);
    const directory = directoryOf(driver, entered);
    expect(await directory.whoAmI()).toBe(`dn:${serviceDn('certservice')}`);
    expect(directory.account).toEqual({ url: server.tlsUrl, bindDn: null, password: null });
  });

  it.each<[string, object, object, string]>([
    ['a wrong password', {}, { password: 'wrong-password' }, 'ERR_LDAP_INVALID_CREDENTIALS'],
    ['a DN that is not there', { bindDn: `cn=nobody,${SUFFIX}` }, {}, 'ERR_LDAP_INVALID_CREDENTIALS'],
    ['a name that is no DN', { bindDn: 'service' }, {}, 'ERR_LDAP_INVALID_CREDENTIALS'],
    ['another host name', { serverName: 'other.example.test' }, {}, 'ERR_LDAP_TLS_FAILED'],
    ['an authority that nobody knows', { ca: undefined }, {}, 'ERR_LDAP_TLS_FAILED'],
  ])('is refused for %s', async (_what, config, secret, code) => {
    expect(await rejectedCode(refresh(entry(config, secret)))).toBe(code);
  });

  it('says which state a person has to mend when the base DN is wrong', async () => {
    const entered = entry({ baseDn: `ou=nowhere,${SUFFIX}` });
    await refresh(entered);
    expect(await rejectedCode(driver.test(inputOf(driver, entered)))).toBe('ERR_LDAP_REQUEST_REFUSED');
  });
});

describe('the password policy', () => {
  it.each([
    ['expired', 'ERR_LDAP_PASSWORD_EXPIRED'],
    ['mustchange', 'ERR_LDAP_PASSWORD_MUST_CHANGE'],
  ])('F51 tells an account that is "%s" from a wrong password', async (uid, code) => {
    expect(await rejectedCode(refresh(personal(uid)))).toBe(code);
    expect(await rejectedCode(refresh(personal(uid, 'wrong-password')))).toBe('ERR_LDAP_INVALID_CREDENTIALS');
  });

  it('F51 tells a locked account from a wrong password, and one refresh is one login', async () => {
    const [dn, right, wrong] = [userDn(900), userPassword(900), 'wrong-password'];
    const attempt = async (password: string): Promise<string> => {
      // A driver of its own: what one remembers of a refusal must not answer for the server.
      const fresh = new LdapDriver(PORTS);
      const code = await rejectedCode(fresh.refresh(inputOf(fresh, entry({ bindDn: dn }, { password })), noop));
      await fresh.close();
      return code;
    };
    for (const failures of [1, 2, 3]) {
      expect(await attempt(wrong)).toBe('ERR_LDAP_INVALID_CREDENTIALS');
      expect(await server.failedLogins(dn)).toBe(failures);
    }
    expect(await attempt(right)).toBe('ERR_LDAP_ACCOUNT_LOCKED');
  });

  it.each([
    ['warned', {}, 23],
    ['aging', { passwordPolicyDn: `cn=aging,ou=policies,${SUFFIX}` }, 23],
    ['shadow', {}, null],
    ['graced', {}, 0],
  ])('reads when the password of "%s" ends', async (uid, config, hoursLeft) => {
    const { secretExpiresAt } = await refresh(personal(uid, SPECIAL_PASSWORD, config));
    const expected = hoursLeft === null ? Date.parse('2024-12-31') : Date.now() + hoursLeft * 3_600_000;
    expect(
      Math.abs((secretExpiresAt?.getTime() ?? 0) - (uid === 'shadow' ? 20_090 * 86_400_000 : expected)),
    ).toBeLessThan(1_200_000);
  });
});

describe('a directory', () => {
  it('reads all 1,000 users in pages', async () => {
    const { entries, references } = await directoryOf(driver, entry({ pageSize: 100 })).search({
      baseDn: PEOPLE,
      filter: '(uid=u*)',
      attributes: ['uid'],
    });
    expect(new Set(entries.map(({ attributes }) => attributes.get('uid')?.[0])).size).toBe(USERS);
    expect(references).toEqual([]);
  });

  it('brings no more entries than allowed', async () => {
    const directory = directoryOf(driver, entry({ maxEntries: 250, pageSize: 100 }));
    expect(await rejectedCode(directory.search({ filter: '(uid=u*)' }))).toBe('ERR_LDAP_REQUEST_REFUSED');
  });

  it.each<[string, object]>([
    ['search-then-bind', {}],
    ['a DN template', { userDnTemplate: `uid={username},${PEOPLE}` }],
  ])('lets users in by %s', async (_way, config) => {
    const directory = directoryOf(driver, entry(config));
    const answer = await directory.authenticate(uidOf(17), userPassword(17));
    expect(answer).toMatchObject({
      outcome: 'authenticated',
      user: { dn: userDn(17), cn: 'User 17', mail: `${uidOf(17)}@example.test`, groups: [groupDn('g7')] },
    });
  });

  it.each<[string, object, string[]]>([
    ['memberOf', {}, ['g1']],
    ['memberOf, nested', { nestedGroups: true }, ['g1', 'staff', 'everybody']],
    ['a search', { groups: 'search' }, ['g1']],
    ['a search, nested', { groups: 'search', nestedGroups: true }, ['g1', 'staff', 'everybody']],
  ])('tells groups by %s, also where groups hold each other', async (_way, config, groups) => {
    const user = await directoryOf(driver, entry(config)).getUser(uidOf(11));
    expect([...(user?.groups ?? [])].sort()).toEqual(groups.map(groupDn).sort());
  });

  it('answers everybody who is not let in with one sentence, and the log with the reason', async () => {
    const directory = directoryOf(driver, entry());
    const wrong = 'wrong-password';
    const answers = [
      await directory.authenticate(uidOf(1), wrong),
      await directory.authenticate('nobody-of-that-name', wrong),
      await directory.authenticate('expired', SPECIAL_PASSWORD),
      await directory.authenticate('mustchange', SPECIAL_PASSWORD),
      await directory.authenticate(uidOf(1), ''),
      await directory.authenticate('a\0b', wrong),
    ];
    expect(answers.map((answer) => (answer.outcome === 'refused' ? answer.reason : answer.outcome))).toEqual([
      'invalidCredentials',
      'userNotFound',
      'passwordExpired',
      'mustChangePassword',
      'emptyPassword',
      'malformedUsername',
    ]);
    expect(new Set(answers.map((answer) => ('message' in answer ? answer.message : '')))).toEqual(
      new Set([NEUTRAL_REFUSAL]),
    );
  });

  it('takes only one user for a name', async () => {
    const directory = directoryOf(driver, entry({ userFilter: '(|(uid={username})(sn=1))' }));
    expect(await directory.authenticate(uidOf(2), userPassword(2))).toMatchObject({ reason: 'ambiguousUser' });
    expect(await directory.getUser(uidOf(2))).toBeNull();
  });

  it('asks the user filter after a bind by template, too', async () => {
    const config = { userDnTemplate: `uid={username},${PEOPLE}`, userFilter: '(&(uid={username})(mail=none))' };
    const answer = await directoryOf(driver, entry(config)).authenticate(uidOf(3), userPassword(3));
    expect(answer).toMatchObject({ outcome: 'refused', reason: 'userNotFound' });
  });

  it('answers a wrong use by a program with a TypeError', async () => {
    const directory = directoryOf(driver, entry());
    await expect(directory.authenticate(uidOf(1), undefined as unknown as string)).rejects.toThrow(TypeError);
  });

  it('ends when its signal is aborted', async () => {
    const controller = new AbortController();
    const search = directoryOf(driver, entry()).search({ filter: '(uid=u*)', signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(search).rejects.toThrow('enough');
  });
});

describe('L1, L2: names that are hostile', () => {
  const NAMES = [
    'x,ou=admins',
    '*',
    '*)(uid=*',
    '#sharp',
    ' both ends ',
    'a+b;c<d>e"f\\g=h',
    'Lučić 日本',
    'admin*)((|userPassword=*)',
  ];
  it.each(NAMES)('%j is one user, to the filter and to the distinguished name', async (name) => {
    const dn = `uid=${escapeLdapDn(name)},${PEOPLE}`;
    await server.asAdmin((client) =>
      client.add(dn, {
        objectClass: ['inetOrgPerson'],
        uid: name,
        cn: name,
        sn: 'hostile',
        userPassword: 'H0stile-Passw0rd',
      }),
    );
    for (const config of [{}, { userDnTemplate: `uid={username},${PEOPLE}` }]) {
      const answer = await directoryOf(driver, entry(config)).authenticate(name, 'H0stile-Passw0rd');
      expect(answer).toMatchObject({ outcome: 'authenticated', user: { cn: name } });
    }
    await server.asAdmin((client) => client.del(dn));
    const gone = await directoryOf(driver, entry()).authenticate(name, 'H0stile-Passw0rd');
    expect(gone).toMatchObject({ outcome: 'refused', reason: 'userNotFound' });
  });
});
