import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { Started } from '../support/started.ts';
import type { StoredWorkflow } from './n8n-server.ts';
import type { N8nProcess } from './n8n-process.ts';
import { QueueWorld } from './queue-world.ts';
import {
  accessWith,
  active,
  eventIds,
  items,
  noOp,
  PATIENTLY,
  pausedAndResumed,
  taking,
  trigger,
} from './triggered.ts';
import type { CredentialReference, WorkflowNode } from './workflow.ts';

const SLOWLY = 400_000;
const PAUSES = ['credential.paused', 'credential.resumed'];
/** How soon n8n notices that a worker is gone. By itself it takes one to two minutes. */
const NOTICED_SOON = {
  QUEUE_WORKER_LOCK_DURATION: '6000',
  QUEUE_WORKER_LOCK_RENEW_TIME: '1000',
  QUEUE_WORKER_STALLED_INTERVAL: '2000',
};

const started = Started.inSuite(120_000);
let world: QueueWorld;
let access: CredentialReference;

beforeAll(async () => {
  world = await started.add(QueueWorld.start(NOTICED_SOON));
  access = await accessWith(world);
}, 400_000);

function listening(events: readonly string[] = PAUSES, then: WorkflowNode = noOp): Promise<StoredWorkflow> {
  return active(world, trigger(access, events), then);
}

/** The executions that a process has begun as a worker, the first one first. */
function begunBy({ log }: Pick<N8nProcess, 'log'>): string[] {
  return [...log.matchAll(/Worker started execution (\d+)/g)].map(([, id = '']) => id);
}

/** Each execution of a workflow with its end, the oldest first. */
async function endsOf(workflow: StoredWorkflow): Promise<{ id: string; status: string }[]> {
  const executions = await world.n8n.executionsOf(workflow);
  return executions.map(({ id, status }) => ({ id, status })).reverse();
}

async function heardOf(workflow: StoredWorkflow, told: readonly string[]): Promise<void> {
  await eventually(async () => {
    const heard = eventIds(await items(world, workflow));
    return told.every((eventId) => heard.includes(eventId));
  }, PATIENTLY);
}

describe('the trigger in queue mode with two workers', () => {
  it(
    'starts one execution for each event, on a worker, whichever process wrote it',
    async () => {
      const ids: string[] = [];
      for (const name of ['A', 'B', 'C', 'D', 'E', 'F']) ids.push(await world.registered(name));
      const workflow = await listening([...PAUSES, 'credential.registered']);
      const told = await pausedAndResumed(world, ...ids);
      // This one is written by a worker: the first use of a credential of n8n's adopts it.
      const calls = await world.calling(await world.oauth2('api'));
      expect(await calls.run(1)).toMatchObject({ status: 200 });
      const { credentials } = await world.withEngine((engine) => engine.list());
      const adopted = credentials.find(({ origin }) => origin === 'adopted')?.id ?? '';
      await heardOf(workflow, told);
      const heard = await eventually(async () => {
        const some = await items(world, workflow);
        return some.some(({ type }) => type === 'credential.registered') && some;
      }, PATIENTLY);
      const [registered, ...more] = heard.filter(({ type }) => type === 'credential.registered');
      expect([registered, more]).toMatchObject([{ credentialId: adopted }, []]);
      expect(eventIds(heard).sort()).toEqual([...told, registered?.['eventId']].sort());
      const ends = await endsOf(workflow);
      expect(ends.filter(({ status }) => status !== 'success')).toEqual([]);
      const begun = world.workers.flatMap(begunBy);
      expect(ends.filter(({ id }) => begun.filter((one) => one === id).length !== 1)).toEqual([]);
      expect(begunBy(world.n8n)).toEqual([]);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'repeats nothing and loses nothing by a graceful restart of the main process, not even under an execution on a worker',
    async () => {
      const id = await world.registered('Graceful');
      const workflow = await listening(PAUSES, taking(3));
      const before = world.workers.flatMap(begunBy).length;
      const told = await pausedAndResumed(world, id);
      await eventually(() => world.workers.flatMap(begunBy).length > before, PATIENTLY);
      await world.n8n.stop({ keepFolder: true });
      told.push(...(await pausedAndResumed(world, id)));
      await world.restartMain();
      told.push(...(await pausedAndResumed(world, id)));
      await heardOf(workflow, told);
      await world.restartMain();
      told.push(...(await pausedAndResumed(world, id)));
      await heardOf(workflow, told);
      expect(eventIds(await items(world, workflow))).toEqual(told);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'loses nothing when the main process is killed, and repeats no more than what its executions had in hand',
    async () => {
      const id = await world.registered('Killed main');
      const workflow = await listening(PAUSES, taking(5));
      const before = world.workers.flatMap(begunBy).length;
      const inHand = await pausedAndResumed(world, id);
      await eventually(() => world.workers.flatMap(begunBy).length > before, PATIENTLY);
      await world.n8n.kill();
      const meanwhile = await pausedAndResumed(world, id);
      await world.restartMain();
      const last = await pausedAndResumed(world, id);
      await heardOf(workflow, [...inHand, ...meanwhile, ...last]);
      const heard = eventIds(await items(world, workflow)).map(String);
      expect([...new Set(heard)].sort()).toEqual([...inHand, ...meanwhile, ...last].sort());
      const repeated = heard.filter((eventId, index) => heard.indexOf(eventId) !== index);
      expect(repeated.filter((eventId) => !inHand.includes(eventId))).toEqual([]);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );

  it(
    'loses the one execution that a worker was killed in, and neither repeats nor holds up any other',
    async () => {
      const id = await world.registered('Killed worker');
      const workflow = await listening(PAUSES, taking(8));
      const before = world.workers.map((worker) => begunBy(worker).length);
      await world.withEngine((engine) => engine.pause(id));
      const first = await world.withEngine(async (engine) => (await engine.lastEvent(id))?.eventId);
      const victim = await eventually(
        () => world.workers.find((worker, index) => begunBy(worker).length > (before[index] ?? 0)),
        { ...PATIENTLY, everyMs: 50 },
      );
      const struck = begunBy(victim).at(-1);
      await victim.kill();
      const told = (await pausedAndResumed(world, id)).slice(1);
      await heardOf(workflow, told);
      expect(eventIds(await items(world, workflow))).toEqual(told);
      const ends = await endsOf(workflow);
      expect(ends.filter(({ status }) => status !== 'success')).toEqual([{ id: struck, status: expect.any(String) }]);
      // Its event counts as dealt with, as when an execution fails: neither a restart nor the next event brings it again.
      await world.restartMain();
      told.push(...(await pausedAndResumed(world, id)));
      await heardOf(workflow, told);
      expect(eventIds(await items(world, workflow))).toEqual(told);
      expect(told).not.toContain(first);
      await world.n8n.deactivate(workflow);
    },
    SLOWLY,
  );
});
