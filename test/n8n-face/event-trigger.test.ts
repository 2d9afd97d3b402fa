import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ManualExecutionCancelledError,
  SystemShutdownExecutionCancelledError,
  UnexpectedError,
  type INodeExecutionData,
  type IRun,
  type ITriggerFunctions,
  type ITriggerResponse,
} from 'n8n-workflow';
import type { OperatorHandle } from '../../src/client.ts';
import { StorageError } from '../../src/errors.ts';
import { triggerOnEvents } from '../../src/n8n/event-trigger.ts';
import type { Outbox } from '../../src/outbox/outbox.ts';
import { OutboxWorld } from '../outbox/outbox-world.ts';
import { eventually } from '../support/eventually.ts';
import { FakeClient, FakeCredential } from './fake-client.ts';

type Deferred<T> = ReturnType<typeof Promise.withResolvers<T>>;

interface Emitted {
  readonly items: readonly INodeExecutionData[];
  readonly ended: Deferred<IRun> | undefined;
}

let world: OutboxWorld;
let emitted: Emitted[];
let failed: Error[];
let responses: ITriggerResponse[];
let workflows = 0;

beforeEach(() => {
  world = new OutboxWorld();
  emitted = [];
  failed = [];
  responses = [];
  workflows += 1;
});
afterEach(async () => {
  for (const { ended } of emitted) ended?.reject(new SystemShutdownExecutionCancelledError('1'));
  for (const { closeFunction } of responses) await closeFunction?.();
});

class ExecutionNotFoundError extends UnexpectedError {}

/** What n8n gives a trigger. */
function context(parameters: object = {}, mode = 'trigger', activation = 'activate', accessKey = 'right key') {
  const given: Record<string, unknown> = { events: ['*'], filters: {}, startFrom: 'now', ...parameters };
  const functions = {
    getCredentials: async () => ({ accessKey }),
    getMode: () => mode,
    getActivationMode: () => activation,
    getNodeParameter: (name: string) => given[name],
    getInstanceId: () => 'instance',
    getWorkflow: () => ({ id: `workflow-${String(workflows)}`, active: true }),
    getNode: () => ({ id: 'node', name: 'Trigger', type: 'trigger', typeVersion: 1, position: [0, 0], parameters: {} }),
    helpers: { createDeferredPromise: () => Promise.withResolvers<IRun>() },
    emit: ([items = []]: INodeExecutionData[][], _response: unknown, ended?: Deferred<IRun>) => {
      emitted.push({ items, ended });
    },
    emitError: (error: Error) => failed.push(error),
  };
  return functions as unknown as ITriggerFunctions;
}

/** An engine of which only the events are asked for. */
function clientOf(outbox: Outbox): FakeClient {
  const unused = () => Promise.reject(new Error('not asked for'));
  const verbs = ['list', 'get', 'use', 'test', 'refresh', 'rotate', 'rollback', 'revoke', 'pause', 'resume'];
  const handle: unknown = {
    ...Object.fromEntries(verbs.map((verb) => [verb, unused])),
    follow: outbox.follow.bind(outbox),
    newestEvent: outbox.newest.bind(outbox),
  };
  return new FakeClient(new FakeCredential(), handle as OperatorHandle);
}

async function begun(...given: Parameters<typeof context>): Promise<ITriggerResponse> {
  const response = await triggerOnEvents(context(...given), async () => clientOf(world.restarted()));
  responses.push(response);
  return response;
}

/** Time passes until something is so. */
async function untilEmitted(count: number): Promise<void> {
  await eventually(async () => {
    await world.clock.advance(500);
    return emitted.length >= count;
  });
}

const stored = () => world.records.getFollower(`n8n/instance/workflow-${String(workflows)}/node`);

describe('the trigger of an active workflow', () => {
  it('emits one execution for what came together, and nothing but what an event tells', async () => {
    await begun();
    await world.written(2);
    await untilEmitted(1);
    expect(emitted[0]?.items.map(({ json }) => json)).toEqual(
      ['ev_1', 'ev_2'].map((eventId) => ({
        ...{ eventId, type: 'credential.expired', credentialId: 'cr_1', name: null, ownerId: 'alice', tags: [] },
        ...{ protocol: 'oauth2', state: 'expired.retrying', reason: 'expiryReached', generation: 1 },
        ...{ at: '2026-03-01T12:00:00.000Z', endsAt: null, missedBefore: false },
      })),
    );
  });

  it('has the filters applied before anything is emitted', async () => {
    await begun({ events: ['credential.recovered'], filters: { ownerId: 'bob', tags: '' } });
    await world.written(3);
    await world.written(1, { type: 'credential.recovered' });
    const [wanted] = await world.written(1, { type: 'credential.recovered', ownerId: 'bob' });
    await untilEmitted(1);
    expect(emitted.flatMap(({ items }) => items)).toMatchObject([{ json: { eventId: wanted } }]);
  });

  it('begins with the oldest kept event when told so', async () => {
    await world.written(1);
    await begun({ startFrom: 'oldest' });
    await untilEmitted(1);
    expect(emitted[0]?.items).toHaveLength(1);
  });

  it.each([
    [
      'failed or succeeded',
      (ended: Deferred<IRun>) => {
        ended.resolve({} as IRun);
      },
    ],
    [
      'was cancelled by a person',
      (ended: Deferred<IRun>) => {
        ended.reject(new ManualExecutionCancelledError('1'));
      },
    ],
    [
      'was refused by n8n',
      (ended: Deferred<IRun>) => {
        ended.reject(new ExecutionNotFoundError('No active execution'));
      },
    ],
  ])('goes on after an execution that %s', async (_how, end) => {
    await begun();
    await world.written(1);
    await untilEmitted(1);
    if (emitted[0]?.ended) end(emitted[0].ended);
    await eventually(async () => (await stored())?.cursor === 1);
    await world.written(1);
    await untilEmitted(2);
    expect(emitted.map(({ items }) => items[0]?.json['eventId'])).toEqual(['ev_1', 'ev_2']);
  });

  it('emits again what n8n could not begin to execute', async () => {
    const response = await begun();
    await world.written(1);
    await untilEmitted(1);
    emitted[0]?.ended?.reject(new Error('the database of n8n is away'));
    // Its pause runs on the clock of the system.
    await eventually(() => emitted.length === 2);
    expect(emitted[1]?.items).toEqual(emitted[0]?.items);
    expect((await stored())?.cursor).toBe(0);
    emitted[1]?.ended?.resolve({} as IRun);
    await response.closeFunction?.();
    expect((await stored())?.cursor).toBe(1);
  });

  it('keeps its place before an execution that the end of n8n cut off', async () => {
    const response = await begun();
    await world.written(1);
    await untilEmitted(1);
    emitted[0]?.ended?.reject(new SystemShutdownExecutionCancelledError('1'));
    await response.closeFunction?.();
    expect((await stored())?.cursor).toBe(0);
  });
});

describe('a trigger that cannot begin', () => {
  it.each(['activate', 'update', 'init'])('says so when its key is refused (%s)', async (activation) => {
    await expect(begun({}, 'trigger', activation, 'wrong key')).rejects.toMatchObject({
      message: expect.stringMatching(/\[ERR_ACCESS_DENIED\]$/),
      description: expect.stringContaining('credlife grant'),
    });
  });

  it.each([[[]], [['credential.exploded']], [['credential.expired', 7]], ['*']])(
    'says so when its events are %j',
    async (events) => {
      await expect(begun({ events })).rejects.toMatchObject({
        message: expect.stringContaining('ERR_CONFIG_MALFORMED'),
      });
    },
  );

  it('says so to a person when the store is away, and waits for it when n8n starts', async () => {
    world.records.away = new StorageError('ERR_STORE_UNAVAILABLE', 'Away.');
    await expect(begun()).rejects.toMatchObject({ message: expect.stringContaining('ERR_STORE_UNAVAILABLE') });
    await begun({}, 'trigger', 'init');
    world.records.away = null;
    await eventually(async () => (await stored()) !== null);
    await world.written(1);
    await untilEmitted(1);
  });
});

describe('the trigger in the editor', () => {
  it('shows the newest event that passes the filters, and has no place', async () => {
    const [wanted] = await world.written(1, { ownerId: 'bob' });
    await world.written(2);
    const { manualTriggerFunction } = await begun({ filters: { ownerId: 'bob' } }, 'manual', 'manual');
    await manualTriggerFunction?.();
    expect(emitted).toMatchObject([{ items: [{ json: { eventId: wanted } }] }]);
    expect(await stored()).toBeNull();
  });

  it('ends in peace when the person does not want to wait any more', async () => {
    const { manualTriggerFunction, closeFunction } = await begun({}, 'manual', 'manual');
    const waiting = manualTriggerFunction?.();
    await closeFunction?.();
    await expect(waiting).resolves.toBeUndefined();
    expect([emitted, failed]).toEqual([[], []]);
  });

  it('says what is wrong with the key', async () => {
    const { manualTriggerFunction } = await begun({}, 'manual', 'manual', 'wrong key');
    await expect(manualTriggerFunction?.()).rejects.toMatchObject({
      message: expect.stringContaining('ERR_ACCESS_DENIED'),
    });
  });
});
