import { beforeAll, describe, expect, it } from '@jest/globals';
import Database from 'better-sqlite3';
import { z } from 'zod/v4';
import { n8nDefaults } from '../../src/n8n/instance.ts';
import { eventually } from '../support/eventually.ts';
import { Started } from '../support/started.ts';
import type { Execution, StoredWorkflow } from './n8n-server.ts';
import {
  ACCESS,
  accessWith,
  active,
  eventIds,
  heard,
  heardOfAll,
  instantOf,
  items,
  noOp,
  PATIENTLY,
  pausedAndResumed,
  taking,
  TRIGGER,
  trigger,
} from './triggered.ts';
import { chain, type CredentialReference } from './workflow.ts';
import { errorOf, outputOf, World } from './world.ts';

/** Tokens are short, so that they end while the test looks. */
const TTL_MS = 4_000;
const SLOWLY = 400_000;

const started = Started.inSuite();
let world: World;
let access: CredentialReference;

beforeAll(async () => {
  world = await started.add(World.start({ accessTokenTtlMs: TTL_MS }));
  access = await accessWith(world);
});

describe('a credential that ends and comes back', () => {
  it(
    'starts the workflow when it ends, and when it has recovered',
    async () => {
      const names = ['A', 'B', 'C', 'D', 'E', 'F'];
      const ids: string[] = [];
      for (const name of names) ids.push(await world.registered(name));
      const workflow = await active(world, trigger(access, ['credential.expired', 'credential.recovered']));
      await world.server.failNext({ kind: 'status', status: 503 }, 10_000);
      const expired = await heardOfAll(world, workflow, 'credential.expired', ids);
      expect(expired.map(({ name }) => name).sort()).toEqual(names);
      for (const item of expired) {
        expect(item).toMatchObject({ protocol: 'oauth2', state: 'expired.retrying', missedBefore: false, tags: [] });
      }
      await world.server.clearFaults();
      await heardOfAll(world, workflow, 'credential.recovered', ids);
      // Nobody hears of anything before it is there; how soon after is measured by `npm run bench -- n8n-trigger`.
      for (const { item, startedAtMs } of await heard(world, workflow)) {
        expect(startedAtMs).toBeGreaterThanOrEqual(instantOf(item));
      }
      await world.n8n.deactivate(workflow);
      for (const id of ids) await world.withEngine((engine) => engine.revoke(id));
    },
    SLOWLY,
  );
});

describe('an active workflow', () => {
  it(
    'hears of what another process wrote, each thing once, and no secret with it',
    async () => {
      const id = await world.registered('Elsewhere');
      const workflow = await active(world, trigger(access, ['credential.paused', 'credential.resumed']));
      const told: string[] = [];
      for (let round = 0; round < 3; round += 1) {
        told.push(...(await pausedAndResumed(world, id)));
        await eventually(async () => (await items(world, workflow)).length === told.length, PATIENTLY);
      }
      expect(eventIds(await items(world, workflow))).toEqual(told);
      const { headers } = await world.materialOf(id);
      const token = headers['authorization']?.replace('Bearer ', '') ?? '';
      for (const { raw } of await world.n8n.executionsOf(workflow)) {
        expect(raw).not.toContain(token);
        expect(raw).not.toContain(world.server.clients.machine.clientSecret);
      }
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'hears nothing once it is deactivated, and of all that happened meanwhile when it is activated again',
    async () => {
      const id = await world.registered('Deactivated');
      const workflow = await active(world, trigger(access, ['credential.paused', 'credential.resumed']));
      const first = await pausedAndResumed(world, id);
      await eventually(async () => (await items(world, workflow)).length === 2, PATIENTLY);
      await world.n8n.deactivate(workflow);
      const meanwhile = await pausedAndResumed(world, id);
      expect(await items(world, workflow)).toHaveLength(2);
      await world.n8n.activate(workflow);
      await eventually(async () => (await items(world, workflow)).length === 4, PATIENTLY);
      expect(eventIds(await items(world, workflow))).toEqual([...first, ...meanwhile]);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'hears, with the key of one credential, of that one alone',
    async () => {
      const [mine, other] = [await world.registered('Mine'), await world.registered('Not yours')];
      const workflow = await active(world, trigger(await accessWith(world, mine), ['*']));
      await pausedAndResumed(world, other);
      const told = await pausedAndResumed(world, mine);
      const heard = await eventually(async () => {
        const some = await items(world, workflow);
        return told.every((eventId) => eventIds(some).includes(eventId)) && some;
      }, PATIENTLY);
      expect(new Set(heard.map(({ credentialId }) => credentialId))).toEqual(new Set([mine]));
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );
});

describe('in the editor', () => {
  const shown = async (parameters: object, credential = access): Promise<Execution> => {
    const first = trigger(credential, ['credential.resumed'], parameters);
    return world.n8n.runManually(await world.n8n.createWorkflow(chain('Shown', [first, noOp])), TRIGGER);
  };

  it('shows the newest stored event at once', async () => {
    const told = await pausedAndResumed(world, await world.registered('Shown'));
    const [item, ...more] = outputOf(await shown({}), TRIGGER);
    expect(item).toMatchObject({ eventId: told[1], type: 'credential.resumed', name: 'Shown', missedBefore: false });
    expect(more).toEqual([]);
  });

  it('waits for the next one when none is stored that passes the filters', async () => {
    const id = await world.registered('Tagged');
    await world.withEngine((engine) => engine.update(id, { tags: ['waited-for'] }));
    const showing = shown({ filters: { tags: 'waited-for' } });
    const told = await eventually(async () => {
      const ids = await pausedAndResumed(world, id);
      return ids[1];
    }, PATIENTLY);
    const heard = outputOf(await showing, TRIGGER)[0];
    expect(heard).toMatchObject({ type: 'credential.resumed', name: 'Tagged', tags: ['waited-for'] });
    expect(told).toBeDefined();
  });

  it('says what is wrong with the access key, and what to do', async () => {
    const error = errorOf(await shown({}, await accessWith(world, null, ['use'])));
    expect(error.message).toMatch(/\[ERR_ACCESS_SCOPE_MISSING\]$/);
    expect(error.description).toContain('Issue an access key');
  });
});

describe('an access key that is refused', () => {
  it('keeps a workflow from being activated, with our code', async () => {
    const denied = await world.n8n.createCredential(ACCESS, 'Nonsense', { accessKey: 'clk_nonsense' });
    const workflow = await world.n8n.createWorkflow(chain('Denied', [trigger(denied, ['*']), noOp]));
    await expect(world.n8n.activate(workflow)).rejects.toThrow('ERR_ACCESS_DENIED');
  });

  it(
    'stops an active workflow with our code and what to do, and n8n goes on',
    async () => {
      const id = await world.registered('Taken back');
      const taken = await accessWith(world, id);
      const workflow = await active(world, trigger(taken, ['credential.paused']));
      const { database } = n8nDefaults({}, world.n8n.n8nFolder);
      const store = new Database(database);
      store.prepare('DELETE FROM access_keys WHERE credential_id = ?').run(id);
      store.close();
      await pausedAndResumed(world, id);
      await eventually(() => /Trigger.*failed with the error.*ERR_ACCESS_DENIED/.test(world.n8n.log), PATIENTLY);
      expect(await items(world, workflow)).toEqual([]);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );
});

describe('when n8n ends', () => {
  it(
    'nothing is repeated and nothing is lost by a graceful restart, not even under a running execution',
    async () => {
      const id = await world.registered('Graceful');
      const workflow = await active(world, trigger(access, ['credential.paused', 'credential.resumed']), taking(3));
      const told = await pausedAndResumed(world, id);
      await eventually(() => world.n8n.log.includes('Received trigger for workflow "On events"'), PATIENTLY);
      await world.n8n.stop({ keepFolder: true });
      told.push(...(await pausedAndResumed(world, id)));
      await world.restartN8n();
      told.push(...(await pausedAndResumed(world, id)));
      await eventually(async () => (await items(world, workflow)).length >= told.length, PATIENTLY);
      await world.restartN8n();
      told.push(...(await pausedAndResumed(world, id)));
      await eventually(async () => eventIds(await items(world, workflow)).includes(told.at(-1)), PATIENTLY);
      expect(eventIds(await items(world, workflow))).toEqual(told);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'nothing is lost by a kill, and no more is repeated than what its last executions had in hand',
    async () => {
      const id = await world.registered('Killed');
      const workflow = await active(world, trigger(access, ['credential.paused', 'credential.resumed']), taking(3));
      const before = await pausedAndResumed(world, id);
      await eventually(async () => (await items(world, workflow)).length === before.length, PATIENTLY);
      await eventually(() => isStored(workflow, before.at(-1)), PATIENTLY);
      const inHand = await pausedAndResumed(world, id);
      await eventually(async () => (await running(workflow)) > 0, { ...PATIENTLY, everyMs: 50 });
      await world.n8n.kill();
      const meanwhile = await pausedAndResumed(world, id);
      await world.restartN8n();
      const told = [...before, ...inHand, ...meanwhile];
      await eventually(async () => new Set(eventIds(await items(world, workflow))).size === told.length, PATIENTLY);
      const heard = eventIds(await items(world, workflow));
      expect(heard.filter((eventId) => before.includes(String(eventId)))).toEqual(before);
      expect(new Set(heard)).toEqual(new Set(told));
      expect(heard).toHaveLength(told.length);
      // The one that was killed had them, too.
      const statuses = (await world.n8n.executionsOf(workflow)).map(({ status }) => status);
      expect(statuses).toContain('crashed');
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'nothing is lost by a kill at the moment at which an execution ends',
    async () => {
      const id = await world.registered('Killed at the end');
      const workflow = await active(world, trigger(access, ['credential.paused', 'credential.resumed']));
      const before = await pausedAndResumed(world, id);
      await eventually(() => isStored(workflow, before.at(-1)), PATIENTLY);
      const last = await pausedAndResumed(world, id);
      await eventually(async () => (await items(world, workflow)).length > before.length, { ...PATIENTLY, everyMs: 5 });
      await world.n8n.kill();
      const meanwhile = await pausedAndResumed(world, id);
      await world.restartN8n();
      await eventually(() => isStored(workflow, meanwhile.at(-1)), PATIENTLY);
      const heard = eventIds(await items(world, workflow)).map(String);
      expect([...new Set(heard)].sort()).toEqual([...before, ...last, ...meanwhile].sort());
      const repeated = heard.filter((eventId, index) => heard.indexOf(eventId) !== index);
      expect(repeated.filter((eventId) => !last.includes(eventId))).toEqual([]);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );
});

const runningReply = z.object({ data: z.object({ results: z.array(z.object({ status: z.string() })) }) });

/** Executions of a workflow that have not ended. */
async function running(workflow: StoredWorkflow): Promise<number> {
  const filter = encodeURIComponent(JSON.stringify({ workflowId: workflow.id, status: ['running'] }));
  const reply = await world.n8n.request('GET', `/rest/executions?filter=${filter}&limit=100`);
  return runningReply.parse(reply).data.results.filter(({ status }) => status === 'running').length;
}

/** Whether the engine's store holds that the trigger of a workflow has dealt with an event. */
function isStored(workflow: StoredWorkflow, eventId = ''): boolean {
  const store = new Database(n8nDefaults({}, world.n8n.n8nFolder).database, { readonly: true });
  try {
    const place = store.prepare<[string], string>(
      `SELECT body FROM documents WHERE kind = 'follower' AND subject LIKE '%/' || ? || '/%'`,
    );
    const event = store.prepare<[string], number>(`SELECT seq FROM events WHERE event ->> 'eventId' = ?`);
    const { cursor } = z
      .object({ cursor: z.number().default(-1) })
      .parse(JSON.parse(place.pluck().get(workflow.id) ?? '{}'));
    return cursor >= (event.pluck().get(eventId) ?? Number.POSITIVE_INFINITY);
  } finally {
    store.close();
  }
}
