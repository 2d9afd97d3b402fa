import type { AnyStateNode } from 'xstate';
import type { Outcome } from '../../../src/lifecycle/machine.ts';
import { credentialMachine, stateValueOf } from '../../../src/lifecycle/machine.ts';
import type { RotationOrder, RotationOutcome } from '../../../src/lifecycle/rotation/contract.ts';
import {
  openStepOf,
  ROTATION_STATES,
  ROTATION_STEPS,
  type RotationState,
} from '../../../src/lifecycle/rotation/progress.ts';
import { NOT_ROTATING, type RotationEvent } from '../../../src/lifecycle/rotation/region.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import { settled, stateOf } from './paths.ts';
import { INPUT, walk, type Path, type Snapshot, type Step, type Walked } from './walk.ts';

/** An end of an effect. */
export interface RotationDone {
  readonly type: `xstate.done.actor.${string}`;
  readonly output: RotationOutcome | Outcome;
}
export type RotationModelEvent = RotationEvent | { readonly type: 'credential.revoke' } | RotationDone;
export type RotationModelStep = Step<RotationModelEvent>;
export type RotationModelPath = Path<RotationModelEvent>;

/** Nobody can make the step, the store fails in the middle of it. */
export const INTERRUPTIONS = ['ERR_ROTATION_IN_PROGRESS', 'ERR_STORE_UNAVAILABLE'] as const;

/** In the credential's life, so that `grant.promoted` is seen to move it. */
const BEGUN_AT = 'valid.degraded';
const CLAIM = { credentialId: INPUT.credentialId, owner: 'model', fence: 1 } as const;

/** `setting.waiting`, `idle`. */
export function regionOf({ value: { rotation } }: Snapshot): string {
  return typeof rotation === 'string' ? rotation : Object.entries(rotation).flat().join('.');
}

/** The rotation as the record names it. */
export function rotationOf(snapshot: Snapshot): RotationState {
  const name = regionOf(snapshot).split('.')[0];
  const state = ROTATION_STATES.find((each) => each === name);
  if (!state) throw new Error(`no state of a rotation: ${regionOf(snapshot)}`);
  return state;
}

/** Interrupted before it was written that a rotation begins: the actor ends, and the record is where it was. */
export function isUntouched({ context: { interruption, rotating } }: Snapshot): boolean {
  return interruption !== null && rotating.order !== null;
}

export function isDone(event: RotationModelEvent): event is RotationDone {
  return event.type.startsWith('xstate.done.');
}

/** The region from an idle rotation of a valid credential, by every event that an engine can give it. */
export function rotationPaths(overlap: RotationOverlap): Walked<RotationModelEvent> {
  const fromState = restingAt('idle');
  return walk<RotationModelEvent>({ eventsOf: (snapshot) => eventsOf(snapshot, overlap), keyOf, fromState });
}

function restingAt(state: RotationState): Snapshot {
  return credentialMachine.resolveState({
    value: stateValueOf(BEGUN_AT, 'unknown', state),
    context: { ...INPUT, claim: null, attemptId: null, rotating: NOT_ROTATING, interruption: null },
  });
}

function keyOf(snapshot: Snapshot): string {
  const { rotating } = snapshot.context;
  const isRunning = snapshot.hasTag('busy');
  // A step under a claim that is held, one that has to take it, and one that begins a rotation are not the same.
  const right = isRunning ? [rotating.order?.direction ?? '', rotating.claim === null ? 'free' : 'held'] : [];
  return [regionOf(snapshot), stateOf(snapshot), ...right, isUntouched(snapshot) ? 'untouched' : ''].join(' ');
}

function eventsOf(snapshot: Snapshot, overlap: RotationOverlap): RotationModelEvent[] {
  if (isUntouched(snapshot)) return [];
  const at = regionOf(snapshot);
  const lifecycle = stateOf(snapshot);
  if (lifecycle === 'revoked.byUser.revoking')
    return [done('lifecycle.revoked.byUser.revoking', settled('revoked.byUser'))];
  if (lifecycle.startsWith('revoked.')) return [];
  if (snapshot.hasTag('busy')) return endsOf(snapshot, overlap).map((output) => done(`rotation.${at}`, output));
  return commandsAt(at);
}

function commandsAt(at: string): RotationModelEvent[] {
  const revoke = { type: 'credential.revoke' } as const;
  const begins: RotationEvent[] = [
    { type: 'credential.rotate', order: orderTo('forward'), claim: null },
    { type: 'credential.rollback', order: orderTo('back'), claim: null },
  ];
  // The scheduler ends an overlap, under the claim that it has taken; open steps are gone on with by whoever asks.
  if (at === 'overlapping.waiting') return [...begins, { type: 'rotation.resume', claim: CLAIM }, revoke];
  if (at.endsWith('.waiting')) return [{ type: 'rotation.resume', claim: null }, revoke];
  return [...begins, revoke];
}

function orderTo(direction: RotationOrder['direction']): RotationOrder {
  return { direction, reason: direction === 'back' ? 'rollbackRequested' : 'rotationRequested', registered: 0 };
}

/** Every end of a step, those that leave the rotation at rest first. */
function endsOf(snapshot: Snapshot, overlap: RotationOverlap): RotationOutcome[] {
  const step = rotationOf(snapshot);
  const { claim } = snapshot.context.rotating;
  const resting = ROTATION_STATES.map((state) => rotating(state, false));
  const goingOn = ROTATION_STEPS.filter((state) => !isNever(step, state)).map((state) => rotating(state, true));
  const granted = promotes(step, rotationAfter(overlap)) ? [rotating(rotationAfter(overlap), false, true)] : [];
  const codes = claim === null ? INTERRUPTIONS : INTERRUPTIONS.slice(1);
  const interrupted = codes.map(
    (code) => ({ outcome: 'interrupted', interruption: { code, message: 'model' } }) as const,
  );
  return [...resting, ...granted, ...interrupted, ...goingOn];
}

/** Whoever is refused in `setting` goes back to `creating`, and whoever fails there waits: no `set` follows on a `set` at once. */
function isNever(step: RotationState, next: RotationState): boolean {
  return step === 'setting' && next === 'setting';
}

/** Where a promotion leaves the rotation. */
export function rotationAfter(overlap: RotationOverlap): 'idle' | 'overlapping' {
  return overlap === 'none' ? 'idle' : 'overlapping';
}

export function promotes(step: RotationState, next: RotationState): boolean {
  return step === 'finishing' && openStepOf({ state: next }) === null && next !== 'failed';
}

function rotating(rotation: RotationState, goesOn: boolean, isGranted = false): RotationOutcome {
  const claim = goesOn ? CLAIM : null;
  const granted = isGranted ? settled('valid.fresh') : null;
  return { outcome: 'rotating', rotation, claim, resumed: false, granted, events: [] };
}

function done(state: string, output: RotationOutcome | Outcome): RotationDone {
  return { type: `xstate.done.actor.0.credential.${state}`, output };
}

/** Where an actor that is woken finds a rotation. */
export function restOf(state: RotationState): string {
  return regionOf(restingAt(state));
}

/** A transition by where it begins and what it answers, as the chart names it. */
export function transitionOf(from: string, event: RotationModelEvent): string {
  if (event.type === 'credential.revoke') return `: ${event.type}`;
  return `${from}: ${isDone(event) ? descriptionOf(event.output) : event.type}`;
}

function descriptionOf(output: RotationDone['output']): string {
  if (output.outcome !== 'rotating') return 'the step ended without touching the record';
  return `the rotation is ${output.rotation}${output.claim === null ? '' : ' and goes on'}`;
}

/** Every state of the region and every transition of it, out of the machine itself. */
export function chartOf(node: AnyStateNode = credentialMachine.getStateNodeById('credential.rotation')): {
  states: string[];
  transitions: string[];
} {
  const name = node.path.slice(1).join('.');
  const below = Object.values(node.states).map((child) => chartOf(child));
  const own = [...node.transitions.values()].flat();
  const transitions = own.map(({ description, eventType }) => `${name}: ${description ?? eventType}`);
  return {
    states: below.length === 0 ? [name] : below.flatMap(({ states }) => states),
    transitions: [...transitions, ...below.flatMap((child) => child.transitions)],
  };
}
