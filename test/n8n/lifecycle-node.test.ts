import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod/v4';
import manifest from '../../package.json';
import type { AccessScope } from '../../src/client.ts';
import { Started } from '../support/started.ts';
import type { Execution } from './n8n-server.ts';
import { chain, type CredentialReference, manualTrigger, node } from './workflow.ts';
import { errorOf, outputOf, World } from './world.ts';

const TYPE = 'n8n-nodes-credential-lifecycle.credentialLifecycle';
const NODE = 'Credential Lifecycle';
const VERBS: readonly AccessScope[] = ['use', 'list', 'test', 'refresh', 'rotate', 'revoke'];
const ALL: readonly AccessScope[] = [...VERBS, 'pause', 'update', 'authorize', 'delete'];

const started = Started.inSuite();
let world: World;
let id: string;
let access: CredentialReference;

beforeAll(async () => {
  world = await started.add(World.start());
  id = await world.registered('Billing');
  access = await accessWith(ALL);
});

async function accessWith(
  scopes: readonly AccessScope[],
  credentialId: string | null = null,
): Promise<CredentialReference> {
  const { accessKey } = await world.withEngine((engine) => engine.grant(credentialId, { scopes }));
  return world.n8n.createCredential('credentialLifecycleAccessApi', 'Access', { accessKey });
}

function about(credentialId: string): object {
  return { credentialId: { __rl: true, mode: 'id', value: credentialId } };
}

async function run(
  operation: string,
  parameters: object,
  options: { access?: CredentialReference; settings?: object } = {},
): Promise<Execution> {
  const lifecycle = node({
    name: NODE,
    type: TYPE,
    parameters: { resource: 'credential', operation, ...parameters },
    credential: options.access ?? access,
    settings: { ...options.settings },
  });
  const workflow = await world.n8n.createWorkflow(chain(`${operation} ${id}`, [manualTrigger(), lifecycle]));
  return world.n8n.runManually(workflow);
}

describe('the node Credential Lifecycle', () => {
  it('gets a credential', async () => {
    const [item] = outputOf(await run('get', about(id)), NODE);
    expect(item).toMatchObject({
      id,
      name: 'Billing',
      protocol: 'oauth2',
      state: 'valid.fresh',
      generation: 1,
      failure: null,
    });
    expect(item?.['expiresAt']).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  it('lists credentials by filter and limit', async () => {
    const second = await world.registered('Second');
    const listed = async (parameters: object) =>
      outputOf(await run('list', parameters), NODE).map((item) => item['id']);
    expect((await listed({ returnAll: true, filters: {} })).sort()).toEqual([id, second].sort());
    expect(await listed({ returnAll: false, limit: 1, filters: {} })).toHaveLength(1);
    expect(await listed({ returnAll: true, filters: { state: 'valid', protocol: 'oauth2' } })).toHaveLength(2);
    expect(await listed({ returnAll: true, filters: { state: 'revoked' } })).toEqual([]);
    expect(await listed({ returnAll: true, filters: { ownerId: 'nobody' } })).toEqual([]);
  });

  it('uses a credential without handing anything out', async () => {
    const execution = await run('use', about(id));
    const [item] = outputOf(execution, NODE);
    expect(Object.keys(item ?? {}).sort()).toEqual(['expiresAt', 'generation', 'id', 'state']);
    const { authorization } = (await world.materialOf(id)).headers;
    expect(execution.raw.includes(authorization?.replace('Bearer ', '') ?? '')).toBe(false);
  });

  it('tests a credential', async () => {
    const [item] = outputOf(await run('test', about(id)), NODE);
    expect(item).toMatchObject({ id, success: true, details: { permissionsVerified: ['api'] } });
  });

  it('refreshes a credential with one token request', async () => {
    const requests = await world.during(async () => {
      const [item] = outputOf(await run('refresh', about(id)), NODE);
      expect(item).toMatchObject({ id, state: 'valid.fresh', generation: 2 });
    });
    expect(requests.token).toBe(1);
  });

  it('revokes a credential, which then refuses to be used, with code and advice', async () => {
    const doomed = await world.registered('Doomed');
    expect(outputOf(await run('revoke', about(doomed)), NODE)[0]).toMatchObject({
      id: doomed,
      state: 'revoked.byUser',
    });
    const { status, ...failed } = await run('use', about(doomed));
    expect(status).toBe('error');
    expect(errorOf({ status, ...failed })).toMatchObject({
      message: expect.stringMatching(/\[ERR_CREDENTIAL_REVOKED\]$/),
      description: expect.stringContaining('Register a new one'),
    });
  });

  it('gives a failed item code and advice and goes on, when told to', async () => {
    const execution = await run('get', about('cr_00000000000000000000'), {
      settings: { onError: 'continueRegularOutput' },
    });
    expect(execution.status).toBe('success');
    expect(outputOf(execution, NODE)).toEqual([
      { error: expect.any(String), code: 'ERR_CREDENTIAL_NOT_FOUND', action: expect.any(String) },
    ]);
  });

  it.each(VERBS)('needs the scope %s for what it allows', async (scope) => {
    const others = await accessWith(ALL.filter((one) => one !== scope));
    const execution = await run(scope, { ...about(id), returnAll: true, filters: {} }, { access: others });
    expect(errorOf(execution).message).toMatch(/"?ERR_ACCESS_SCOPE_MISSING/);
  });

  const inResource = (resource: string, operation: string, parameters: object, options = {}) =>
    run(operation, { resource, ...parameters }, options);

  it('reports, checks and refuses in its other resources, each with its scope', async () => {
    const doomed = await world.registered('Old one');
    await run('use', about(id));
    const unused = await inResource('report', 'unused', { amount: 0, unit: 'days', filters: {} });
    const rows = outputOf(unused, NODE);
    expect(rows.find((row) => row['id'] === id)).toMatchObject({ lastUsedBy: { kind: 'n8nWorkflow' } });
    expect(rows.find((row) => row['id'] === doomed)).toMatchObject({ lastUsedAt: null, uses: 0 });
    const check = (ids: string) => ({ selection: 'ids', ids, minutes: 30 });
    expect(outputOf(await inResource('preFlight', 'check', check(id)), NODE)).toMatchObject([{ alive: true }]);
    await run('revoke', about(doomed));
    const failed = await inResource('preFlight', 'check', check(`${id},${doomed}`));
    expect(errorOf(failed)).toMatchObject({
      message: expect.stringMatching(/^1 of 2 .*\[ERR_PREFLIGHT_NOT_ALIVE\]$/),
      description: expect.stringContaining(`Old one (${doomed}): revoked`),
    });
    const settings = { onError: 'continueRegularOutput' };
    const gone = await inResource('preFlight', 'check', check(`${id},${doomed}`), { settings });
    expect(outputOf(gone, NODE)).toMatchObject([{ alive: false, code: 'ERR_PREFLIGHT_NOT_ALIVE' }]);
    const device = await inResource('deviceAuthorization', 'start', about(id));
    expect(errorOf(device).message).toContain('ERR_AUTHORIZATION_UNSUPPORTED');
    const others = await accessWith(['use']);
    const denied = await inResource('report', 'failing', { filters: {} }, { access: others });
    expect(errorOf(denied).message).toContain('ERR_ACCESS_SCOPE_MISSING');
  });

  it('updates, pauses and deletes, the last only when it is confirmed', async () => {
    const doomed = await world.registered('Short-lived');
    const changes = { name: 'Renamed', tags: 'a,b' };
    expect(outputOf(await run('update', { ...about(doomed), changes }), NODE)).toMatchObject([
      { name: 'Renamed', tags: ['a', 'b'] },
    ]);
    expect(outputOf(await run('pause', about(doomed)), NODE)).toMatchObject([{ paused: true }]);
    expect(errorOf(await run('delete', { ...about(doomed), confirmation: 'x' })).message).toContain('ERR_CONFIG');
    expect(outputOf(await run('delete', { ...about(doomed), confirmation: 'Renamed' }), NODE)).toEqual([
      { id: doomed, deleted: true },
    ]);
  });

  it('reaches no other credential with the key of one', async () => {
    const other = await world.registered('Not yours');
    const own = await accessWith(ALL, id);
    for (const operation of ['get', 'use', 'test', 'refresh', 'revoke']) {
      expect(errorOf(await run(operation, about(other), { access: own })).message).toContain('ERR_ACCESS_DENIED');
    }
    expect(outputOf(await run('list', { returnAll: true, filters: {} }, { access: own }), NODE)).toMatchObject([
      { id },
    ]);
    expect(outputOf(await run('get', about(other)), NODE)).toMatchObject([{ state: 'valid.fresh' }]);
  });

  it('offers its credentials to choose from', async () => {
    const choices = z.object({
      data: z.object({ results: z.array(z.object({ name: z.string(), value: z.string() })) }),
    });
    const reply = await world.n8n.request('POST', '/rest/dynamic-node-parameters/resource-locator-results', {
      path: 'parameters.credentialId',
      methodName: 'searchCredentials',
      nodeTypeAndVersion: { name: TYPE, version: 1 },
      currentNodeParameters: { resource: 'credential', operation: 'get' },
      credentials: { [access.type]: { id: access.id, name: access.name } },
      filter: 'BILL',
    });
    expect(choices.parse(reply).data.results).toEqual([{ name: 'Billing (valid.fresh)', value: id }]);
  });
});

it('offers the tags that there are in its filters', async () => {
  await world.withEngine((engine) => engine.update(id, { tags: ['offered'] }));
  const reply = await world.n8n.request('POST', '/rest/dynamic-node-parameters/options', {
    path: 'parameters.filters.tags',
    methodName: 'getTags',
    nodeTypeAndVersion: { name: TYPE, version: 1 },
    currentNodeParameters: { resource: 'credential', operation: 'list' },
    credentials: { [access.type]: { id: access.id, name: access.name } },
  });
  expect(reply).toMatchObject({ data: expect.arrayContaining([{ name: 'offered', value: 'offered' }]) });
});

it('keeps what the command, as it came with the package, shows and grants', async () => {
  const { name } = manifest;
  const command = path.join(world.n8n.n8nFolder, 'nodes', 'node_modules', name, 'bin', 'credlife.cjs');
  const env = { PATH: process.env['PATH'], HOME: '/nowhere', N8N_USER_FOLDER: world.n8n.userFolder };
  const credlife = (...argv: string[]) => promisify(execFile)(process.execPath, [command, '--n8n', ...argv], { env });
  const listed = z.object({ credentials: z.array(z.object({ id: z.string() })) });
  const { stdout } = await credlife('list', '--json');
  expect(listed.parse(JSON.parse(stdout)).credentials.map((one) => one.id)).toContain(id);
  const granted = await credlife('grant', '--engine', '--scopes', 'list', '--json');
  const { accessKey } = z.object({ accessKey: z.string() }).parse(JSON.parse(granted.stdout));
  const issued = await world.n8n.createCredential('credentialLifecycleAccessApi', 'Issued', { accessKey });
  expect(outputOf(await run('get', about(id), { access: issued }), NODE)).toMatchObject([{ id }]);
});

describe('the test of Credential Lifecycle Access', () => {
  it.each([
    ['a key that the engine issued', 'OK', (key: string) => key],
    ['any other', 'Error', () => 'clk_nonsense'],
  ])('answers to %s with %s', async (_which, status, keyFrom) => {
    const { accessKey } = await world.withEngine((engine) => engine.grant(null, { scopes: ['list'] }));
    const credential = { id: '', name: 'Access', type: 'credentialLifecycleAccessApi' };
    await expect(world.n8n.testCredential(credential, { accessKey: keyFrom(accessKey) })).resolves.toMatchObject({
      status,
    });
  });
});
