import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { CountingProxy } from '../servers/counting-proxy.ts';
import { PasswordService } from '../servers/password-service.ts';
import {
  serviceDn,
  servicePassword,
  SlapdServer,
  SPECIAL_PASSWORD,
  SUFFIX,
  uidOf,
  userDn,
  userPassword,
} from '../servers/slapd.ts';
import { Started } from '../support/started.ts';
import type { Execution } from './n8n-server.ts';
import { findTraces } from './traces.ts';
import {
  chain,
  httpRequest,
  node,
  splitOut,
  webhook,
  type CredentialReference,
  type WorkflowDefinition,
} from './workflow.ts';
import { errorOf, outputOf, World } from './world.ts';

// slapd's file allows less, and n8n has to be installed and started first.
jest.setTimeout(180_000);

const LDAP = 'lifecycleLdapApi';
const BASIC = 'lifecycleBasicApi';
const DIRECTORY = 'n8n-nodes-credential-lifecycle.directory';
const LOGIN = { operation: 'authenticate', username: '={{ $json.username }}', password: '={{ $json.password }}' };
const SEARCH = {
  operation: 'search',
  conditions: { condition: [{ attribute: 'uid', operator: 'equals', value: '={{ $json.username }}' }] },
};

const started = Started.inSuite();
let world: World;
let server: SlapdServer;
let proxy: CountingProxy;
const executions: Execution[] = [];

beforeAll(async () => {
  server = await started.add(SlapdServer.start());
  proxy = await started.add(CountingProxy.start(server.port));
  world = await started.add(World.start());
});

/** Binds are counted on the way, so they are not encrypted here. */
function form(changes: object = {}): Record<string, unknown> {
  return {
    ...{ url: `ldap://localhost:${String(proxy.port)}`, preset: 'openldap', baseDn: SUFFIX, bindMethod: 'simple' },
    ...{ bindDn: serviceDn('service'), password: servicePassword('service') },
    ...{ advanced: true, allowInsecureTransport: true, ...changes },
  };
}

function stored(changes: object = {}): Promise<CredentialReference> {
  return world.n8n.createCredential(LDAP, 'Directory', form(changes));
}

interface Asked {
  readonly credential: CredentialReference;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What comes out of the node Directory when these items go in. */
async function ask(parameters: object, items: readonly object[], { credential, settings = {} }: Asked) {
  const place = randomUUID();
  const directory = node({
    name: 'Directory',
    type: DIRECTORY,
    parameters: { authentication: credential.type, ...parameters },
    credential,
    settings,
  });
  const workflow = await world.n8n.createWorkflow(chain(place, [webhook(place), splitOut('body.items'), directory]));
  await world.n8n.activate(workflow);
  await world.n8n.callWebhook(place, { items });
  const [execution] = await world.n8n.executionsOf(workflow);
  if (!execution) throw new Error('the workflow has not run');
  executions.push(execution);
  return { execution, output: () => outputOf(execution, 'Directory') };
}

async function bindsDuring(work: () => Promise<unknown>): Promise<{ all: number; refused: number }> {
  const [all, refused] = [proxy.binds, proxy.refusedBinds];
  await work();
  return { all: proxy.binds - all, refused: proxy.refusedBinds - refused };
}

const people = Array.from({ length: 20 }, (_, index) => ({
  username: uidOf(index + 100),
  password: userPassword(index + 100),
}));
const CONTINUE = { onError: 'continueRegularOutput' };

describe('what the package offers', () => {
  it('is listed: both forms, and the node with its icons and as a tool', async () => {
    const types = await world.n8n.credentialTypes();
    const named = (name: string) => types.find((type) => type.name === name);
    expect(named(LDAP)).toMatchObject({
      displayName: 'LDAP (Lifecycle) API',
      supportedNodes: [DIRECTORY],
    });
    expect(named(BASIC)).toMatchObject({ displayName: 'Basic Auth (Lifecycle) API' });
    const nodes = await world.n8n.nodeTypes();
    expect(nodes.map(({ name }) => name)).toEqual(expect.arrayContaining([DIRECTORY, `${DIRECTORY}Tool`]));
    const icons = [...types, ...nodes].filter(({ name }) => [LDAP, BASIC, DIRECTORY].includes(name));
    for (const { iconUrl } of icons) {
      for (const url of Object.values(iconUrl as Record<string, string>)) {
        expect((await fetch(`${world.n8n.url}/${url}`)).headers.get('content-type')).toContain('image/svg+xml');
      }
    }
    expect(icons).toHaveLength(3);
  });
});

describe('the test of LDAP (Lifecycle)', () => {
  it('answers OK, saved or not, and binds no more while the answer is fresh', async () => {
    const credential = await stored();
    await expect(world.n8n.testCredential(credential, form())).resolves.toEqual({
      status: 'OK',
      message: 'localhost accepts the account.',
    });
    const binds = await bindsDuring(async () => {
      for (const id of ['', credential.id]) {
        expect((await world.n8n.testCredential({ ...credential, id }, form())).status).toBe('OK');
      }
    });
    expect(binds).toEqual({ all: 0, refused: 0 });
  });

  it('and twenty items that want to search present a wrong password once', async () => {
    const wrong = { bindDn: userDn(810), password: 'wrong-canary-password' };
    const credential = await stored(wrong);
    const binds = await bindsDuring(async () => {
      for (const id of ['', credential.id, '']) {
        const { status, message } = await world.n8n.testCredential({ ...credential, id }, form(wrong));
        expect(status).toBe('Error');
        expect(message).toContain('[ERR_LDAP_INVALID_CREDENTIALS] Check bind DN and password.');
      }
      const { output } = await ask(SEARCH, people, { credential, settings: CONTINUE });
      expect(output().map(({ code }) => code)).toEqual(people.map(() => 'ERR_LDAP_INVALID_CREDENTIALS'));
    });
    expect(binds).toEqual({ all: 1, refused: 1 });
    expect(await server.failedLogins(userDn(810))).toBe(1);
  });

  it.each<[string, object, string]>([
    ['nothing', { url: '', baseDn: '' }, 'config.url'],
    ['nobody there', { url: 'ldap://localhost:1' }, 'ERR_ENDPOINT_UNREACHABLE'],
    ['a base that there is not', { baseDn: `ou=nowhere,${SUFFIX}` }, 'ERR_LDAP_REQUEST_REFUSED'],
    ['an untrusted server', { url: 'TLS', allowInsecureTransport: false }, 'ERR_LDAP_TLS_FAILED'],
  ])('says what is wrong with %s, and never fails itself', async (_what, changes, part) => {
    const data = form({ ...changes, ...('url' in changes && changes.url === 'TLS' && { url: server.tlsUrl }) });
    const { status, message } = await world.n8n.testCredential({ id: '', name: 'New', type: LDAP }, data);
    expect(status).toBe('Error');
    expect(message).toContain(part);
  });

  it('takes certificates that the form has put into one line', async () => {
    const ca = server.authority.certificate.replaceAll('\n', ' ');
    const data = form({ url: server.tlsUrl, allowInsecureTransport: false, ca });
    await expect(world.n8n.testCredential({ id: '', name: 'TLS', type: LDAP }, data)).resolves.toMatchObject({
      status: 'OK',
    });
  });
});

describe('the node Directory', () => {
  it('proves 20 people with 20 binds, and searches for 20 with none', async () => {
    const credential = await stored();
    const logins = await bindsDuring(async () => {
      const { output } = await ask(LOGIN, people, { credential });
      expect(output().map(({ authenticated, user }) => [authenticated, (user as { dn: string }).dn])).toEqual(
        people.map((_person, index) => [true, userDn(index + 100)]),
      );
    });
    expect(logins).toEqual({ all: 20, refused: 0 });
    const searches = await bindsDuring(async () => {
      const { output } = await ask(SEARCH, people, { credential });
      expect(output().map(({ dn }) => dn)).toEqual(people.map((_person, index) => userDn(index + 100)));
    });
    expect(searches).toEqual({ all: 0, refused: 0 });
  });

  it('answers what the directory says of a password, and presents a wrong one once', async () => {
    const credential = await stored();
    for (let tries = 0; tries < 3; tries += 1) await server.accepts(userDn(811), 'wrong');
    const wrong = Array.from({ length: 20 }, () => ({ username: uidOf(812), password: 'wrong-person-canary' }));
    const cases = [
      { username: uidOf(811), password: userPassword(811) },
      { username: 'expired', password: SPECIAL_PASSWORD },
      { username: 'mustchange', password: SPECIAL_PASSWORD },
      { username: 'nobody', password: SPECIAL_PASSWORD },
      { username: '*', password: SPECIAL_PASSWORD },
      { username: uidOf(813) },
      ...wrong,
    ];
    const { output } = await ask(LOGIN, cases, { credential });
    const outcomes = [
      'locked',
      'expired',
      'mustChange',
      'invalid',
      'invalid',
      'invalid',
      ...wrong.map(() => 'invalid'),
    ];
    expect(output().map(({ outcome }) => outcome)).toEqual(outcomes);
    expect(output()[3]).toEqual(output()[7]);
    expect(await server.failedLogins(userDn(812))).toBe(1);
    expect(await server.failedLogins(userDn(813))).toBe(0);
  });

  it('finds a user with groups of groups', async () => {
    const parameters = { operation: 'getUser', by: 'mail', name: '={{ $json.mail }}', nestedGroups: true };
    const items = [{ mail: `${uidOf(110)}@example.test` }, { mail: '*' }];
    const { output } = await ask(parameters, items, { credential: await stored() });
    expect(output()).toMatchObject([{ found: true, dn: userDn(110) }, { found: false }]);
    expect(output()[0]?.['groups']).toHaveLength(3);
  });

  it('fails by item with code and advice, goes on where it was told to, and never where n8n would try again', async () => {
    const credential = await stored();
    const nowhere = { ...SEARCH, baseDn: { __rl: true, mode: 'dn', value: `ou=nowhere,${SUFFIX}` } };
    const { execution } = await ask(nowhere, people.slice(0, 2), { credential });
    expect(execution.status).toBe('error');
    expect(errorOf(execution)).toMatchObject({
      message: 'localhost refused the request: noSuchObject. [ERR_LDAP_REQUEST_REFUSED]',
      description: expect.stringMatching(/^Check base DN, filter and the rights/),
    });
    const { output } = await ask(nowhere, people.slice(0, 2), { credential, settings: CONTINUE });
    expect(output().map(({ code }) => code)).toEqual(['ERR_LDAP_REQUEST_REFUSED', 'ERR_LDAP_REQUEST_REFUSED']);
    const binds = await bindsDuring(async () => {
      const settings = { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 };
      const retried = await ask(LOGIN, [{ username: uidOf(814), password: 'wrong' }], { credential, settings });
      expect(errorOf(retried.execution).message).toContain('"Retry On Fail" must be off');
    });
    expect(binds).toEqual({ all: 0, refused: 0 });
  });

  it('offers the places to start at', async () => {
    const credential = await stored();
    const body = {
      path: 'parameters.baseDn',
      methodName: 'searchBases',
      nodeTypeAndVersion: { name: DIRECTORY, version: 1 },
      currentNodeParameters: { authentication: LDAP, operation: 'search' },
      credentials: { [LDAP]: { id: credential.id, name: credential.name } },
      filter: 'peop',
    };
    await expect(
      world.n8n.request('POST', '/rest/dynamic-node-parameters/resource-locator-results', body),
    ).resolves.toEqual({
      data: { results: [{ name: `ou=people,${SUFFIX}`, value: `ou=people,${SUFFIX}` }] },
    });
  });
});

describe('a managed credential in the node Directory', () => {
  const question = { operation: 'getUser', name: uidOf(1) };

  async function managed(register: (engine: Parameters<Parameters<World['withEngine']>[0]>[0]) => Promise<string>) {
    const data = await world.withEngine(async (engine) => {
      const credentialId = await register(engine);
      return { credentialId, accessKey: (await engine.grant(credentialId, { scopes: ['use'] })).accessKey };
    });
    return world.n8n.createCredential('managedCredentialApi', 'Managed', data);
  }

  it('asks the directory that the engine keeps', async () => {
    const { url, baseDn, bindDn, password } = form();
    const config = { url, baseDn, bindDn, allowInsecureTransport: true };
    const credential = await managed(async (engine) => {
      return (await engine.register({ protocol: 'ldap', name: 'Kept', config, secret: { password } })).id;
    });
    expect((await ask(question, [{}], { credential })).output()).toMatchObject([{ found: true, dn: userDn(1) }]);
    // In an HTTP Request node it says that it has no headers, instead of asking without any.
    const calls = await world.calling(credential);
    await calls.run(1);
    expect(errorOf(await calls.lastExecution()).message).toMatch(/\[ERR_CREDENTIAL_PROTOCOL_MISMATCH\]$/);
  });

  it('is refused in one line when it is of another protocol, and no token is asked for', async () => {
    const id = await world.registered('A token');
    const credential = await managed(() => Promise.resolve(id));
    const requests = await world.during(async () => {
      const { execution } = await ask(question, [{}], { credential });
      expect(errorOf(execution)).toMatchObject({
        message:
          'This credential is no directory: a credential of the protocol ldap is needed here. [ERR_CREDENTIAL_PROTOCOL_MISMATCH]',
      });
    });
    expect(requests).toEqual({ token: 0, introspection: 0, resource: 0 });
  });
});

describe('the example "LDAP login check"', () => {
  const file = path.resolve(__dirname, '../../examples/n8n/ldap-login-check.json');

  it('lets in, refuses with one sentence, and says when nobody can be asked', async () => {
    const example = JSON.parse(readFileSync(file, 'utf8')) as WorkflowDefinition;
    const credential = await stored();
    const nodes = example.nodes.map((one) =>
      one.type === DIRECTORY ? { ...one, credentials: { [LDAP]: { id: credential.id, name: credential.name } } } : one,
    );
    const workflow = await world.n8n.createWorkflow({ ...example, nodes });
    await world.n8n.activate(workflow);
    const logIn = async (body: object) => {
      const answer = await world.n8n.callWebhook('ldap-login-check', body);
      return { status: answer.status, body: JSON.parse(answer.body) as unknown };
    };
    await expect(logIn({ username: uidOf(5), password: userPassword(5) })).resolves.toMatchObject({
      status: 200,
      body: { name: 'User 5', mail: 'u0005@example.test' },
    });
    const refused = { status: 401, body: { message: 'The user name or the password is not right.' } };
    for (const body of [{ username: uidOf(815), password: 'wrong' }, { username: 'nobody', password: 'x' }, {}]) {
      await expect(logIn(body)).resolves.toEqual(refused);
    }
    await server.crash();
    try {
      await expect(logIn({ username: uidOf(5), password: userPassword(5) })).resolves.toMatchObject({ status: 503 });
    } finally {
      await server.resume();
    }
  });
});

describe('Basic Auth (Lifecycle)', () => {
  let service: PasswordService;
  beforeAll(async () => {
    service = await started.add(PasswordService.start('basic-canary-pässword'));
  });

  const basic = (changes: object = {}) => ({
    ...{ username: service.username, password: service.password, testUrl: `${service.url}/whoami` },
    ...{ advanced: true, allowInsecureTransport: true, ...changes },
  });

  async function call(data: Record<string, unknown>, settings: object = {}) {
    const credential = await world.n8n.createCredential(BASIC, 'Legacy', data);
    const place = randomUUID();
    const nodes = [webhook(place), splitOut('body.items'), httpRequest(service.url, credential, { ...settings })];
    const workflow = await world.n8n.createWorkflow(chain(place, nodes));
    await world.n8n.activate(workflow);
    const before = service.logins;
    await world.n8n.callWebhook(place, { items: people.map(({ username }) => ({ username })) });
    const [execution] = await world.n8n.executionsOf(workflow);
    if (!execution) throw new Error('the workflow has not run');
    executions.push(execution);
    return { execution, logins: service.logins - before };
  }

  it('is tested once, and says what is wrong', async () => {
    const type = { id: '', name: 'Legacy', type: BASIC };
    const { host } = new URL(service.url);
    for (let presses = 0; presses < 3; presses += 1) {
      await expect(world.n8n.testCredential(type, basic())).resolves.toEqual({
        status: 'OK',
        message: `${host} accepts the password.`,
      });
    }
    const { refusedLogins } = service;
    for (let presses = 0; presses < 3; presses += 1) {
      const { status, message } = await world.n8n.testCredential(type, basic({ password: 'not it' }));
      expect([status, message]).toEqual(['Error', expect.stringContaining('[ERR_BASIC_REFUSED] Check user name')]);
    }
    expect(service.refusedLogins - refusedLogins).toBe(1);
    await expect(world.n8n.testCredential(type, {})).resolves.toMatchObject({
      status: 'Error',
      message: expect.stringContaining('config.username'),
    });
    await expect(world.n8n.testCredential(type, basic({ testUrl: '', advanced: false }))).resolves.toEqual({
      status: 'OK',
      message: 'There is no test URL: nobody was asked.',
    });
  });

  it('authenticates 20 items of an HTTP Request node with no login beside them', async () => {
    const { execution, logins } = await call(basic());
    expect([execution.status, logins]).toEqual(['success', 20]);
  });

  it('proves a wrong password once at its test URL, and sends none of the 20 requests', async () => {
    const { execution, logins } = await call(basic({ password: 'wrong, too' }), CONTINUE);
    expect(outputOf(execution, 'HTTP Request')).toHaveLength(20);
    expect(logins).toBe(1);
  });

  it('is not presented a second time to an API that refuses it', async () => {
    const { logins } = await call(basic({ password: 'never right', testUrl: '', advanced: false }), CONTINUE);
    expect(logins).toBe(20);
  });
});

describe('after all that', () => {
  it('no password of a credential is in execution data, and none of a person in what the node Directory gave', () => {
    const secrets = [servicePassword('service'), 'wrong-canary-password', 'basic-canary-pässword'];
    const places = new Map(executions.map(({ id, raw }) => [`execution ${id}`, raw]));
    expect(findTraces(secrets, places)).toEqual([]);
    expect(findTraces([uidOf(100)], places).length).toBeGreaterThan(0);
    const persons = [...people.map(({ password }) => password), SPECIAL_PASSWORD, 'wrong-person-canary'];
    const outputs = new Map(
      executions
        .filter(({ raw }) => raw.includes('Directory'))
        .map((execution) => [execution.id, JSON.stringify(givenBy(execution))]),
    );
    expect(outputs.size).toBeGreaterThan(5);
    expect(findTraces(persons, outputs)).toEqual([]);
  });

  it('no password of a credential is in a file of n8n, in its database or in its log', () => {
    const places = new Map<string, Buffer | string>(world.n8n.files());
    places.set('the database', world.n8n.databaseBytes()).set('the log', world.n8n.log);
    const secrets = [servicePassword('service'), 'wrong-canary-password', 'basic-canary-pässword'];
    expect(findTraces(secrets, places)).toEqual([]);
  });
});

/** Everything that n8n stored of the node Directory: its items, its errors, its inputs left out. */
function givenBy({ data }: Execution): unknown {
  const { resultData } = data as { resultData: { runData: Record<string, unknown[]>; error?: unknown } };
  return { runs: resultData.runData['Directory'], error: resultData.error };
}
