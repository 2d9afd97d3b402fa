import type { InspectionEvent } from 'xstate';
import type { CredentialEngine } from '../../../src/engine.ts';
import { StorageError } from '../../../src/errors.ts';
import type { CredentialRecord } from '../../../src/lifecycle/credential.ts';
import type { RotationState } from '../../../src/lifecycle/rotation/progress.ts';
import type { RotationOutcome } from '../../../src/lifecycle/rotation/contract.ts';
import { rejectionOf } from '../../support/codes.ts';
import { LEASE_MS } from '../../../src/lifecycle/held-claim.ts';
import type { OtherHolder } from './other-holder.ts';
import { stateOf } from './paths.ts';
import type { RotatingDriver } from './rotation-driver.ts';
import { leaveFacts, leavePrevious, leaveRotationAt, naturalEnd } from './rotation-facts.ts';
import {
  isDone,
  isUntouched,
  regionOf,
  restOf,
  rotationOf,
  transitionOf,
  type RotationDone,
  type RotationModelPath,
  type RotationModelStep,
} from './rotation-paths.ts';
import type { ModelClock } from './model-clock.ts';
import { operationsOf, type Snapshot } from './walk.ts';
import type { Interventions } from './watched-store.ts';

export interface RotationWorld {
  readonly engine: CredentialEngine;
  readonly clock: ModelClock;
  readonly driver: RotatingDriver;
  readonly other: OtherHolder;
  readonly interventions: Interventions;
  /** Runs what is due, as a keeper does, until `isOver`. */
  readonly keep: (isOver: () => boolean) => Promise<void>;
  /** What is to happen in the steps to come, and the region's states that the engine's machine was seen in. */
  script: (() => void)[];
  seen: string[];
  /** The region's transitions that the engine's machine has taken, as `transitionOf` names them. */
  readonly walked: Set<string>;
  /** Which steps ended by what their own driver did; the rest by another holder. */
  readonly natural: Set<string>;
}

const EFFECTS = ['createCandidate', 'setCandidate', 'testCandidate', 'finishRotation', 'retirePrevious'];

/** Arms the script of each step as it begins, and keeps what the machine was seen to do. */
export function watch(world: RotationWorld, event: InspectionEvent): void {
  if (event.type === '@xstate.actor') {
    const { src } = event.actorRef as { readonly src?: unknown };
    if (typeof src === 'string' && EFFECTS.includes(src)) world.script.shift()?.();
  }
  if (event.type !== '@xstate.snapshot' || event.actorRef.sessionId !== event.rootId) return;
  const { type } = event.event;
  if (!/^xstate\.(init|stop)$/.test(type)) world.seen.push(placeOf(event.snapshot as unknown as Snapshot));
}

/** Where the rotation is, and the credential's life. */
function placeOf(snapshot: Snapshot): string {
  return `${regionOf(snapshot)} of ${stateOf(snapshot)}`;
}

/** Lives a path on the real engine; after each operation the stored record is where the machine is. */
export async function replayRotation(world: RotationWorld, path: RotationModelPath): Promise<number> {
  const { engine, other, clock } = world;
  const { credential } = await engine.register({
    ...{ protocol: 'scripted', name: 'Model', config: {}, secret: {}, test: false },
  });
  const { id } = credential;
  await other.settle(id, 'valid.degraded');
  const operations = operationsOf(path);
  for (const operation of operations) {
    const before = await other.read(id);
    world.seen = [];
    world.script = scriptOf(world, id, before, operation);
    await run(world, before, operation);
    await compare(world, before, operation);
    clock.advance(LEASE_MS + 1_000);
  }
  // Nothing of this path may be due in the next one.
  await other.change(id, { refreshDueAt: null, rotationDueAt: null, testDueAt: null, noticeDueAt: null });
  return operations.length;
}

async function compare(
  { other, seen, script, interventions, walked }: RotationWorld,
  before: CredentialRecord,
  operation: readonly RotationModelStep[],
): Promise<void> {
  const snapshot = lastOf(operation);
  const what = `${before.rotation.state}: ${operation.map(nameOf).join(', ')}`;
  const { state, rotation } = await other.read(before.id);
  const expected = isUntouched(snapshot) ? before.rotation.state : rotationOf(snapshot);
  expect({ what, seen, left: script.length, state, rotation: rotation.state }).toEqual({
    ...{ what, left: 0, seen: operation.map((step) => placeOf(step.snapshot)) },
    ...{ state: stateOf(snapshot).replace(/\.ended$/, ''), rotation: expected },
  });
  expect({ what, ...interventions }).toEqual({ what, beforeRead: null, beforeWrite: null });
  const from = [restOf(before.rotation.state), ...operation.map((step) => regionOf(step.snapshot))];
  for (const [at, { event }] of operation.entries()) {
    if (!event.type.includes('.lifecycle.')) walked.add(transitionOf(from[at] ?? '', event));
  }
  // Nobody keeps a claim that he does not use, but for one that has to run out.
  if (interruptionOf(operation) === null) await other.release(await other.hold(before.id));
}

function lastOf(operation: readonly RotationModelStep[]): Snapshot {
  const last = operation.at(-1);
  if (!last) throw new Error('an operation without a step');
  return last.snapshot;
}

/** By the event: states of the walk that differ by an earlier interruption alone are one. */
function interruptionOf(operation: readonly RotationModelStep[]): string | null {
  const event = operation.at(-1)?.event;
  const output = event && isDone(event) ? event.output : null;
  return output?.outcome === 'interrupted' ? output.interruption.code : null;
}

function nameOf({ event }: RotationModelStep): string {
  if (!isDone(event)) return event.type;
  const { output } = event;
  if (output.outcome === 'rotating') return `${output.rotation}${output.claim === null ? '' : ' and goes on'}`;
  return output.outcome === 'interrupted' ? output.interruption.code : output.outcome;
}

async function run(world: RotationWorld, { id }: CredentialRecord, operation: readonly RotationModelStep[]) {
  const { engine, other, driver, clock } = world;
  const [first] = operation;
  switch (first?.event.type) {
    case 'credential.revoke':
      await engine.revoke(id);
      return;
    case 'credential.rollback':
      await leavePrevious(other, driver, id);
      return ended(world, id, operation, (record) => engine.rollback(record));
    case 'rotation.resume':
      if (regionOf(first.snapshot) !== 'overlapping.retiring') break;
      await other.change(id, { rotationDueAt: clock.now() });
      return world.keep(() => world.seen.length >= operation.length);
  }
  await ended(world, id, operation, (record) => engine.rotate(record));
}

async function ended(
  { other, clock }: RotationWorld,
  id: string,
  operation: readonly RotationModelStep[],
  command: (id: string) => Promise<unknown>,
): Promise<void> {
  const code = interruptionOf(operation);
  if (code === null) {
    await command(id);
    return;
  }
  const claim = code === 'ERR_ROTATION_IN_PROGRESS' ? await other.hold(id) : null;
  if (claim) {
    clock.onWait = () => {
      clock.advance(31_000);
      return Promise.resolve();
    };
  }
  expect(await rejectionOf(command(id))).toMatchObject({ code });
  clock.onWait = () => Promise.resolve();
  if (claim) await other.release(claim);
}

/** What happens in each step of an operation, so that it ends as the path says. */
function scriptOf(
  world: RotationWorld,
  id: string,
  { rotation }: CredentialRecord,
  operation: readonly RotationModelStep[],
): (() => void)[] {
  let step: RotationState = rotation.state;
  let begins = operation[0]?.event.type !== 'rotation.resume';
  const scripts: (() => void)[] = [];
  for (const { event, snapshot } of operation) {
    if (!isDone(event) || event.type.includes('.lifecycle.')) continue;
    const [at, isBeginning] = [step, begins];
    scripts.push(() => {
      arm(world, id, isBeginning ? null : at, event);
    });
    [step, begins] = [rotationOf(snapshot), false];
  }
  return scripts;
}

/** @param step `null`: the one that writes down that a rotation begins */
function arm(world: RotationWorld, id: string, step: RotationState | null, { output }: RotationDone): void {
  const { other, driver, interventions } = world;
  driver.failure = null;
  interventions.beforeRead = null;
  interventions.beforeWrite = null;
  if (output.outcome === 'interrupted') {
    if (output.interruption.code !== 'ERR_STORE_UNAVAILABLE') return;
    const failure = new StorageError('ERR_STORE_UNAVAILABLE', 'The record could not be written.');
    interventions.beforeWrite = () => Promise.reject(failure);
    return;
  }
  if (output.outcome !== 'rotating') throw new Error('the end of another effect');
  const end = { rotation: output.rotation, goesOn: output.claim !== null, granted: output.granted !== null };
  if (step === null && end.rotation === 'creating' && end.goesOn) {
    world.natural.add('begins');
    return;
  }
  const natural = step && naturalEnd(driver, step, end);
  if (natural) {
    world.natural.add(`${step} ${end.rotation}${end.goesOn ? '' : ' waiting'}`);
    driver.failure = natural.failure ?? null;
    interventions.beforeRead = () => leaveFacts(other, driver, id, natural);
  } else if (end.goesOn) {
    // Another holder came further before this one had the claim.
    interventions.beforeRead = () => leaveRotationAt(other, driver, id, end.rotation);
  } else {
    interventions.beforeWrite = () => takeOver(world, id, output);
  }
}

/** The holder was stopped for longer than its lease, and another one has taken over. */
async function takeOver({ clock, other, driver }: RotationWorld, id: string, output: RotationOutcome): Promise<void> {
  if (output.outcome !== 'rotating') throw new Error('nothing to take over');
  clock.advance(LEASE_MS + 1);
  const claim = await other.hold(id);
  await leaveRotationAt(other, driver, id, output.rotation);
  await other.release(claim);
}
