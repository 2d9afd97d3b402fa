import type { ActorLogic, SnapshotFrom } from 'xstate';
import { getAdjacencyMap, getShortestPaths } from 'xstate/graph';
import { credentialMachine, type MachineEvent, type MachineInput } from '../../../src/lifecycle/machine.ts';

export type Snapshot = SnapshotFrom<typeof credentialMachine>;
export interface Step<E> {
  readonly event: E;
  /** Where the machine is after the event. */
  readonly snapshot: Snapshot;
}
export type Path<E> = readonly Step<E>[];
export interface Walked<E> {
  readonly paths: Path<E>[];
  readonly states: number;
  readonly transitions: number;
}

export const INPUT = { credentialId: 'cr_model', generation: 0, reason: 'registered' } as const;

/** What is walked: what can happen in a state, and which states are one. */
export interface Model<E> {
  readonly eventsOf: (snapshot: Snapshot) => E[];
  readonly keyOf: (snapshot: Snapshot) => string;
  /** Where the walk begins; the machine's own beginning by default. */
  readonly fromState?: Snapshot;
}

/** The machine from every state by every event; no path is the beginning of another. */
export function walk<E extends { readonly type: string }>({ eventsOf, keyOf, fromState }: Model<E>): Walked<E> {
  const options = {
    input: INPUT,
    // An end of an effect is an event of the actor's own, which its public type does not name.
    events: (snapshot: Snapshot) => eventsOf(snapshot) as unknown as MachineEvent[],
    serializeState: keyOf,
    serializeEvent: (event: MachineEvent) => JSON.stringify(event),
    ...(fromState && { fromState }),
  };
  // The graph's types do not know machines that emit events.
  const logic = credentialMachine as unknown as ActorLogic<Snapshot, MachineEvent, MachineInput>;
  const shortest = new Map<string, Path<E>>();
  for (const { state, steps } of getShortestPaths(logic, options)) {
    // The first step of xstate/graph is the machine's own beginning; each holds the state after its event.
    const [, ...path] = steps.map(({ event, state: snapshot }) => ({ event: event as unknown as E, snapshot }));
    shortest.set(keyOf(state), path);
  }
  const map = getAdjacencyMap(logic, options);
  const from = new Map(Object.values(map).map(({ state, transitions }) => [keyOf(state), stepsOf<E>(transitions)]));
  const all = [...from].flatMap(([key, steps]) => steps.map((step) => [...(shortest.get(key) ?? []), step]));
  const paths = withoutBeginnings(all.map((path) => toRest(path, from, keyOf)));
  return { paths, states: from.size, transitions: all.length };
}

function stepsOf<E>(transitions: object): Step<E>[] {
  const steps = Object.values<{ event: E; state: Snapshot }>({ ...transitions });
  return steps.map(({ event, state: snapshot }) => ({ event, snapshot }));
}

/** No path ends under way. */
function toRest<E>(path: Path<E>, from: ReadonlyMap<string, Path<E>>, keyOf: Model<E>['keyOf']): Path<E> {
  const last = path.at(-1)?.snapshot;
  const [next] = last?.hasTag('busy') === true ? (from.get(keyOf(last)) ?? []) : [];
  return next ? toRest([...path, next], from, keyOf) : path;
}

function withoutBeginnings<E>(paths: readonly Path<E>[]): Path<E>[] {
  const name = (path: Path<E>): string => path.map(({ event }) => JSON.stringify(event)).join('\n');
  const beginnings = new Set(paths.flatMap((path) => path.map((_, at) => name(path.slice(0, at)))));
  return paths.filter((path) => !beginnings.has(name(path)));
}

/** A command or fact, with the ends of the effects that it starts. */
export function operationsOf<E>(path: Path<E>): Step<E>[][] {
  const operations: Step<E>[][] = [];
  let isBusy = false;
  for (const step of path) {
    if (isBusy) operations.at(-1)?.push(step);
    else operations.push([step]);
    isBusy = step.snapshot.hasTag('busy');
  }
  return operations;
}
