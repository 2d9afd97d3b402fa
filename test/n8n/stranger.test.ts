import { beforeAll, describe, expect, it } from '@jest/globals';
import type { CredentialSummary } from '../../src/client.ts';
import { Started } from '../support/started.ts';
import type { CredentialTestResult, Execution } from './n8n-server.ts';
import { findTraces } from './traces.ts';
import { chain, type CredentialReference, manualTrigger, node } from './workflow.ts';
import { type Calls, errorOf, World } from './world.ts';

const NODE_TYPE = 'n8n-nodes-credential-lifecycle.credentialLifecycle';
const UNKNOWN_ID = 'cr_00000000000000000000';
const UNKNOWN_KEY = `clk_${'0'.repeat(20)}_${'A'.repeat(43)}`;

const started = Started.inSuite();
let world: World;
/** Entered in n8n by its owner; the stranger knows everything of it but its secret. */
let victim: CredentialReference;
let victimCalls: Calls;
let victimId: string;
/** Kept in the engine; the stranger knows its id. */
let managedId: string;
let managedKey: string;
const executions: Execution[] = [];

beforeAll(async () => {
  world = await started.add(World.start());
  victim = await world.lifecycleOAuth2();
  victimCalls = await world.calling(victim);
  expect(await victimCalls.run(1)).toMatchObject({ status: 200 });
  [victimId = ''] = await world.adoptedIds();
  managedId = await world.registered('Managed');
  managedKey = await keyFor(managedId);
});

function keyFor(id: string | null): Promise<string> {
  return world.withEngine(async (engine) => (await engine.grant(id, { scopes: ['use'] })).accessKey);
}

function summaryOf(id: string): Promise<CredentialSummary> {
  return world.withEngine((engine) => engine.get(id));
}

/** All that a stranger is shown: by an execution, by one that goes on after errors, and by the test. */
interface Answer {
  readonly error: unknown;
  readonly test: CredentialTestResult;
}

async function answerTo(type: string, data: Record<string, unknown>, count = 1): Promise<Answer> {
  const credential = await world.n8n.createCredential(type, 'A guess', data);
  const calls = await world.calling(credential);
  await calls.run(count);
  const execution = await calls.lastExecution();
  executions.push(execution);
  expect(execution.status).toBe('error');
  const { message, description } = errorOf(execution);
  return { error: { message, description }, test: await world.n8n.testCredential(credential, data) };
}

describe('a stranger with the right client id and a wrong secret', () => {
  it('gets the very answer that a client gets that does not exist, and no token', async () => {
    const known = world.form({ clientSecret: 'a-guess-of-the-secret' });
    const unknown = world.form({ clientId: 'no-such-client', clientSecret: 'a-guess-of-the-secret' });
    const before = await world.server.tokenRequests();
    const answers = [await answerTo('lifecycleOAuth2Api', known), await answerTo('lifecycleOAuth2Api', unknown)];
    expect(answers[0]).toEqual({
      error: { message: expect.stringMatching(/\[ERR_OAUTH2_INVALID_CLIENT\]$/), description: expect.any(String) },
      test: { status: 'Error', message: expect.stringContaining('[ERR_OAUTH2_INVALID_CLIENT]') },
    });
    expect(answers[1]).toEqual(answers[0]);
    const since = (await world.server.tokenRequests()).slice(before.length);
    expect(since.length).toBeGreaterThan(0);
    expect(since.filter(({ outcome }) => outcome === 'issued')).toEqual([]);
  });

  it('does the owner no harm, however often he tries: no failure, no pause, no refused app', async () => {
    const before = await summaryOf(victimId);
    for (let attempt = 0; attempt < 8; attempt += 1) {
      await answerTo('lifecycleOAuth2Api', world.form({ clientSecret: `guess-${String(attempt)}` }), 20);
    }
    expect(await summaryOf(victimId)).toEqual(before);
    expect(before).toMatchObject({ state: 'valid.fresh', failure: null });
    // Its next refresh, which nobody asked for by hand, passes at once.
    await world.server.revokeAccessTokens('machine');
    const requests = await world.during(async () => {
      expect(await victimCalls.run(20)).toMatchObject({ status: 200 });
    });
    expect(requests.token).toBe(1);
    expect(await summaryOf(victimId)).toMatchObject({ state: 'valid.fresh', failure: null, generation: 2 });
  });

  it('leaves nothing in the owner’s way for a new credential of the same client either', async () => {
    const another = await world.calling(await world.lifecycleOAuth2({ scope: '' }));
    expect(await another.run(1)).toMatchObject({ status: 200 });
  });

  it('sees the trouble of his own credential, and not which other one was refused before it', async () => {
    const form = world.form({ clientSecret: 'the-same-guess' });
    const first = await answerTo('lifecycleOAuth2Api', form);
    const second = await answerTo('lifecycleOAuth2Api', { ...form, scope: '' });
    expect(JSON.stringify([first, second])).not.toMatch(/ad_[0-9a-f]{8}/);
  });
});

describe('a stranger with a guess for Managed Credential', () => {
  it('gets one answer, whether the id, the key or neither exists', async () => {
    const otherId = await world.registered('Another');
    const guesses = [
      { credentialId: UNKNOWN_ID, accessKey: UNKNOWN_KEY },
      { credentialId: managedId, accessKey: '' },
      { credentialId: managedId, accessKey: UNKNOWN_KEY },
      { credentialId: managedId, accessKey: await keyFor(otherId) },
      { credentialId: otherId, accessKey: managedKey },
      { credentialId: UNKNOWN_ID, accessKey: managedKey },
      { credentialId: UNKNOWN_ID, accessKey: await keyFor(null) },
      // What a person adopted through the form belongs to whoever has its secret.
      { credentialId: victimId, accessKey: managedKey },
    ];
    const before = [await summaryOf(managedId), await summaryOf(victimId)];
    const requests = await world.during(async () => {
      const [first, ...others] = await inTurn(guesses, (guess) => answerTo('managedCredentialApi', guess));
      expect(first).toMatchObject({ error: { message: expect.stringMatching(/\[ERR_ACCESS_DENIED\]$/) } });
      for (const answer of others) expect(answer).toEqual(first);
    });
    expect(requests).toEqual({ token: 0, introspection: 0, resource: 0 });
    expect([await summaryOf(managedId), await summaryOf(victimId)]).toEqual(before);
  });
});

describe('a stranger with a guess for Credential Lifecycle Access', () => {
  const OPERATIONS = ['list', 'get', 'use', 'test', 'refresh', 'rotate', 'revoke'];

  async function run(accessKey: string, operation: string, credentialId: string): Promise<unknown> {
    const credential = await world.n8n.createCredential('credentialLifecycleAccessApi', 'A guess', { accessKey });
    const parameters = {
      ...{ resource: 'credential', operation, returnAll: true, filters: {} },
      credentialId: { __rl: true, mode: 'id', value: credentialId },
    };
    const lifecycle = node({ name: 'Lifecycle', type: NODE_TYPE, parameters, credential });
    const workflow = await world.n8n.createWorkflow(chain(`A guess at ${operation}`, [manualTrigger(), lifecycle]));
    const execution = await world.n8n.runManually(workflow);
    executions.push(execution);
    const { message, description } = errorOf(execution);
    return { message, description };
  }

  it.each(OPERATIONS)('gets one answer to %s, for what exists and for what does not', async (operation) => {
    const answers = await inTurn([managedId, victimId, UNKNOWN_ID], (id) => run(UNKNOWN_KEY, operation, id));
    expect(answers[0]).toMatchObject({ message: expect.stringContaining('ERR_ACCESS_DENIED') });
    for (const answer of answers) expect(answer).toEqual(answers[0]);
  });

  it('gets no further with the key of one credential than with none', async () => {
    const own = await world.withEngine(async (engine) => {
      const scopes = ['use', 'list', 'test', 'refresh', 'rotate', 'revoke'] as const;
      return (await engine.grant(managedId, { scopes })).accessKey;
    });
    for (const operation of OPERATIONS.slice(1)) {
      const [about, ...rest] = await inTurn([victimId, UNKNOWN_ID], (id) => run(own, operation, id));
      expect(about).toMatchObject({ message: expect.stringContaining('ERR_ACCESS_DENIED') });
      for (const answer of rest) expect(answer).toEqual(about);
    }
    expect(await summaryOf(victimId)).toMatchObject({ state: 'valid.fresh', failure: null });
  });
});

it('nothing that the stranger was shown holds a token, a secret or a key of anybody else', async () => {
  const { clientSecret } = world.server.clients.machine;
  const tokens = await inTurn([victimId, managedId], async (id) => {
    return (await world.materialOf(id)).headers['authorization']?.replace('Bearer ', '') ?? '';
  });
  const secrets = [clientSecret, ...tokens];
  expect(secrets.every((secret) => secret.length >= 20)).toBe(true);
  expect(executions.length).toBeGreaterThan(40);
  const places = new Map(executions.map(({ id, raw }) => [id, raw]));
  expect(findTraces(secrets, places)).toEqual([]);
});

/** n8n answers one after the other: what each is shown must not depend on the others. */
async function inTurn<T, R>(values: readonly T[], ask: (value: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  for (const value of values) answers.push(await ask(value));
  return answers;
}
