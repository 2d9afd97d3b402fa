import { z } from 'zod/v4';
import type { AccessScope } from '../../src/client.ts';
import { eventually } from '../support/eventually.ts';
import type { Execution, StoredWorkflow } from './n8n-server.ts';
import { chain, node, type CredentialReference, type WorkflowNode } from './workflow.ts';
import { outputOf, type World } from './world.ts';

/** An n8n with an engine in it, in whatever mode it runs. */
type Host = Pick<World, 'n8n' | 'withEngine'>;

/** The name of the trigger in every workflow here. */
export const TRIGGER = 'Trigger';
export const ACCESS = 'credentialLifecycleAccessApi';
/** Nothing that waits for this is about time; a busy machine may take its own. */
export const PATIENTLY = { timeoutMs: 140_000, everyMs: 250 };

const TYPE = 'n8n-nodes-credential-lifecycle.credentialLifecycleTrigger';

export type Item = Readonly<Record<string, unknown>>;

export const noOp = node({ name: 'End', type: 'n8n-nodes-base.noOp' });

/** Takes its time, with the execution running: n8n puts none of less than 65 s aside. */
export function taking(seconds: number): WorkflowNode {
  const parameters = { resume: 'timeInterval', amount: seconds, unit: 'seconds' };
  return { ...node({ name: 'Wait', type: 'n8n-nodes-base.wait', typeVersion: 1.1, parameters }), webhookId: 'waits' };
}

export function trigger(access: CredentialReference, events: readonly string[], parameters: object = {}): WorkflowNode {
  return node({ name: TRIGGER, type: TYPE, parameters: { events, ...parameters }, credential: access });
}

export async function accessWith(
  world: Host,
  credentialId: string | null = null,
  scopes: readonly AccessScope[] = ['list'],
): Promise<CredentialReference> {
  const { accessKey } = await world.withEngine((engine) => engine.grant(credentialId, { scopes }));
  return world.n8n.createCredential(ACCESS, 'Access', { accessKey });
}

export async function active(world: Host, first: WorkflowNode, then: WorkflowNode = noOp): Promise<StoredWorkflow> {
  const workflow = await world.n8n.createWorkflow(chain('On events', [first, then]));
  await world.n8n.activate(workflow);
  return workflow;
}

/** What the successful executions of a workflow began with, the oldest first. */
export async function items(world: Host, workflow: StoredWorkflow): Promise<Item[]> {
  return (await heard(world, workflow)).map(({ item }) => item);
}

export const eventIds = (some: readonly Item[]): unknown[] => some.map(({ eventId }) => eventId);

/** Pauses and resumes credentials from another process, as the command does. Returns the ids of the events of it. */
export async function pausedAndResumed(world: Host, ...ids: readonly string[]): Promise<string[]> {
  return world.withEngine(async (engine) => {
    const told: string[] = [];
    for (const id of ids) {
      for (const verb of ['pause', 'resume'] as const) {
        await engine[verb](id);
        told.push((await engine.lastEvent(id))?.eventId ?? '');
      }
    }
    return told;
  });
}

/** Waits until each of these credentials was heard of with an event of this type. */
export async function heardOfAll(
  world: Host,
  workflow: StoredWorkflow,
  type: string,
  ids: readonly string[],
): Promise<Item[]> {
  return eventually(async () => {
    const some = (await items(world, workflow)).filter((item) => item['type'] === type);
    return ids.every((id) => some.some(({ credentialId }) => credentialId === id)) && some;
  }, PATIENTLY);
}

/** Each item with the instant at which its execution began. */
export async function heard(world: Host, workflow: StoredWorkflow): Promise<{ item: Item; startedAtMs: number }[]> {
  const executions = (await world.n8n.executionsOf(workflow)).filter(({ status }) => status === 'success').reverse();
  return executions.flatMap((execution) =>
    outputOf(execution, TRIGGER).map((item) => ({ item, startedAtMs: startOf(execution) })),
  );
}

export const instantOf = (item: Item): number => Date.parse(z.string().parse(item['at']));

const started = z.object({ data: z.object({ startedAt: z.iso.datetime() }) });

function startOf({ raw }: Execution): number {
  return Date.parse(started.parse(JSON.parse(raw)).data.startedAt);
}
