import type { ActorLogic, SnapshotFrom } from 'xstate';
import { getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import { STATE_PATHS, type StatePath } from '../../../src/lifecycle/credential.ts';
import {
  credentialMachine,
  type MachineEvent,
  type MachineInput,
  type Outcome,
  type Settled,
} from '../../../src/lifecycle/machine.ts';

export type Snapshot = SnapshotFrom<typeof credentialMachine>;
export interface DoneEvent {
  readonly type: `xstate.done.actor.${string}`;
  readonly output: Outcome;
}
export type ModelEvent = MachineEvent | DoneEvent;
export interface ModelStep {
  readonly event: ModelEvent;
  /** Where the machine is after the event. */
  readonly snapshot: Snapshot;
}
export type ModelPath = readonly ModelStep[];

export const INPUT = { credentialId: 'cr_model', generation: 0, reason: 'registered' } as const;

/** Where an operation may leave a record: everything but the states that it is in under way, and the one that nothing leads to yet. */
const ENDS = STATE_PATHS.filter(
  (state) => !['refreshing.claimed', 'refreshing.sent', 'pending.authorizing'].includes(state),
);
const EXPIRIES = ['expired.needsUser', 'expired.retrying', 'pending.misconfigured'] as const;

/** The public name of the machine's state: `valid.fresh`. */
export function stateOf({ value }: Snapshot): string {
  const [[parent, child] = ['', '']] = Object.entries(value.lifecycle);
  return `${parent}.${
    typeof child === 'string'
      ? child
      : Object.entries(child ?? {})
          .flat()
          .join('.')
  }`;
}

function settled(state: StatePath): Settled {
  return { outcome: 'settled', state, generation: 1, reason: 'refreshed', events: [] };
}

function done(state: string, output: Outcome): DoneEvent {
  return { type: `xstate.done.actor.0.credential.lifecycle.${state}`, output };
}

const interrupted = (code: string): Outcome => ({ outcome: 'interrupted', interruption: { code, message: 'model' } });

/** What can happen in a state: every command and fact that the machine hears there, every end of the effect that runs. */
function eventsOf(snapshot: Snapshot): ModelEvent[] {
  const state = stateOf(snapshot);
  const { claim, interruption } = snapshot.context;
  // Interrupted before anything was written: the actor ends, and the record is where it was.
  if (interruption?.code === 'ERR_REFRESH_IN_PROGRESS') return [];
  if (state === 'refreshing.claimed') {
    const claimed: Outcome[] = claim ? [{ outcome: 'claimed', claim, attemptId: 'model' }] : [];
    return [...claimed, ...ENDS.map(settled), interrupted('ERR_REFRESH_IN_PROGRESS')].map((end) => done(state, end));
  }
  if (state === 'refreshing.sent') {
    const ends = [...ENDS.map(settled), interrupted('ERR_STORE_UNAVAILABLE')].map((end) => done(state, end));
    return [...ends, ...(claim?.owner.startsWith('valid.') === true ? testsOf(snapshot) : [])];
  }
  if (state === 'revoked.byUser.revoking') return [done(state, settled('revoked.byUser'))];
  return restingEventsOf(snapshot, state);
}

function restingEventsOf(snapshot: Snapshot, state: string): ModelEvent[] {
  const revoke = { type: 'credential.revoke' } as const;
  if (state.startsWith('revoked.')) return [revoke];
  // The claim's owner names where the refresh began: so a refresh from each state is a path of its own.
  const claim = { credentialId: INPUT.credentialId, owner: state, fence: 1 };
  const refresh = { type: 'credential.refresh', reason: 'refreshRequested', claim } as const;
  const expiries = EXPIRIES.map((end) => ({ type: 'expiry.reached', settled: settled(end) }) as const);
  const valid = state.startsWith('valid.') ? [...expiries, ...testsOf(snapshot)] : [];
  const hopeless = state === 'expired.needsUser' ? testsOf(snapshot).filter(({ type }) => type === 'test.failed') : [];
  return [refresh, revoke, ...valid, ...hopeless];
}

function testsOf({ value }: Snapshot): MachineEvent[] {
  const passed = value.health === 'healthy' ? [] : [{ type: 'test.passed' } as const];
  return value.health === 'failing' ? passed : [...passed, { type: 'test.failed' }];
}

function keyOf(snapshot: Snapshot): string {
  const { claim, interruption } = snapshot.context;
  const origin = snapshot.hasTag('busy') ? (claim?.owner ?? '') : '';
  return [stateOf(snapshot), snapshot.value.health, origin, interruption?.code ?? ''].join(' ');
}

/** The machine's lifecycle, from every state by every event; no path is the beginning of another. */
export function modelPaths(): { paths: ModelPath[]; states: number; transitions: number } {
  const options = {
    input: INPUT,
    // An end of an effect is an event of the actor's own, which its public type does not name.
    events: (snapshot: Snapshot) => eventsOf(snapshot) as MachineEvent[],
    serializeState: keyOf,
    serializeEvent: (event: MachineEvent) => JSON.stringify(event),
  };
  // The graph's types do not know machines that emit events.
  const logic = credentialMachine as unknown as ActorLogic<Snapshot, MachineEvent, MachineInput>;
  const shortest = new Map<string, ModelPath>();
  for (const { state, steps } of getShortestPaths(credentialMachine, options)) {
    // The first step of xstate/graph is the machine's own beginning; each holds the state after its event.
    const [, ...path] = steps.map(({ event, state: snapshot }) => ({ event, snapshot }));
    shortest.set(keyOf(state), path);
  }
  const map = getAdjacencyMap(logic, options);
  const from = new Map(Object.values(map).map(({ state, transitions }) => [keyOf(state), stepsOf(transitions)]));
  const all = [...from].flatMap(([key, steps]) => steps.map((step) => [...(shortest.get(key) ?? []), step]));
  const paths = withoutBeginnings(all.map((path) => toRest(path, from)));
  return { paths, states: from.size, transitions: all.length };
}

function stepsOf(transitions: object): ModelStep[] {
  const steps = Object.values<{ event: ModelEvent; state: Snapshot }>({ ...transitions });
  return steps.map(({ event, state: snapshot }) => ({ event, snapshot }));
}

/** No path ends under way. */
function toRest(path: ModelPath, from: ReadonlyMap<string, readonly ModelStep[]>): ModelPath {
  const last = path.at(-1)?.snapshot;
  const [next] = last?.hasTag('busy') === true ? (from.get(keyOf(last)) ?? []) : [];
  return next ? toRest([...path, next], from) : path;
}

function withoutBeginnings(paths: readonly ModelPath[]): ModelPath[] {
  const name = (path: ModelPath): string => path.map(({ event }) => JSON.stringify(event)).join('\n');
  const beginnings = new Set(paths.flatMap((path) => path.map((_, at) => name(path.slice(0, at)))));
  return paths.filter((path) => !beginnings.has(name(path)));
}
