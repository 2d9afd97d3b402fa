import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { z } from 'zod/v4';
import type { AccessScope } from '../../src/client.ts';
import { PasswordService, WEBHOOK_SECRET } from '../servers/password-service.ts';
import {
  PEOPLE,
  serviceDn,
  servicePassword,
  SlapdServer,
  SPECIAL_PASSWORD,
  SUFFIX,
  uidOf,
  userDn,
} from '../servers/slapd.ts';
import { eventually } from '../support/eventually.ts';
import { Started } from '../support/started.ts';
import type { Execution } from './n8n-server.ts';
import { findTraces } from './traces.ts';
import { chain, httpRequest, manualTrigger, node, type CredentialReference, type WorkflowNode } from './workflow.ts';
import { errorOf, outputOf, World } from './world.ts';

const NODE = 'Credential Lifecycle';
const PATIENTLY = { timeoutMs: 120_000, everyMs: 500 };
const CONTINUE = { onError: 'continueRegularOutput' };

// slapd's file allows less, and n8n has to be installed and started first.
jest.setTimeout(300_000);

const started = Started.inSuite();
let world: World;
let service: PasswordService;
let directory: SlapdServer;
let access: CredentialReference;
const executions: Execution[] = [];

beforeAll(async () => {
  service = await started.add(PasswordService.start());
  directory = await started.add(SlapdServer.start());
  world = await started.add(World.start());
  access = await world.n8n.createCredential('credentialLifecycleAccessApi', 'Access', {
    accessKey: await keyTo(null, 'rotate', 'test', 'list'),
  });
});

async function keyTo(id: string | null, ...scopes: AccessScope[]): Promise<string> {
  return (await world.withEngine((engine) => engine.grant(id, { scopes }))).accessKey;
}

async function managed(id: string): Promise<CredentialReference> {
  const data = { credentialId: id, accessKey: await keyTo(id, 'use') };
  return world.n8n.createCredential('managedCredentialApi', 'Managed', data);
}

function registered(protocol: string, config: object, secret: object): Promise<string> {
  const settings = { ...config, allowInsecureTransport: true };
  return world.withEngine(async (engine) => {
    return (await engine.register({ protocol, name: protocol, config: settings, secret })).id;
  });
}

/** Executes the node with one operation of the resource Credential. */
async function execute(operation: string, id: string, settings: object = {}): Promise<Execution> {
  const lifecycle = node({
    name: NODE,
    type: 'n8n-nodes-credential-lifecycle.credentialLifecycle',
    parameters: { resource: 'credential', operation, credentialId: { __rl: true, mode: 'id', value: id } },
    credential: access,
    settings: { ...settings },
  });
  const workflow = await world.n8n.createWorkflow(chain(operation, [manualTrigger(), lifecycle]));
  const execution = await world.n8n.runManually(workflow);
  executions.push(execution);
  return execution;
}

const itemOf = (execution: Execution): Record<string, unknown> => outputOf(execution, NODE)[0] ?? {};

const nameOf = ({ data }: Execution): string => failed.parse(data).resultData.error.name;
const failed = z.object({ resultData: z.object({ error: z.object({ name: z.string() }) }) });

/** What a node that uses the credential gives. */
async function used(by: WorkflowNode): Promise<Execution> {
  const workflow = await world.n8n.createWorkflow(chain(by.name, [manualTrigger(), by]));
  const execution = await world.n8n.runManually(workflow);
  executions.push(execution);
  return execution;
}

describe('a password that a webhook replaces: one secret, the old one is dead at once', () => {
  let id: string;
  let credential: CredentialReference;
  let first: string;

  beforeAll(async () => {
    const { username, password, url } = service;
    const config = { username, testUrl: `${url}/whoami`, rotationWebhookUrl: `${url}/webhook` };
    id = await registered('basic', config, { password, webhookSecret: WEBHOOK_SECRET });
    credential = await managed(id);
    first = password;
  });

  /** One request of an HTTP Request node, and how many logins the service refused meanwhile. */
  async function order(): Promise<{ status: string; refused: number }> {
    const before = service.refusedLogins;
    const { status } = await used(httpRequest(`${service.url}/orders`, credential));
    return { status, refused: service.refusedLogins - before };
  }

  it('is another one after Rotate, with the next generation, and the next request takes it', async () => {
    expect(await order()).toEqual({ status: 'success', refused: 0 });
    expect(itemOf(await execute('rotate', id))).toMatchObject({
      ...{ id, state: 'valid.fresh', generation: 2, failure: null },
      rotation: { state: 'idle', reason: 'rotationRequested', failure: null, canRollBack: true },
    });
    expect(service.password).not.toBe(first);
    expect(service.steps.map(({ step }) => step).slice(0, 3)).toEqual(['set', 'test', 'finish']);
    expect(await order()).toEqual({ status: 'success', refused: 0 });
  });

  it('is the one before after Roll Back, and the next request takes that', async () => {
    expect(itemOf(await execute('rollback', id))).toMatchObject({ id, rotation: { state: 'idle', failure: null } });
    expect(service.password).toBe(first);
    expect(await order()).toEqual({ status: 'success', refused: 0 });
  });

  it('is a second candidate when the service does not take the first', async () => {
    service.nextWebhookStatus = 422;
    const { generation } = await world.withEngine((engine) => engine.get(id));
    await execute('rotate', id);
    const rotated = await eventually(async () => {
      const now = await world.withEngine((engine) => engine.get(id));
      return now.rotation.state === 'idle' && now;
    }, PATIENTLY);
    expect(rotated.generation).toBe(generation + 1);
    expect(await order()).toEqual({ status: 'success', refused: 0 });
  });

  it('stays as it was when the service refuses: an error with our code and what to do, and the old one goes on', async () => {
    const { password } = service;
    const { generation } = await world.withEngine((engine) => engine.get(id));
    service.nextWebhookStatus = 403;
    const refused = await execute('rotate', id);
    expect(refused.status).toBe('error');
    expect(errorOf(refused)).toMatchObject({
      message: expect.stringMatching(/ refused a step of the rotation \(HTTP 403\)\. \[ERR_BASIC_WEBHOOK_REFUSED\]$/),
      description: expect.stringContaining('webhook'),
    });
    expect(service.password).toBe(password);
    expect(await order()).toEqual({ status: 'success', refused: 0 });
    service.nextWebhookStatus = 403;
    expect(itemOf(await execute('rotate', id, CONTINUE))).toMatchObject({
      ...{ id, generation, code: 'ERR_BASIC_WEBHOOK_REFUSED', error: expect.any(String), action: expect.any(String) },
      rotation: { state: 'failed', reason: 'configurationFailure' },
    });
    expect(service.password).toBe(password);
    expect(await order()).toEqual({ status: 'success', refused: 0 });
  });
});

describe('the password of two directory accounts that alternate', () => {
  const [own, other] = [serviceDn('service'), serviceDn('standby')];
  let id: string;

  beforeAll(async () => {
    const config = { url: directory.url, baseDn: SUFFIX, bindDn: own, standbyBindDn: other };
    const secret = { password: servicePassword('service'), standbyPassword: servicePassword('standby') };
    id = await registered('ldap', config, secret);
  });

  const known = async (): Promise<boolean[]> => [
    await directory.accepts(own, servicePassword('service')),
    await directory.accepts(other, servicePassword('standby')),
  ];

  async function found(): Promise<unknown> {
    const credential = await managed(id);
    const parameters = { authentication: credential.type, operation: 'getUser', name: uidOf(1) };
    const type = 'n8n-nodes-credential-lifecycle.directory';
    const execution = await used(node({ name: 'Directory', type, parameters, credential }));
    return outputOf(execution, 'Directory')[0];
  }

  it('stays when the directory is away: a NodeApiError with our code, and nothing has changed', async () => {
    expect(await found()).toMatchObject({ found: true, dn: userDn(1) });
    await directory.crash();
    const away = await execute('rotate', id);
    await directory.resume();
    expect({ status: away.status, name: nameOf(away) }).toEqual({ status: 'error', name: 'NodeApiError' });
    expect(errorOf(away)).toMatchObject({
      message: expect.stringMatching(/\[ERR_ENDPOINT_[A-Z_]+\]$/),
      description: expect.stringContaining('tried again by itself'),
    });
    expect(await directory.accepts(own, servicePassword('service'))).toBe(true);
  });

  it('is that of the other account after Rotate; the old one is accepted until the new one is proven, and then ended', async () => {
    const rotated = await eventually(async () => {
      const item = itemOf(await execute('rotate', id, CONTINUE));
      return item['code'] === undefined && item;
    }, PATIENTLY);
    expect(rotated).toMatchObject({ id, state: 'valid.fresh', generation: 2, rotation: { state: 'overlapping' } });
    expect(await known()).toEqual([true, false]);
    expect(await found()).toMatchObject({ found: true, dn: userDn(1) });
    expect(itemOf(await execute('test', id))).toMatchObject({ id, success: true });
    await eventually(async () => !(await directory.accepts(own, servicePassword('service'))), PATIENTLY);
    expect(await found()).toMatchObject({ found: true, dn: userDn(1) });
    expect(itemOf(await execute('get', id))).toMatchObject({ state: 'valid.fresh', rotation: { state: 'idle' } });
  });
});

describe('what cannot be replaced', () => {
  it('is told apart: a policy that takes no new password leaves the old one', async () => {
    const bindDn = `uid=strict,${PEOPLE}`;
    const config = { url: directory.url, baseDn: SUFFIX, bindDn };
    const id = await registered('ldap', config, { password: SPECIAL_PASSWORD });
    const refused = await execute('rotate', id);
    expect(errorOf(refused).message).toMatch(/\[ERR_ROTATION_CANDIDATE[A-Z_]+\]$/);
    expect(await directory.accepts(bindDn, SPECIAL_PASSWORD)).toBe(true);
  });

  it('and a protocol without a rotation says so', async () => {
    const refused = await execute('rotate', await world.registered('A client'));
    expect(errorOf(refused).message).toMatch(/\[ERR_ROTATION_UNSUPPORTED\]$/);
    expect(nameOf(refused)).toBe('NodeOperationError');
  });
});

describe('after all that', () => {
  it('no password, old or new, is in the data of an execution', () => {
    const told = service.steps.flatMap(({ current, other }) => [current, other]);
    const passwords = [...told, servicePassword('service'), servicePassword('standby'), SPECIAL_PASSWORD];
    expect(new Set(told).size).toBeGreaterThan(2);
    const places = new Map(executions.map(({ id, raw }) => [id, raw]));
    expect(findTraces([...new Set(passwords)], places)).toEqual([]);
  });
});
