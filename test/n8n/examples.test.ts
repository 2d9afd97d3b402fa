import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { Started } from '../support/started.ts';
import { PasswordService, WEBHOOK_SECRET } from '../servers/password-service.ts';
import { ChatServer } from './chat-server.ts';
import { type Example, exampleFiles, importExample, readExample, type Surroundings } from './example.ts';
import { serviceDn, servicePassword, SlapdServer, SUFFIX, uidOf, userPassword } from '../servers/slapd.ts';
import { outputOf, World } from './world.ts';

// A server of the tests has set less.
jest.setTimeout(180_000);

/** What has to be there before an example runs, how it is run, and what must have come of it. */
type Scenario = (example: Example) => Promise<void>;

const OURS = 'n8n-nodes-credential-lifecycle.';
const CHAT = 'https://chat.example.com/hooks/enter-yours-here';
const API = 'https://api.example.com/invoices';

const started = Started.inSuite();
let world: World;

beforeAll(async () => {
  world = await started.add(World.start());
});

const scenarios: Readonly<Record<string, Scenario>> = {
  'alert-on-expiring-soon.json': async (example) => {
    const chat = await started.add(ChatServer.start());
    const { accessKey } = await world.withEngine((engine) => engine.grant(null, { scopes: ['list'] }));
    const workflow = await importExample(world.n8n, example, {
      credentials: { credentialLifecycleAccessApi: { accessKey } },
      replacements: { [CHAT]: chat.url },
    });
    await world.n8n.activate(workflow);
    const { clientId, clientSecret } = world.server.clients.rotating;
    const config = { issuer: world.server.issuer, grantType: 'refresh_token', clientId, allowInsecureTransport: true };
    const secret = { clientSecret, refreshToken: 'one that nobody issued' };
    await world.withEngine((engine) => engine.register({ protocol: 'oauth2', name: 'Mailbox', config, secret }));
    await eventually(() => chat.told.length > 0, { timeoutMs: 90_000 });
    expect(chat.told).toEqual([{ text: 'A person has to sign in again for Mailbox (oauth2, grantRefused)' }]);
    await world.n8n.deactivate(workflow);
  },
  'nightly-pre-flight.json': async (example) => {
    const tag = { tags: ['nightly'] };
    const good = await world.registered('Alive');
    await world.withEngine((engine) => engine.update(good, tag));
    expect(await toldBy(example, {})).toEqual([]);
    const { clientId } = world.server.clients.machine;
    const config = {
      issuer: world.server.issuer,
      grantType: 'client_credentials',
      clientId,
      allowInsecureTransport: true,
    };
    const entry = { protocol: 'oauth2', name: 'Broken', config, secret: { clientSecret: 'wrong' }, ...tag };
    await world.withEngine((engine) => engine.register(entry));
    expect(await toldBy(example, {})).toEqual([
      { text: expect.stringMatching(/^1 of 2 credentials will not be usable until .*: Broken \(misconfigured\)\. /) },
    ]);
  },
  'rotate-and-notify.json': async (example) => {
    const id = await world.registered('Client');
    expect(await toldBy(example, { cr_0123456789abcdef0123: id })).toEqual([
      { text: expect.stringMatching(/^A secret was not replaced: \w/) },
    ]);
    const { username, password, url } = await started.add(PasswordService.start());
    const config = { username, rotationWebhookUrl: `${url}/webhook`, allowInsecureTransport: true };
    const secret = { password, webhookSecret: WEBHOOK_SECRET };
    const entry = { protocol: 'basic', name: 'Robot', config, secret };
    const robot = await world.withEngine(async (engine) => (await engine.register(entry)).id);
    expect(await toldBy(example, { cr_0123456789abcdef0123: robot })).toEqual([
      { text: 'Robot: its secret was replaced' },
    ]);
  },
  'parallel-calls-one-token.json': async (example) => {
    const execution = () => runManually(example, oauth2Surroundings());
    const requests = await world.during(async () => {
      const outputs = await Promise.all([execution(), execution()]);
      for (const items of outputs) expect(items).toHaveLength(20);
    });
    expect(requests).toMatchObject({ token: 1, resource: 40 });
  },

  'ldap-login-check.json': async (example) => {
    const directory = await SlapdServer.start();
    try {
      const webhook = example.nodes.find(({ type }) => type === 'n8n-nodes-base.webhook');
      const workflow = await importExample(world.n8n, example, ldapSurroundings(directory));
      await world.n8n.activate(workflow);
      const logIn = (body: object) => world.n8n.callWebhook(String(webhook?.parameters['path']), body);
      expect(await logIn({ username: uidOf(7), password: userPassword(7) })).toMatchObject({ status: 200 });
      for (const body of [{ username: uidOf(816), password: 'wrong' }, { username: 'nobody', password: 'x' }, {}]) {
        expect(await logIn(body)).toMatchObject({ status: 401 });
      }
    } finally {
      await directory.stop();
    }
  },
};

/** Runs an example whose trigger is a schedule, with a key that may do all of that, and returns what the chat was told. */
async function toldBy(example: Example, replacements: Readonly<Record<string, string>>): Promise<unknown[]> {
  const chat = await ChatServer.start();
  try {
    const { accessKey } = await world.withEngine((engine) =>
      engine.grant(null, { scopes: ['list', 'refresh', 'rotate'] }),
    );
    const workflow = await importExample(world.n8n, example, {
      credentials: { credentialLifecycleAccessApi: { accessKey } },
      replacements: { [CHAT]: chat.url, ...replacements },
    });
    const trigger = example.nodes.find(({ type }) => /trigger$/i.test(type));
    expect((await world.n8n.runManually(workflow, trigger?.name)).status).toBe('success');
    return [...chat.told];
  } finally {
    await chat.stop();
  }
}

function ldapSurroundings({ port }: SlapdServer): Surroundings {
  const account = { bindMethod: 'simple', bindDn: serviceDn('service'), password: servicePassword('service') };
  const plain = { advanced: true, allowInsecureTransport: true };
  const place = { url: `ldap://localhost:${String(port)}`, preset: 'openldap', baseDn: SUFFIX };
  return { credentials: { lifecycleLdapApi: { ...place, ...account, ...plain } }, replacements: {} };
}

function oauth2Surroundings(): Surroundings {
  return {
    credentials: { lifecycleOAuth2Api: world.form() },
    replacements: { [API]: world.server.resourceUrl },
  };
}

/** Presses "Execute workflow" and returns what its last node gave. */
async function runManually(example: Example, surroundings: Surroundings): Promise<Record<string, unknown>[]> {
  const workflow = await importExample(world.n8n, example, surroundings);
  const trigger = example.nodes.find(({ type }) => /trigger$/i.test(type));
  const last = example.nodes.find(({ name }) => isLast(example, name));
  const execution = await world.n8n.runManually(workflow, trigger?.name);
  expect({ example: example.name, status: execution.status }).toEqual({ example: example.name, status: 'success' });
  return outputOf(execution, last?.name ?? '');
}

function isLast({ connections, nodes }: Example, name: string): boolean {
  const node = nodes.find((one) => one.name === name);
  return connections[name] === undefined && !/stickyNote$/.test(node?.type ?? '');
}

describe('the example workflows', () => {
  it('have a scenario each, and no scenario is without its example', () => {
    expect(Object.keys(scenarios).sort()).toEqual(exampleFiles());
  });

  it.each(exampleFiles())('%s is imported and does what it says', async (file) => {
    const scenario = scenarios[file];
    if (!scenario) throw new Error(`${file} has no scenario in this test`);
    await scenario(readExample(file));
  });

  it.each(exampleFiles())('%s names nothing of ours that there is not, and no server but examples', async (file) => {
    const example = readExample(file);
    const nodeTypes = new Set((await world.n8n.nodeTypes()).map(({ name }) => name));
    const credentialTypes = new Set((await world.n8n.credentialTypes()).map(({ name }) => name));
    for (const { type, credentials } of example.nodes) {
      expect({ type, exists: nodeTypes.has(type) }).toEqual({ type, exists: true });
      for (const name of Object.keys(credentials)) expect(credentialTypes).toContain(name);
    }
    const hosts = JSON.stringify(example).match(/(?<=\w:\/\/)[^/"'\\ ]+/g) ?? [];
    expect(hosts.filter((host) => !/(^|\.)example\.(com|org|net)$/.test(host))).toEqual([]);
    // An example without anything of this package shows nothing of it.
    expect(example.nodes.some(({ type, credentials }) => type.startsWith(OURS) || isOurs(credentials))).toBe(true);
  });
});

function isOurs(credentials: object): boolean {
  return Object.keys(credentials).some((type) => /[lL]ifecycle|^managedCredential/.test(type));
}
