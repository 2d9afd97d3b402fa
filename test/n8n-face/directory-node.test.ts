import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ICredentialDataDecryptedObject, ICredentialsDecrypted, IDataObject } from 'n8n-workflow';
import { Directory } from '../../nodes/Directory/Directory.node.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { authenticationThrough } from '../../src/n8n/adapter.ts';
import { managedCredential } from '../../src/n8n/credential-sources.ts';
import { credentialTests } from '../../src/n8n/credential-tests.ts';
import { baseChoices } from '../../src/n8n/directory.ts';
import { CountingProxy } from '../servers/counting-proxy.ts';
import {
  ADMIN,
  groupDn,
  PEOPLE,
  serviceDn,
  servicePassword,
  SlapdServer,
  SPECIAL_PASSWORD,
  SUFFIX,
  uidOf,
  userDn,
  userPassword,
} from '../servers/slapd.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { forgetEngine, runNode, shareEngine } from './node-run.ts';

let server: SlapdServer;
let proxy: CountingProxy;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;

beforeAll(async () => {
  server = await SlapdServer.start();
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  proxy = await CountingProxy.start(server.port);
  folder = temporaryFolder();
  engine = await openEngine(folder.path);
  shareEngine(engine);
});
afterEach(async () => {
  forgetEngine();
  await engine.close();
  await proxy.stop();
  folder.dispose();
});

/** Another process on the same store: what an engine only remembers in memory is gone. */
async function restart(): Promise<void> {
  await engine.close();
  engine = await openEngine(folder.path);
  shareEngine(engine);
}

/** Binds are counted on the way, so they are not encrypted here. */
function form(changes: object = {}): ICredentialDataDecryptedObject {
  return {
    ...{ url: `ldap://localhost:${String(proxy.port)}`, baseDn: SUFFIX, preset: 'openldap', bindMethod: 'simple' },
    ...{ bindDn: serviceDn('service'), password: servicePassword('service') },
    ...{ advanced: true, allowInsecureTransport: true, userAuthentication: 'search', ...changes },
  };
}

type Run = Omit<Parameters<typeof runNode>[1], 'parameters' | 'credentials'>;

function run(parameters: object, options: Partial<Run> & { data?: ICredentialDataDecryptedObject } = {}) {
  const { data = form(), items = [{}], ...rest } = options;
  return runNode(new Directory(), {
    parameters: { authentication: 'lifecycleLdapApi', ...parameters },
    credentials: { lifecycleLdapApi: data },
    items,
    ...rest,
  });
}

const login = { operation: 'authenticate', username: byItem('username'), password: byItem('password') };

function byItem(name: string) {
  return (item: IDataObject) => item[name];
}

async function logIn(username: string, password: string, data = form()): Promise<IDataObject> {
  const [item] = await run(login, { items: [{ username, password }], data });
  return item?.json ?? {};
}

const person = (index: number) => ({ username: uidOf(index), password: userPassword(index) });
const twenty = Array.from({ length: 20 }, (_, index) => index);

describe('authenticate', () => {
  it('makes one bind for each of 20 people and one of its own, and says who they are without any password', async () => {
    const output = await run(login, { items: twenty.map(person) });
    expect(output.map(({ json }) => json['outcome'])).toEqual(twenty.map(() => 'valid'));
    expect(output.map(({ pairedItem }) => pairedItem)).toEqual(twenty.map((item) => ({ item })));
    expect(output[5]?.json).toMatchObject({
      authenticated: true,
      user: { dn: userDn(5), cn: 'User 5', mail: 'u0005@example.test', attributes: { uid: ['u0005'] } },
    });
    expect(proxy.binds).toBe(21);
    const text = JSON.stringify(output);
    for (const secret of [servicePassword('service'), ...twenty.map(userPassword)]) expect(text).not.toContain(secret);
  });

  it('presents one wrong password once, however many items bring it, and repeats no name', async () => {
    const items = twenty.map((index) => ({
      username: index % 2 ? uidOf(800) : uidOf(800).toUpperCase(),
      password: 'wrong',
    }));
    const output = await run(login, { items });
    expect(output).toHaveLength(20);
    for (const { json } of output) {
      expect(json).toEqual({
        authenticated: false,
        outcome: 'invalid',
        message: 'The user name or the password is not right.',
        user: null,
      });
    }
    expect(await server.failedLogins(userDn(800))).toBe(1);
    expect(proxy.refusedBinds).toBe(1);
  });

  it('answers alike, byte by byte, to a wrong password, an unknown name, a blank one and a pattern', async () => {
    const answers = [
      await logIn(uidOf(801), 'wrong'),
      await logIn('nobody', 'wrong'),
      await logIn('', 'wrong'),
      await logIn('*', userPassword(801)),
      await logIn('u*', userPassword(801)),
      await logIn(`${uidOf(801)})(uid=*`, userPassword(801)),
      await logIn(uidOf(801), ''),
      await logIn(uidOf(801), '   '),
    ];
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(proxy.refusedBinds).toBe(1);
  });

  it.each<[string, string]>([
    ['expired', 'expired'],
    ['mustchange', 'mustChange'],
  ])('says of the password of "%s" that it is %s', async (uid, outcome) => {
    expect(await logIn(uid, SPECIAL_PASSWORD)).toMatchObject({ authenticated: false, outcome });
  });

  it('says that an account is locked, as the server does', async () => {
    for (let tries = 0; tries < 3; tries += 1) await server.accepts(userDn(802), 'wrong');
    expect(await logIn(uidOf(802), userPassword(802))).toMatchObject({ authenticated: false, outcome: 'locked' });
  });

  it('lets in by a DN template, and nobody whom the user filter leaves out', async () => {
    const template = { userAuthentication: 'dnTemplate', userDnTemplate: `uid={username},${PEOPLE}` };
    expect(await logIn(uidOf(803), userPassword(803), form(template))).toMatchObject({ authenticated: true });
    const filtered = form({ ...template, userFilter: '(&(uid={username})(mail=nobody@example.test))' });
    expect(await logIn(uidOf(803), userPassword(803), filtered)).toMatchObject({ outcome: 'invalid' });
  });

  it('asks each credential by its own filter, also when two share an account and are asked at once', async () => {
    const strict = form({ userFilter: '(&(uid={username})(mail=nobody@example.test))' });
    const answers = await Promise.all(
      twenty.map((index) => logIn(uidOf(index), userPassword(index), index % 2 ? strict : form())),
    );
    expect(answers.map(({ authenticated }) => authenticated)).toEqual(twenty.map((index) => index % 2 === 0));
  });

  it.each<[string, object]>([
    ['is tried again by n8n', { retryOnFail: true }],
    ['is a tool of a model', { type: 'n8n-nodes-credential-lifecycle.directoryTool' }],
  ])('does not begin when the node %s', async (_what, node) => {
    const failure = run(login, { items: [{ username: uidOf(804), password: 'wrong' }], node });
    await expect(failure).rejects.toMatchObject({ message: expect.stringContaining('[ERR_CONFIG_MALFORMED]') });
    expect(proxy.total).toBe(0);
  });
});

const BY_VALUE = { filterBy: 'filter', filterValues: { value: [{ name: 'more', value: '(uid=b)' }] } };
const DEEP = `${'(!'.repeat(1_000)}(a=b)${')'.repeat(1_000)}`;

describe('search', () => {
  const byUid = {
    operation: 'search',
    filterBy: 'filter',
    filter: '(uid={uid})',
    filterValues: { value: (item: IDataObject) => [{ name: 'uid', value: item['uid'] }] },
  };

  it('answers 20 items over one connection with one bind', async () => {
    const output = await run(byUid, { items: twenty.map((index) => ({ uid: uidOf(index) })) });
    expect(output.map(({ json }) => json['dn'])).toEqual(twenty.map(userDn));
    expect(proxy).toMatchObject({ binds: 1, total: 1 });
  });

  it('takes a hostile value for a value', async () => {
    expect(await run(byUid, { items: [{ uid: '*' }, { uid: '*)(objectClass=*' }] })).toEqual([]);
  });

  it('gives one item for each entry, paired with the item that asked, up to the limit, without the pages after it', async () => {
    const parameters = {
      operation: 'search',
      conditions: { condition: [{ attribute: 'uid', operator: 'startsWith', value: 'u00' }] },
      attributes: 'uid, mail',
    };
    // More than 10 entries would be an error, so nothing was read beyond the limit.
    const data = form({ maxEntries: 10, pageSize: 3 });
    const output = await run({ ...parameters, limit: 7 }, { items: [{}, {}], data });
    expect(output).toHaveLength(14);
    expect(output[7]?.pairedItem).toEqual({ item: 1 });
    expect(Object.keys(output[0]?.json['attributes'] as object).sort()).toEqual(['mail', 'uid']);
    const all = await run({ ...parameters, returnAll: true });
    expect(all).toHaveLength(100);
  });

  it('starts where it is told, and goes as far down', async () => {
    const anything = { condition: [{ attribute: 'objectClass', operator: 'exists' }] };
    const dns = async (where: object) =>
      (await run({ operation: 'search', conditions: anything, ...where })).map(({ json }) => json['dn']);
    expect(await dns({ baseDn: PEOPLE, scope: 'base' })).toEqual([PEOPLE]);
    expect(await dns({ scope: 'one' })).toHaveLength(4);
    expect(await dns({ baseDn: userDn(1) })).toEqual([userDn(1)]);
  });

  it('returns no password, although the account may read it', async () => {
    const data = form({ bindDn: ADMIN.dn, password: ADMIN.password });
    const parameters = { operation: 'search', attributes: 'uid,userPassword,pwdHistory,USERPASSWORD;x-a' };
    const conditions = { condition: [{ attribute: 'uid', operator: 'equals', value: uidOf(7) }] };
    const raw = await server.asAdmin((client) =>
      client.search(userDn(7), { scope: 'base', attributes: ['userPassword'] }),
    );
    expect(raw.searchEntries[0]?.['userPassword']).toMatch(/^\{ARGON2\}|Passw0rd/);
    const output = await run({ ...parameters, conditions }, { data });
    expect(output.map(({ json }) => json)).toEqual([{ dn: userDn(7), attributes: { uid: [uidOf(7)] } }]);
  });

  it.each<[string, object, string]>([
    ['a base that there is not', { baseDn: `ou=nowhere,${SUFFIX}` }, 'ERR_LDAP_REQUEST_REFUSED'],
    ['too many entries', { returnAll: true }, 'ERR_LDAP_REQUEST_REFUSED'],
    ['a filter that is none', { filterBy: 'filter', filter: '(uid=' }, 'ERR_CONFIG_MALFORMED'],
    ['two filters', { filterBy: 'filter', filter: '(uid=a)(uid=b)' }, 'ERR_CONFIG_MALFORMED'],
    ['a filter as a value', { ...BY_VALUE, filter: '(uid=a){more}' }, 'ERR_CONFIG_MALFORMED'],
    ['a filter of a thousand levels', { filterBy: 'filter', filter: DEEP }, 'ERR_CONFIG_MALFORMED'],
    ['no conditions', { conditions: {} }, 'ERR_CONFIG_MALFORMED'],
    ['an operation that there is not', { operation: 'delete' }, 'ERR_CONFIG_MALFORMED'],
    ['a credential that there is not', { authentication: 'ldap' }, 'ERR_CONFIG_MALFORMED'],
  ])('fails with %s by item, and goes on where it was told to', async (_what, parameters, code) => {
    const conditions = { condition: [{ attribute: 'objectClass', operator: 'exists' }] };
    const whole = { operation: 'search', conditions, ...parameters };
    const data = form({ maxEntries: 10 });
    await expect(run(whole, { data })).rejects.toMatchObject({
      name: 'NodeOperationError',
      message: expect.stringContaining(`[${code}]`),
      context: { itemIndex: 0 },
    });
    const output = await run(whole, { data, items: [{}, {}], continueOnFail: true });
    expect(output).toEqual(
      [0, 1].map((item) => ({
        json: { error: expect.any(String), code, action: expect.any(String) },
        pairedItem: { item },
      })),
    );
    const [routed] = await run(whole, { data, continueOnFail: true, node: { onError: 'continueErrorOutput' } });
    expect(routed?.error?.message).toContain(`[${code}]`);
  });
});

describe('get user', () => {
  const user = async (parameters: object, data = form()) =>
    (await run({ operation: 'getUser', ...parameters }, { data }))[0]?.json;

  it.each([
    ['username', uidOf(5)],
    ['mail', `${uidOf(5)}@example.test`],
    ['userPrincipalName', `${uidOf(5)}@example.test`],
  ])('finds by %s', async (by, name) => {
    expect(await user({ by, name })).toMatchObject({
      found: true,
      dn: userDn(5),
      groups: expect.arrayContaining([groupDn('g5'), groupDn('everybody')]),
    });
  });

  it('tells groups of groups when they are wanted', async () => {
    const direct = await user({ name: uidOf(10) });
    expect(direct?.['groups']).toEqual([groupDn('g0')]);
    const nested = await user({ name: uidOf(10), nestedGroups: true });
    expect([...(nested?.['groups'] as string[])].sort()).toEqual(
      [groupDn('g0'), groupDn('staff'), groupDn('everybody')].sort(),
    );
  });

  it.each([
    ['username', 'nobody'],
    ['username', '*'],
    ['username', ''],
    ['mail', '*'],
    ['mail', '*@example.test'],
    ['userPrincipalName', `${uidOf(5)}@example.test)(uid=*`],
    ['surname', uidOf(5).slice(1)],
  ])('finds nobody by %s "%s"', async (by, name) => {
    expect(await user({ by, name })).toEqual({
      found: false,
      dn: null,
      cn: null,
      mail: null,
      groups: [],
      attributes: {},
    });
  });
});

function entered(data: ICredentialDataDecryptedObject, id = ''): ICredentialsDecrypted {
  return { id, name: 'Directory', type: 'lifecycleLdapApi', data };
}

describe('the test of LDAP (Lifecycle)', () => {
  const { ldap } = credentialTests();

  it('answers OK, and does not bind again while the answer is fresh, saved or not', async () => {
    expect(await ldap(entered(form()))).toEqual({ status: 'OK', message: 'localhost accepts the account.' });
    const { binds } = proxy;
    expect(binds).toBe(2);
    for (const id of ['', 'saved', '']) expect((await ldap(entered(form(), id))).status).toBe('OK');
    expect(proxy.binds).toBe(binds);
    await run({
      operation: 'search',
      conditions: { condition: [{ attribute: 'uid', operator: 'equals', value: 'u1' }] },
    });
    expect(proxy.binds).toBe(binds);
  });

  it('presents a wrong password once, whoever asks: five tests and twenty items', async () => {
    const data = form({ bindDn: userDn(805), password: 'wrong' });
    const results = [];
    for (let presses = 0; presses < 5; presses += 1) {
      results.push(await ldap(entered(data)));
      await restart();
    }
    for (const { status, message } of results) {
      expect(status).toBe('Error');
      expect(message).toContain('[ERR_LDAP_INVALID_CREDENTIALS] Check bind DN and password.');
    }
    const items = twenty.map(person);
    const output = await run(login, { data, items, continueOnFail: true });
    expect(output.map(({ json }) => json['code'])).toEqual(twenty.map(() => 'ERR_LDAP_INVALID_CREDENTIALS'));
    expect(proxy).toMatchObject({ binds: 1, refusedBinds: 1 });
    expect(await server.failedLogins(userDn(805))).toBe(1);
  });

  it('does not present it once more after a workflow did', async () => {
    const data = form({ bindDn: userDn(806), password: 'wrong' });
    await run(login, { data, items: twenty.map(person), continueOnFail: true });
    await restart();
    expect((await ldap(entered(data))).status).toBe('Error');
    expect(proxy.refusedBinds).toBe(1);
  });

  it('does not present it once more for a form that differs in what changes nothing about a login', async () => {
    const forms = [2_000, 3_000].map((connectTimeoutMs) =>
      form({ bindDn: userDn(808), password: 'wrong', connectTimeoutMs }),
    );
    for (const data of [...forms, ...forms]) {
      expect((await ldap(entered(data))).status).toBe('Error');
      await restart();
    }
    expect(proxy.refusedBinds).toBe(1);
  });

  it('tries again at once what may have passed, and what was corrected', async () => {
    const data = form();
    await server.crash();
    expect((await ldap(entered(data))).message).toMatch(/ERR_ENDPOINT_(UNREACHABLE|CONNECTION_LOST)/);
    await server.resume();
    expect((await ldap(entered(data))).status).toBe('OK');
    const wrong = form({ baseDn: `ou=nowhere,${SUFFIX}` });
    expect((await ldap(entered(wrong))).status).toBe('Error');
    expect((await ldap(entered({ ...wrong, baseDn: SUFFIX }))).status).toBe('OK');
  });

  it.each<[string, object, string]>([
    ['an empty form', { url: '' }, 'config.url'],
    ['a locked account', { bindDn: userDn(807), password: userPassword(807) }, 'ERR_LDAP_ACCOUNT_LOCKED'],
    [
      'an expired password',
      { bindDn: `uid=expired,${PEOPLE}`, password: SPECIAL_PASSWORD },
      'ERR_LDAP_PASSWORD_EXPIRED',
    ],
    ['a server that is not trusted', { url: 'ldaps', allowInsecureTransport: false }, 'ERR_LDAP_TLS_FAILED'],
  ])('says what is wrong and what to do with %s', async (what, changes, part) => {
    if (what === 'a locked account')
      for (let tries = 0; tries < 3; tries += 1) await server.accepts(userDn(807), 'wrong');
    const url = what === 'a server that is not trusted' ? { url: server.tlsUrl } : {};
    const { status, message } = await ldap(entered(form({ ...changes, ...url })));
    expect(status).toBe('Error');
    expect(message).toContain(part);
    expect(message).not.toContain(SPECIAL_PASSWORD);
  });
});

describe('a managed credential', () => {
  const managed = (
    data: ICredentialDataDecryptedObject,
    parameters: object = { operation: 'getUser', name: uidOf(1) },
  ) =>
    runNode(new Directory(), {
      parameters: { authentication: 'managedCredentialApi', ...parameters },
      credentials: { managedCredentialApi: data },
      items: [{}],
    });

  async function granted(input: Parameters<CredentialEngine['register']>[0], scopes = ['use'] as const) {
    const { id } = await engine.register(input);
    return { credentialId: id, accessKey: (await engine.grant(id, { scopes })).accessKey };
  }

  it('of the protocol ldap asks its directory', async () => {
    const { url, baseDn, bindDn, password } = form();
    const config = { url, baseDn, bindDn, allowInsecureTransport: true };
    const data = await granted({ protocol: 'ldap', name: 'Directory', config, secret: { password } });
    expect((await managed(data))[0]?.json).toMatchObject({ found: true, dn: userDn(1) });
    // It has no headers: a request with it would leave without any authentication.
    const { authenticate } = authenticationThrough(managedCredential);
    await expect(authenticate(data, { url: 'https://api.example.com' })).rejects.toMatchObject({
      message: expect.stringMatching(/oauth2 or basic is needed here\. \[ERR_CREDENTIAL_PROTOCOL_MISMATCH\]$/),
    });
  });

  it('of another protocol is refused in one line with a code, and nobody is asked anything', async () => {
    const config = {
      username: 'robot',
      testUrl: `http://localhost:${String(proxy.port)}/`,
      allowInsecureTransport: true,
    };
    const data = await granted({ protocol: 'basic', name: 'Robot', config, secret: { password: 'p' }, test: false });
    await expect(managed(data)).rejects.toMatchObject({
      name: 'NodeOperationError',
      message:
        'This credential is no directory: a credential of the protocol ldap is needed here. [ERR_CREDENTIAL_PROTOCOL_MISMATCH]',
      description: 'Choose a credential of the protocol that the message names.',
    });
    expect(proxy.total).toBe(0);
  });

  it('with another key, or of no id, is refused alike', async () => {
    const { accessKey } = await granted({
      protocol: 'basic',
      name: 'A',
      config: { username: 'a' },
      secret: { password: 'p' },
    });
    for (const credentialId of ['', 'cr_00000000000000000000', 'ldap']) {
      await expect(managed({ credentialId, accessKey })).rejects.toMatchObject({
        message: expect.stringContaining('[ERR_ACCESS_DENIED]'),
      });
    }
  });
});

describe('the choices of a base DN', () => {
  it('are the entries that others are below, by a part of their name that is taken for text', async () => {
    const { directory = null } = await engine.use(await engine.adopt(adoptedEntry()));
    if (directory === null) throw new Error('no directory');
    const names = async (part: string) => (await baseChoices(directory, part)).results.map(({ value }) => value);
    expect(await names('')).toEqual(expect.arrayContaining([SUFFIX, PEOPLE, `ou=groups,${SUFFIX}`]));
    expect(await names('peop')).toEqual([PEOPLE]);
    expect(await names('*)(uid=*')).toEqual([]);
  });
});

function adoptedEntry() {
  const { url, baseDn, bindDn, password } = form();
  return {
    protocol: 'ldap',
    name: 'D',
    config: { url, baseDn, bindDn, allowInsecureTransport: true },
    secret: { password },
  };
}
