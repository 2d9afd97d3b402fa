import { STATE_PATHS, type StatePath } from '../../../src/lifecycle/credential.ts';
import type { MachineEvent, Outcome, Settled } from '../../../src/lifecycle/machine.ts';
import { INPUT, walk, type Path, type Snapshot, type Step, type Walked } from './walk.ts';

export interface DoneEvent {
  readonly type: `xstate.done.actor.${string}`;
  readonly output: Outcome;
}
export type ModelEvent = MachineEvent | DoneEvent;
export type ModelStep = Step<ModelEvent>;
export type ModelPath = Path<ModelEvent>;

/** Where an operation may leave a record: everything but the states that it is in under way. */
const ENDS = STATE_PATHS.filter((state) => !['refreshing.claimed', 'refreshing.sent'].includes(state));
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

export function settled(state: StatePath): Settled {
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
    // Who waits for a person sends nothing.
    const sends = claim !== null && claim.owner !== 'pending.authorizing';
    const claimed: Outcome[] = sends ? [{ outcome: 'claimed', claim, attemptId: 'model' }] : [];
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
  const authorized = { type: 'authorization.completed', settled: settled('valid.fresh') } as const;
  return [refresh, revoke, authorized, ...valid, ...hopeless];
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

/** The machine's lifecycle, from every state by every event. */
export function modelPaths(): Walked<ModelEvent> {
  return walk({ eventsOf, keyOf });
}
