import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import type { Execution } from './n8n-server.ts';
import { findTraces, tracesOf } from './traces.ts';
import { chain, manualTrigger, node } from './workflow.ts';
import { type Calls, World } from './world.ts';

const started = Started.inSuite();
let world: World;
const secrets = new Map<string, string>();
const executions: Execution[] = [];

beforeAll(async () => {
  world = await started.add(World.start());
  secrets.set('the client secret', world.server.clients.rotating.clientSecret);
  await runEverything();
});

/** All that a credential can meet in n8n: success, rejection, refusal, an edit, tests, and the node's own operations. */
async function runEverything(): Promise<void> {
  const { clientId, clientSecret } = world.server.clients.rotating;
  const refreshToken = await world.server.mintRefreshToken('rotating');
  secrets.set('the refresh token that was entered', refreshToken);
  const form = world.form({ grantType: 'refresh_token', clientId, clientSecret, refreshToken, scope: '' });
  const credential = await world.n8n.createCredential('lifecycleOAuth2Api', 'Rotating', form);
  await world.n8n.testCredential(credential, form);
  await world.n8n.readCredential(credential);
  await collectTokens('after the test');

  const continues = { settings: { onError: 'continueRegularOutput' } };
  const good = await world.calling(credential);
  await good.run(20);
  await world.server.revokeAccessTokens('rotating');
  await good.run(20);
  await collectTokens('after the rejection');
  const failing: Calls[] = [];
  for (const query of ['?status=404', '?status=500', '?status=401']) {
    failing.push(await world.calling(credential, { query }), await world.calling(credential, { query, ...continues }));
  }
  for (const calls of failing) await calls.run(3);

  const wrong = `wrong-${randomBytes(12).toString('hex')}`;
  secrets.set('a wrong client secret', wrong);
  const refused = await world.lifecycleOAuth2({ clientSecret: wrong });
  await world.n8n.testCredential(refused, world.form({ clientSecret: wrong }));
  for (const options of [{}, continues]) failing.push(await world.calling(refused, options));
  for (const calls of failing.slice(-2)) await calls.run(3);
  for (const calls of [good, ...failing]) executions.push(...(await calls.executions()));
  await runOperations();
  await collectTokens('at the end');
}

async function runOperations(): Promise<void> {
  const { accessKey } = await world.withEngine((engine) =>
    engine.grant(null, { scopes: ['use', 'list', 'test', 'refresh', 'revoke'] }),
  );
  secrets.set('the access key', accessKey);
  secrets.set('the secret part of the access key', accessKey.split('_').slice(2).join('_'));
  const credential = await world.n8n.createCredential('credentialLifecycleAccessApi', 'Access', { accessKey });
  const [id = ''] = await world.adoptedIds();
  for (const operation of ['list', 'get', 'use', 'test', 'refresh']) {
    const parameters = {
      resource: 'credential',
      operation,
      returnAll: true,
      credentialId: { __rl: true, mode: 'id', value: id },
    };
    const type = 'n8n-nodes-credential-lifecycle.credentialLifecycle';
    const lifecycle = node({ name: 'Lifecycle', type, parameters, credential });
    const workflow = await world.n8n.createWorkflow(chain(operation, [manualTrigger(), lifecycle]));
    executions.push(await world.n8n.runManually(workflow));
  }
}

async function collectTokens(when: string): Promise<void> {
  for (const id of await world.adoptedIds()) {
    const material = await world.materialOf(id).catch(() => null);
    const token = material?.headers['authorization']?.replace('Bearer ', '');
    if (token !== undefined) secrets.set(`the access token ${when} of ${id}`, token);
  }
}

describe('after all that a credential can meet in n8n', () => {
  it('there are secrets to look for, and executions of all kinds to look through', () => {
    expect(secrets.size).toBeGreaterThanOrEqual(8);
    for (const secret of secrets.values()) expect(secret.length).toBeGreaterThanOrEqual(20);
    expect(new Set(executions.map(({ status }) => status))).toEqual(new Set(['success', 'error']));
    expect(executions.length).toBeGreaterThanOrEqual(14);
  });

  it('the search finds a secret in every form', () => {
    const secret = [...secrets.values()][0] ?? '';
    const forms = [
      secret,
      JSON.stringify({ secret }),
      Buffer.from(secret).toString('hex'),
      ...['', 'a', 'ab', 'abc'].map((before) => Buffer.from(`${before}${secret} after`).toString('base64')),
      Buffer.from(`:${secret}`).toString('base64url'),
    ];
    const places = new Map(forms.map((form, index) => [String(index), Buffer.from(`before ${form}`)]));
    expect(findTraces([secret], places)).toEqual([...places.keys()]);
    expect(tracesOf(secret).every((trace) => trace.length >= 16)).toBe(true);
  });

  it("no secret is in n8n's execution data", () => {
    const places = new Map(executions.map(({ id, status, raw }) => [`execution ${id} (${status})`, raw]));
    expect(findTraces([...secrets.values()], places)).toEqual([]);
  });

  it("no secret is in n8n's database, in its log, or in any file of its folder, the engine's database included", () => {
    const files = world.n8n.files();
    expect([...files.keys()].some((file) => file.endsWith('credentials.db'))).toBe(true);
    expect(world.n8n.databaseBytes().includes('Rotating')).toBe(true);
    expect(world.n8n.log.length).toBeGreaterThan(1_000);
    const places = new Map<string, Buffer | string>(files);
    places.set('the database', world.n8n.databaseBytes()).set('the log', world.n8n.log);
    expect(findTraces([...secrets.values()], places)).toEqual([]);
  });

  it('what the editor reads back holds no secret', async () => {
    const list = JSON.stringify(await world.n8n.request('GET', '/rest/credentials?includeData=true'));
    expect(findTraces([...secrets.values()], new Map([['the list', list]]))).toEqual([]);
  });
});
