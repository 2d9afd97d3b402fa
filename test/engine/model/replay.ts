import type { CredentialEngine } from '../../../src/engine.ts';
import { ConfigurationError, ReauthorizationRequiredError, StorageError, TransientError } from '../../../src/errors.ts';
import type { CredentialRecord, StatePath } from '../../../src/lifecycle/credential.ts';
import { stateValueOf, type MachineEvent } from '../../../src/lifecycle/machine.ts';
import { isAlive } from '../../../src/lifecycle/policy.ts';
import type { BeforeSend, Issued } from '../../../src/protocols/protocol.ts';
import { rejectionOf } from '../../support/codes.ts';
import type { OtherHolder } from './other-holder.ts';
import { stateOf, type DoneEvent, type ModelEvent, type ModelPath, type ModelStep } from './paths.ts';
import { LIFE_MS, type ScriptedDriver } from './scripted-driver.ts';
import type { ModelClock } from './model-clock.ts';
import { operationsOf } from './walk.ts';

export interface World {
  readonly engine: CredentialEngine;
  readonly clock: ModelClock;
  readonly driver: ScriptedDriver;
  readonly other: OtherHolder;
  /** Runs what is due, as a keeper does, and ends when nothing is. */
  readonly keep: () => Promise<void>;
  /** Which ends of a request the other side itself brought about; the rest were another holder's. */
  readonly natural: Set<string>;
}

const PROVEN_ERRORS: readonly string[] = ['ERR_REFRESH_IN_PROGRESS', 'ERR_STORE_UNAVAILABLE'];

/** Lives a path of the model on the real engine; after each operation the stored record is where the machine is. */
export async function replay(world: World, path: ModelPath): Promise<number> {
  const { credential } = await world.engine.register({
    protocol: 'scripted',
    name: 'Model',
    config: {},
    secret: {},
    test: false,
  });
  let compared = 0;
  for (const operation of operationsOf(path)) {
    const before = await world.other.read(credential.id);
    await run(world, before, operation);
    compare(operation, before, await world.other.read(credential.id));
    compared += 1;
    world.clock.advance(5_000);
  }
  // Nothing of this path may be due in the next one.
  await world.other.change(credential.id, { refreshDueAt: null });
  return compared;
}

function compare(operation: readonly ModelStep[], before: CredentialRecord, record: CredentialRecord): void {
  const snapshot = operation.at(-1)?.snapshot;
  if (!snapshot) throw new Error('an operation without a step');
  const what = `${before.state}: ${operation.map(({ event }) => nameOf(event)).join(', ')}`;
  const untouched = snapshot.context.interruption?.code === 'ERR_REFRESH_IN_PROGRESS';
  const expected = untouched ? before.state : stateOf(snapshot);
  const stored = untouched ? record.state : lifecycleOf(record);
  expect({ what, state: stored }).toEqual({ what, state: expected });
  // A revoked credential is not tested any more, and an interruption says nothing about health.
  expect({ what, health: record.health }).toEqual({ what, health: snapshot.value.health });
}

function lifecycleOf({ state, health }: CredentialRecord): string {
  const { lifecycle } = stateValueOf(state, health);
  const [[parent, child] = ['', '']] = Object.entries(lifecycle);
  return `${parent}.${
    typeof child === 'string'
      ? child
      : Object.entries(child ?? {})
          .flat()
          .join('.')
  }`;
}

function nameOf(event: ModelEvent): string {
  if (!isDone(event)) return event.type;
  const { output } = event;
  return output.outcome === 'settled' ? output.state : output.outcome;
}

function isDone(event: ModelEvent): event is DoneEvent {
  return event.type.startsWith('xstate.done.');
}

async function run(world: World, record: CredentialRecord, [first, ...rest]: readonly ModelStep[]): Promise<void> {
  const command = first?.event;
  if (command === undefined || isDone(command)) throw new Error('an operation begins with a command or a fact');
  switch (command.type) {
    case 'credential.refresh':
      return refresh(
        world,
        record,
        rest.map(({ event }) => event),
      );
    case 'credential.revoke':
      await world.engine.revoke(record.id);
      return;
    case 'authorization.completed':
      return signIn(world, record.id);
    case 'expiry.reached':
      return expire(world, record, command.settled.state);
    default:
      return test(world, record.id, command);
  }
}

/** A person signs in from beginning to end. */
async function signIn({ engine }: World, id: string): Promise<void> {
  const begun = await engine.authorize(id, { redirectUri: 'https://n8n.example/callback' });
  if (begun.kind !== 'redirect') throw new Error('a sign-in without a browser');
  await engine.reauthorize(id, { parameters: new URL(begun.url).searchParams });
}

async function test(world: World, id: string, { type }: MachineEvent): Promise<void> {
  world.driver.testSucceeds = type === 'test.passed';
  const { success } = await world.engine.test(id);
  expect(success).toBe(world.driver.testSucceeds);
}

/** The token ends and nothing can prolong it: the facts that time and earlier failures would have left, then the keeper. */
async function expire(world: World, record: CredentialRecord, state: StatePath): Promise<void> {
  const { clock, other } = world;
  const later = new Date(clock.now().getTime() + 60_000);
  const failure = {
    class: 'configuration',
    code: 'ERR_OAUTH2_INVALID_CLIENT',
    message: 'refused',
    at: clock.now(),
  } as const;
  await other.change(record.id, {
    expiresAt: clock.now(),
    refreshDueAt: clock.now(),
    refreshable: false,
    retryNotBefore: state === 'expired.retrying' ? later : null,
    failure: state === 'pending.misconfigured' ? failure : null,
  });
  await world.keep();
  await other.change(record.id, { refreshable: true, retryNotBefore: null, refreshDueAt: null });
}

async function refresh(world: World, record: CredentialRecord, events: readonly ModelEvent[]): Promise<void> {
  const [claimed, ...then] = events;
  if (!claimed || !isDone(claimed)) throw new Error('a refresh without an end');
  if (claimed.output.outcome !== 'claimed') return refreshOfAnother(world, record, claimed);
  let scripted = false;
  world.driver.script = (beforeSend) => {
    scripted = true;
    return answer(world, record.id, then, beforeSend);
  };
  const refreshed = world.engine.refresh(record.id);
  const last = then.at(-1);
  if (last && isDone(last) && last.output.outcome === 'interrupted') {
    expect(await rejectionOf(refreshed)).toMatchObject({ code: last.output.interruption.code });
  } else {
    await refreshed;
  }
  world.driver.renewGrace();
  expect(scripted).toBe(true);
}

/** Somebody else holds the claim; while the engine waits he settles the record, or lets it wait too long. */
async function refreshOfAnother(world: World, { id }: CredentialRecord, { output }: DoneEvent): Promise<void> {
  const { clock, engine, other } = world;
  const claim = await other.hold(id);
  clock.onWait = async () => {
    clock.onWait = () => Promise.resolve();
    if (output.outcome === 'settled') await other.settle(id, output.state);
    else clock.advance(31_000);
  };
  if (output.outcome === 'interrupted') {
    expect(PROVEN_ERRORS).toContain(output.interruption.code);
    expect(await rejectionOf(engine.refresh(id))).toMatchObject({ code: output.interruption.code });
  } else {
    await engine.refresh(id);
  }
  await other.release(claim);
}

/** What the other side does with the request: tests meanwhile, then the end that the path names. */
async function answer(
  world: World,
  id: string,
  events: readonly ModelEvent[],
  beforeSend: BeforeSend,
): Promise<Issued> {
  const { other } = world;
  const record = await other.read(id);
  expect(record.state).toBe('refreshing.claimed');
  const end = events.at(-1);
  if (!end || !isDone(end)) throw new Error('a request without an end');
  const state = end.output.outcome === 'settled' ? end.output.state : null;
  const testMeanwhile = async (): Promise<void> => {
    for (const event of events.slice(0, -1)) if (!isDone(event)) await test(world, id, event);
  };
  if (state !== null && !isNatural(state, record, world.clock.now())) {
    await testMeanwhile();
    await other.settle(id, state);
    await beforeSend();
    throw new Error('a holder that was superseded was let through');
  }
  await beforeSend();
  expect((await other.read(id)).state).toBe('refreshing.sent');
  await testMeanwhile();
  if (state === null) throw new StorageError('ERR_STORE_UNAVAILABLE', 'The answer could not be stored.');
  world.natural.add(state);
  return bringAbout(world, id, state);
}

const NEEDS_TOKEN: readonly StatePath[] = ['valid.expiringSoon', 'valid.degraded'];

/** Whether the other side alone can lead there: what an answer means depends on the token that is still there. */
function isNatural(state: StatePath, record: CredentialRecord, now: Date): boolean {
  if (NEEDS_TOKEN.includes(state)) return isAlive(record, now);
  if (state === 'pending.unverified') return record.grant === null;
  if (state === 'expired.retrying') return record.grant !== null;
  // A lost answer to a sign-in is another request's.
  return state !== 'revoked.upstream' && state !== 'pending.authorizing';
}

async function bringAbout(world: World, id: string, state: StatePath): Promise<Issued> {
  const { clock, driver, engine } = world;
  // What is to be found dead dies while the request is on its way.
  if (/^(expired|pending)\./.test(state)) clock.advance(LIFE_MS);
  switch (state) {
    case 'valid.fresh':
      return driver.issue();
    case 'revoked.byUser':
      await engine.revoke(id);
      return driver.issue();
    case 'refreshing.ambiguous':
      throw new TransientError('ERR_ENDPOINT_CONNECTION_LOST', 'The answer was lost.');
    case 'expired.needsUser':
    case 'valid.degraded':
      throw new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'The grant is dead.');
    case 'pending.misconfigured':
      throw new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', 'The client is refused.');
    default:
      // Inside the grace window a token in doubt would stay that.
      driver.endGrace();
      throw new TransientError('ERR_ENDPOINT_UNAVAILABLE', 'The endpoint has a fault.');
  }
}
