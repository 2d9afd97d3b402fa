import type { IDataObject, IExecuteFunctions, ILoadOptionsFunctions, INodeExecutionData } from 'n8n-workflow';
import { CredentialLifecycle } from '../../nodes/CredentialLifecycle/CredentialLifecycle.node.ts';
import { ACCESS_SCOPES, type AccessScope, type CredentialSummary, type EngineClient } from '../../src/client.ts';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { IDLE_SUMMARY } from '../../src/lifecycle/rotation/progress.ts';
import { failedItem } from '../../src/n8n/errors.ts';
import { rotatedItem } from '../../src/n8n/outcome.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { machineEntry, openEngine, temporaryFolder } from '../support/engine.ts';

const REGISTRY = Symbol.for('n8n-nodes-credential-lifecycle/engine-registry/1');
const NEW_SECRET = 'a-secret-that-was-typed-in';

const folder = temporaryFolder();
const node = new CredentialLifecycle();
let server: AuthorizationServer;
let engine: CredentialEngine;
let client: EngineClient;

beforeAll(async () => {
  server = await startAuthorizationServer({ accessTokenTtlMs: 3_600_000 });
  engine = await openEngine(folder.path);
  client = createEmbeddedClient(engine);
  // The engine of this process, as the package finds it in n8n.
  Reflect.set(globalThis, REGISTRY, { client: async () => client, close: async () => undefined });
});
afterAll(async () => {
  Reflect.deleteProperty(globalThis, REGISTRY);
  await engine.close();
  await server.stop();
  folder.dispose();
});

interface Run {
  readonly scopes?: readonly AccessScope[];
  readonly credentialId?: string | null;
  readonly continueOnFail?: boolean;
  readonly items?: number;
}

/** Runs the node as n8n would: with parameters, an access key, and nothing else. */
async function run(parameters: object, options: Run = {}): Promise<INodeExecutionData[]> {
  const { scopes = ACCESS_SCOPES, credentialId = null, continueOnFail = false, items = 1 } = options;
  const { accessKey } = await engine.grant(credentialId, { scopes });
  const values = new Map<string, unknown>(Object.entries(parameters));
  const context = {
    getInputData: () => Array.from({ length: items }, () => ({ json: {} })),
    getNodeParameter: (name: string, _item: number, fallback?: unknown) =>
      values.has(name) ? values.get(name) : fallback,
    getCredentials: async () => ({ accessKey }),
    getNode: () => ({ name: 'Credential Lifecycle', type: 'x', typeVersion: 1, position: [0, 0], parameters: {} }),
    getWorkflow: () => ({ id: 'w1' }),
    getExecutionCancelSignal: () => undefined,
    continueOnFail: () => continueOnFail,
  } as unknown as IExecuteFunctions;
  const [output] = await node.execute.call(context);
  return output ?? [];
}

async function json(parameters: object, options: Run = {}): Promise<IDataObject[]> {
  return (await run(parameters, options)).map((item) => item.json);
}

async function registered(name: string, changes: object = {}): Promise<string> {
  return (await engine.register({ ...machineEntry(server), name, ...changes })).id;
}

function on(operation: string, credentialId: string, more: object = {}): object {
  return { resource: 'credential', operation, credentialId, ...more };
}

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it went well');
}

const choices = (method: 'getCredentials' | 'getOwners' | 'getProtocols' | 'getTags', accessKey: string) =>
  node.methods.loadOptions[method].call({
    getCredentials: async () => ({ accessKey }),
  } as unknown as ILoadOptionsFunctions);

describe('the resource Credential', () => {
  it.each([
    ['get', 'list', { state: 'valid.fresh' }],
    ['use', 'use', { state: 'valid.fresh', generation: 1 }],
    ['test', 'test', { success: true }],
    ['refresh', 'refresh', { generation: 2 }],
    ['pause', 'pause', { paused: true }],
    ['resume', 'pause', { paused: false }],
    ['revoke', 'revoke', { state: 'revoked.byUser' }],
  ] as const)('%s needs the scope %s alone', async (operation, scope, expected) => {
    const id = await registered(operation);
    expect(await json(on(operation, id), { scopes: [scope] })).toMatchObject([{ id, ...expected }]);
    const others = ACCESS_SCOPES.filter((name) => name !== scope);
    await expect(run(on(operation, id), { scopes: others })).rejects.toThrow('ERR_ACCESS_SCOPE_MISSING');
  });

  it.each(['rotate', 'rollback'])('%s says why it cannot', async (operation) => {
    const id = await registered(operation);
    await expect(run(on(operation, id))).rejects.toMatchObject({
      message: expect.stringMatching(/\[ERR_[A-Z0-9_]+\]$/),
    });
    await expect(run(on(operation, id), { scopes: ['use'] })).rejects.toThrow('ERR_ACCESS_SCOPE_MISSING');
  });

  it('refresh fails with the reason why there is no new token, and gives the credential when told to go on', async () => {
    const id = await registered('Refused', { secret: { clientSecret: 'not this one' } });
    const refused = { code: 'ERR_OAUTH2_INVALID_CLIENT', id, state: 'pending.misconfigured' };
    await expect(run(on('refresh', id))).rejects.toThrow('ERR_OAUTH2_INVALID_CLIENT');
    expect(await json(on('refresh', id), { continueOnFail: true })).toMatchObject([refused]);
  });

  it('gives, when told to go on, the credential with a rotation that failed', async () => {
    const id = await registered('rotate');
    const [item, ...more] = await json(on('rotate', id), { continueOnFail: true });
    expect(item).toMatchObject({
      error: expect.any(String),
      code: 'ERR_ROTATION_UNSUPPORTED',
      action: expect.any(String),
    });
    expect(more).toEqual([]);
  });

  describe('after a rotation', () => {
    const failure = { code: 'ERR_ENDPOINT_UNREACHABLE', message: 'It is away.', at: new Date(0) } as const;
    const given = async (rotation: Partial<CredentialSummary['rotation']>) => ({
      ...(await engine.get(await registered('Rotated'))),
      rotation: { ...IDLE_SUMMARY, ...rotation },
    });

    it.each(['idle', 'overlapping'] as const)('gives the credential: %s', async (state) => {
      expect(rotatedItem(await given({ state }))).toMatchObject({ name: 'Rotated', rotation: { state } });
    });

    it.each([
      ...(['creating', 'setting', 'testing', 'finishing', 'failed'] as const).map((state) => ({ state, failure })),
      { state: 'setting', failure: null } as const,
    ])('fails while the new secret is not in use, with the credential as it is: %o', async (rotation) => {
      const summary = await given(rotation);
      const code = rotation.failure?.code ?? 'ERR_ROTATION_IN_PROGRESS';
      const error = caught(() => rotatedItem(summary));
      expect(error).toMatchObject({ failure: { code }, description: expect.stringMatching(/again/) });
      expect(failedItem(error)).toMatchObject({ id: summary.id, code, rotation: { state: rotation.state } });
    });
  });

  it('updates what is given, leaves the rest, and takes empty owner and scope away', async () => {
    const id = await registered('Old', { ownerId: 'alice', scopeId: 's', tags: ['a'] });
    const changes = { name: 'New', ownerId: '', tags: 'x, y,', testEveryMinutes: 0 };
    expect(await json(on('update', id, { changes }), { scopes: ['update'] })).toMatchObject([
      { id, name: 'New', ownerId: null, scopeId: 's', tags: ['x', 'y'], testEveryMs: 0, generation: 1 },
    ]);
    expect(await json(on('update', id, { changes: { scopeId: '', testEveryMinutes: -1 } }))).toMatchObject([
      { scopeId: null, testEveryMs: null },
    ]);
  });

  it('gives out no secret that was typed in, neither in its output nor in an error', async () => {
    const id = await registered('Secretive');
    const given = on('update', id, { changes: { secret: JSON.stringify({ clientSecret: NEW_SECRET }) } });
    expect(JSON.stringify(await json(given))).not.toContain(NEW_SECRET);
    const wrong = on('update', id, { changes: { secret: JSON.stringify({ nonsense: NEW_SECRET }) } });
    const error: unknown = await run(wrong).catch((failure: unknown) => failure);
    expect(error).toMatchObject({ message: expect.stringContaining('ERR_CONFIG_MALFORMED') });
    expect(JSON.stringify(error)).not.toContain(NEW_SECRET);
  });

  it.each<[string, object]>([
    ['nothing', {}],
    ['settings that are no JSON', { config: '{' }],
    ['a secret that is no object', { secret: 'plain' }],
    ['half a minute', { testEveryMinutes: 0.5 }],
    ['a name that is none', { name: 7 }],
  ])('changes nothing when it is given %s', async (_what, changes) => {
    const id = await registered('Unchanged');
    const before = await engine.get(id);
    await expect(run(on('update', id, { changes }))).rejects.toThrow('ERR_CONFIG_MALFORMED');
    expect(await engine.get(id)).toEqual(before);
  });

  it.each([
    ['its name', 'Doomed'],
    ['its id', null],
  ])('deletes when it is confirmed by %s', async (_what, name) => {
    const id = await registered('Doomed');
    const confirmation = name ?? id;
    const scopes: AccessScope[] = name === null ? ['delete'] : ['delete', 'list'];
    expect(await json(on('delete', id, { confirmation }), { scopes })).toEqual([{ id, deleted: true }]);
    await expect(engine.get(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_FOUND' });
  });

  it.each(['', ' ', 'Kept ones', 'true'])('deletes nothing when "%s" confirms it', async (confirmation) => {
    const id = await registered('Kept');
    await expect(run(on('delete', id, { confirmation }))).rejects.toThrow('ERR_CONFIG_MALFORMED');
    expect((await engine.get(id)).name).toBe('Kept');
  });

  it('pairs each result with its item, and a failed one too', async () => {
    const parameters = on('get', 'cr_nowhere');
    const output = await run(parameters, { items: 2, continueOnFail: true });
    expect(output).toMatchObject([
      { json: { code: 'ERR_CREDENTIAL_NOT_FOUND', action: expect.any(String) }, pairedItem: { item: 0 } },
      { json: { code: 'ERR_CREDENTIAL_NOT_FOUND' }, pairedItem: { item: 1 } },
    ]);
    await expect(run({ resource: 'credential', operation: 'none' })).rejects.toThrow('ERR_CONFIG_MALFORMED');
  });
});

describe('the resource Report', () => {
  it('tells what nobody uses, and who used the others', async () => {
    const used = await registered('Used', { tags: ['unused-report'] });
    const idle = await registered('Idle', { tags: ['unused-report'] });
    await run(on('use', used));
    const filters = { tags: ['unused-report'] };
    const rows = await json({ resource: 'report', operation: 'unused', amount: 0, unit: 'days', filters });
    expect(rows.map(({ id }) => id)).toEqual([idle, used]);
    expect(rows).toMatchObject([
      { lastUsedAt: null, uses: 0 },
      { lastUsedBy: { kind: 'n8nWorkflow', id: 'w1' }, uses: 1, lastUsedAt: expect.stringMatching(/^\d{4}-/) },
    ]);
    expect(await json({ resource: 'report', operation: 'unused', amount: 1, unit: 'days', filters })).toEqual([]);
  });

  it('tells what fails and how old all is', async () => {
    await registered('Failing', { ...machineEntry(server, { secret: { clientSecret: 'wrong' } }), tags: ['failing'] });
    const filters = { tags: 'failing' };
    expect(await json({ resource: 'report', operation: 'failing', filters })).toMatchObject([
      { problem: 'misconfigured', code: 'ERR_OAUTH2_INVALID_CLIENT', sinceAt: expect.any(String) },
    ]);
    expect(await json({ resource: 'report', operation: 'ages', sortBy: 'credential', filters })).toHaveLength(1);
    expect(await json({ resource: 'report', operation: 'expiring', amount: 7, unit: 'days', filters })).toEqual([]);
  });

  it.each(['ages', 'expiring', 'failing', 'unused'])('%s needs the scope list', async (operation) => {
    const scopes = ACCESS_SCOPES.filter((name) => name !== 'list');
    await expect(run({ resource: 'report', operation }, { scopes })).rejects.toThrow('ERR_ACCESS_SCOPE_MISSING');
  });

  it('refuses a span that is none', async () => {
    await expect(run({ resource: 'report', operation: 'unused', amount: -1 })).rejects.toThrow('ERR_CONFIG_MALFORMED');
  });
});

describe('the resource Pre-Flight', () => {
  const check = (more: object): object => ({ resource: 'preFlight', operation: 'check', ...more });

  it('answers with one item when all are alive', async () => {
    const ids = [await registered('One'), await registered('Two')];
    const given = check({ selection: 'ids', ids: ids.join(', '), minutes: 120, refresh: true, test: true });
    expect(await json(given)).toMatchObject([
      { alive: true, until: expect.any(String), credentials: ids.map((id) => ({ id, alive: true })) },
    ]);
    expect((await engine.get(ids[0] ?? '')).generation).toBe(2);
  });

  it('fails with the list, and with continue-on-fail tells it in the item', async () => {
    const good = await registered('Good');
    const dead = await registered('Dead');
    await engine.revoke(dead);
    const given = check({ selection: 'list', credentialIds: [good, dead], minutes: 120 });
    await expect(run(given)).rejects.toMatchObject({
      name: 'NodeOperationError',
      message: expect.stringMatching(/^1 of 2 credentials .*\[ERR_PREFLIGHT_NOT_ALIVE\]$/),
      description: expect.stringMatching(/^Dead \(cr_\w+\): revoked\./),
    });
    expect(await json(given, { continueOnFail: true })).toMatchObject([
      {
        code: 'ERR_PREFLIGHT_NOT_ALIVE',
        alive: false,
        credentials: [
          { id: good, alive: true },
          { id: dead, alive: false },
        ],
      },
    ]);
    expect(await json(check({ ...given, onNotAlive: 'return' }))).toMatchObject([{ alive: false }]);
  });

  it('finds those of this workflow by their scope, and those of a filter', async () => {
    const own = await registered('Own', { scopeId: 'w-7', tags: ['t7'] });
    expect(await json(check({ selection: 'workflow', scopeId: 'w-7' }))).toMatchObject([
      { credentials: [{ id: own }] },
    ]);
    expect(await json(check({ selection: 'filter', filters: { tags: ['t7'] } }))).toMatchObject([
      { credentials: [{ id: own }] },
    ]);
  });

  it.each<[string, object]>([
    ['no id', { selection: 'ids', ids: ' , ' }],
    ['a scope that nothing is for', { selection: 'workflow', scopeId: 'nobody' }],
    ['no scope', { selection: 'workflow', scopeId: '' }],
    ['a selection that is none', { selection: 'all' }],
    ['a time that is none', { selection: 'ids', ids: 'x', minutes: -1 }],
  ])('refuses %s rather than call nothing alive', async (_what, given) => {
    await expect(run(check(given))).rejects.toThrow('ERR_CONFIG_MALFORMED');
  });

  it('needs the scopes of what it does', async () => {
    const id = await registered('Scoped');
    const given = check({ selection: 'ids', ids: id, minutes: 120 });
    expect(await json(given, { scopes: ['list'] })).toHaveLength(1);
    const missing = 'ERR_ACCESS_SCOPE_MISSING';
    await expect(run({ ...given, refresh: true }, { scopes: ['list'] })).rejects.toThrow(missing);
    await expect(run({ ...given, test: true }, { scopes: ['list'] })).rejects.toThrow(missing);
    await expect(run(given, { scopes: ['use'] })).rejects.toThrow(missing);
  });

  it('tells nothing of what the key is not for', async () => {
    const own = await registered('Own');
    const other = await registered('Not yours');
    const given = check({ selection: 'ids', ids: other, onNotAlive: 'return' });
    expect(await json(given, { credentialId: own })).toMatchObject([
      { credentials: [{ id: other, name: null, alive: false, reason: 'accessDenied' }] },
    ]);
  });
});

describe('the resource Device Authorization', () => {
  it.each(['start', 'wait'])('%s needs the scope authorize', async (operation) => {
    const id = await registered('Device');
    const scopes = ACCESS_SCOPES.filter((name) => name !== 'authorize');
    const given = { resource: 'deviceAuthorization', operation, credentialId: id };
    await expect(run(given, { scopes })).rejects.toThrow('ERR_ACCESS_SCOPE_MISSING');
  });

  it('says that nobody signs in for a machine, and that it knows no such sign-in', async () => {
    const id = await registered('Machine');
    const given = { resource: 'deviceAuthorization', credentialId: id, authorizationId: 'au_0', limitMinutes: 0 };
    await expect(run({ ...given, operation: 'start' })).rejects.toThrow('ERR_AUTHORIZATION_UNSUPPORTED');
    await expect(run({ ...given, operation: 'wait' })).rejects.toThrow('ERR_AUTHORIZATION_UNKNOWN');
    await expect(run({ ...given, operation: 'wait', limitMinutes: -1 })).rejects.toThrow('ERR_CONFIG_MALFORMED');
  });
});

describe('the dropdowns', () => {
  it('offer what there is, each value once, and what the key may list', async () => {
    const id = await registered('Chosen', { ownerId: 'zoe', tags: ['choice', 'again'] });
    await registered('Chosen too', { ownerId: 'zoe', tags: ['choice'] });
    const { accessKey } = await engine.grant(null, { scopes: ['list'] });
    expect((await choices('getOwners', accessKey)).filter(({ value }) => value === 'zoe')).toHaveLength(1);
    expect((await choices('getTags', accessKey)).filter(({ value }) => value === 'choice')).toHaveLength(1);
    expect(await choices('getProtocols', accessKey)).toEqual([{ name: 'oauth2', value: 'oauth2' }]);
    const { accessKey: own } = await engine.grant(id, { scopes: ['list'] });
    expect(await choices('getCredentials', own)).toEqual([
      { name: 'Chosen (valid.fresh)', value: id, description: id },
    ]);
  });

  it('say why they are empty', async () => {
    const { accessKey } = await engine.grant(null, { scopes: ['use'] });
    await expect(choices('getTags', accessKey)).rejects.toThrow('ERR_ACCESS_SCOPE_MISSING');
  });
});
