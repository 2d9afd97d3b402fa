import { LdapDriver } from '../../../src/protocols/ldap/driver.ts';
import type { Entered } from './support.ts';
import { AD_PASSWORD, AD_SUFFIX, AD_USERS, REALM, SambaServer } from '../../servers/samba.ts';
import { rejectedCode } from '../../support/codes.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { DirectoryPoll } from '../../support/poll.ts';
import { directoryOf, inputOf, noop, PORTS, sambaEntry } from './support.ts';

let server: SambaServer;
let driver: LdapDriver;
let serviceDn: string;

beforeAll(async () => {
  server = await SambaServer.start();
  serviceDn = await server.addUser('service');
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
  return sambaEntry(server, serviceDn, AD_PASSWORD, { config, secret });
}

async function refresh(entered: Entered) {
  return driver.refresh(inputOf(driver, entered), noop);
}

describe('a domain controller', () => {
  it.each<[string, () => object, string]>([
    ['a DN over ldaps', () => ({}), 'ldaps'],
    ['a DN over StartTLS', () => ({ url: server.url }), 'startTls'],
    ['a UPN', () => ({ bindDn: `service@${REALM}` }), 'ldaps'],
    ['DOMAIN\\name', () => ({ bindDn: 'ADX\\service' }), 'ldaps'],
    ['its host name in the certificate', () => ({ serverName: `dc1.${REALM}` }), 'ldaps'],
  ])('accepts the account by %s, and says when its password ends', async (_way, config, tls) => {
    const entered = entry(config());
    const issued = await refresh(entered);
    const { details, success } = await driver.test(inputOf(driver, entered, issued.grant));
    expect(success).toBe(true);
    expect(details.permissionsVerified).toEqual(['bind', 'search']);
    expect(details.metadata).toEqual({ baseDn: AD_SUFFIX, tls, vendor: expect.stringContaining('Samba') });
    const days = ((issued.secretExpiresAt?.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(41);
    expect(days).toBeLessThan(43);
  });

  it('with another name than asked for is refused', async () => {
    expect(await rejectedCode(refresh(entry({ serverName: 'dc2.ad.example.test' })))).toBe('ERR_LDAP_TLS_FAILED');
  });

  it('that cannot say who we are is not asked twice', async () => {
    expect(await directoryOf(driver, entry()).whoAmI()).toBeNull();
  });
});

describe('a refused login', () => {
  it('F51 is told apart by its cause, and to the person by none', async () => {
    const cases: [string, (dn: string) => Promise<void>, string, string][] = [
      ['wrong', () => Promise.resolve(), 'ERR_LDAP_INVALID_CREDENTIALS', 'invalidCredentials'],
      [
        'disabled',
        (dn) => server.modify(dn, 'userAccountControl', '514'),
        'ERR_LDAP_ACCOUNT_DISABLED',
        'accountDisabled',
      ],
      [
        'ended',
        (dn) => server.modify(dn, 'accountExpires', '131000000000000000'),
        'ERR_LDAP_ACCOUNT_EXPIRED',
        'accountExpired',
      ],
      ['must', (dn) => server.modify(dn, 'pwdLastSet', '0'), 'ERR_LDAP_PASSWORD_MUST_CHANGE', 'mustChangePassword'],
      ['locked', (dn) => lock(dn), 'ERR_LDAP_ACCOUNT_LOCKED', 'accountLocked'],
    ];
    const directory = directoryOf(driver, entry());
    const messages = new Set<string>();
    for (const [name, change, code, reason] of cases) {
      const dn = await server.addUser(`refused-${name}`);
      await change(dn);
      const password = name === 'wrong' ? 'Wr0ng-Passw0rd!' : AD_PASSWORD;
      const asAccount = sambaEntry(server, dn, password);
      expect([name, await rejectedCode(refresh(asAccount))]).toEqual([name, code]);
      const answer = await directory.authenticate(`refused-${name}`, password);
      expect([name, answer]).toMatchObject([name, { outcome: 'refused', reason }]);
      messages.add('message' in answer ? answer.message : '');
    }
    expect(messages.size).toBe(1);
  });

  async function lock(dn: string): Promise<void> {
    for (let tries = 0; tries < 6; tries += 1) await server.accepts(dn, 'Wr0ng-Passw0rd!');
  }
});

describe('users', () => {
  it('are let in by UPN, by account name and by search, with their groups', async () => {
    const dn = await server.addUser('jane');
    const team = await server.addGroup('team', [dn]);
    const department = await server.addGroup('department', [team]);
    const company = await server.addGroup('company', [department]);
    for (const config of [{}, { userAuthentication: 'search' }]) {
      for (const name of config.userAuthentication === 'search' ? ['jane'] : ['jane', `jane@${REALM}`]) {
        const answer = await directoryOf(driver, entry(config)).authenticate(name, AD_PASSWORD);
        expect(answer).toMatchObject({
          outcome: 'authenticated',
          user: { dn, cn: 'jane', mail: 'jane@example.test', groups: [team] },
        });
      }
    }
    const nested = await directoryOf(driver, entry({ nestedGroups: true })).getUser('jane');
    expect([...(nested?.groups ?? [])].sort()).toEqual([company, department, team].sort());
    const asked = await directoryOf(driver, entry()).groups(dn, { nested: true });
    expect([...asked].sort()).toEqual([company, department, team].sort());
  });

  it('are who has the name as UPN, whatever their account name is', async () => {
    const dn = await server.addUser('alice', { userPrincipalName: `carol@${REALM}` });
    const directory = directoryOf(driver, entry());
    expect(await directory.authenticate('carol', AD_PASSWORD)).toMatchObject({
      outcome: 'authenticated',
      user: { dn },
    });
    expect(await directory.getUser('carol')).toBeNull();
  });

  it.each(['ADX\\jane', 'jane@other.test', 'jane@ad.example.test@x', 'ad.example.test/Users/jane', 'j*'])(
    'are asked for no other kind of name: %s',
    async (name) => {
      const answer = await directoryOf(driver, entry()).authenticate(name, AD_PASSWORD);
      expect(answer).toMatchObject({ reason: 'malformedUsername' });
    },
  );
});

describe('the rotation of an account', () => {
  async function rotated(name: string, config: object, secret: object) {
    const dn = await server.addUser(name);
    const folder = temporaryFolder();
    const engine = await openEngine(folder.path);
    try {
      const { id } = await engine.register({
        protocol: 'ldap',
        name,
        ...sambaEntry(server, dn, AD_PASSWORD, { config, secret }),
      });
      const poll = new DirectoryPoll(engine, id);
      await eventually(() => poll.uses > 2);
      await engine.rotate(id);
      const before = poll.uses;
      await eventually(() => poll.uses > before + 2);
      await poll.end();
      const { directory } = await engine.use(id);
      return { dn, failures: poll.failures, account: directory?.account };
    } finally {
      await engine.close();
      folder.dispose();
    }
  }

  it.each<[string, string, () => object, object]>([
    ['by itself', 'rotated-alone', () => ({}), {}],
    [
      'by a second principal',
      'rotated-by-other',
      () => ({ rotatorDn: `CN=Administrator,${AD_USERS}` }),
      { rotatorPassword: 'Adm1n-Passw0rd!' },
    ],
  ])('%s kills the old password, and no user of the engine sees it', async (_how, name, config, secret) => {
    const { dn, failures, account } = await rotated(name, config(), secret);
    expect(failures).toEqual([]);
    expect(await server.accepts(dn, account?.password?.unwrap() ?? '')).toBe(true);
    expect(await server.accepts(dn, AD_PASSWORD)).toBe(false);
  });
});
