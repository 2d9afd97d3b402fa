import { createActor, fromPromise, waitFor, type SnapshotFrom } from 'xstate';
import { STATE_PATHS, type StatePath } from '../../src/lifecycle/credential.ts';
import { eventOf, type CredentialEvent } from '../../src/lifecycle/events.ts';
import {
  credentialMachine,
  stateValueOf,
  type Claimed,
  type Outcome,
  type Settled,
} from '../../src/lifecycle/machine.ts';
import { NOT_ROTATING } from '../../src/lifecycle/rotation/region.ts';
import { aRecord } from '../support/record.ts';

type Snapshot = SnapshotFrom<typeof credentialMachine>;
const claim = { credentialId: 'cr_1', owner: 'a', fence: 1 };
const claimed: Claimed = { outcome: 'claimed', claim, attemptId: 'at1' };
const identity = { credentialId: 'cr_1', generation: 1, reason: 'refreshed' } as const;

function settled(state: StatePath, events: readonly CredentialEvent[] = []): Settled {
  return { outcome: 'settled', state, generation: 2, reason: 'refreshed', events };
}

function lifecycleOf(snapshot: Snapshot): string {
  return flatten(snapshot.value.lifecycle).replace(/\.ended$/, '');
}

function flatten(value: unknown): string {
  if (typeof value === 'string') return value;
  return Object.entries(value ?? {})
    .map(([state, substate]) => `${state}.${flatten(substate)}`)
    .join('|');
}

function start(
  from: StatePath,
  outcomes: { claim?: () => Promise<Outcome>; send?: () => Promise<Outcome>; revoke?: () => Promise<Outcome> },
) {
  const machine = credentialMachine.provide({
    actors: {
      claimRefresh: fromPromise(outcomes.claim ?? (async () => claimed)),
      sendRefresh: fromPromise(outcomes.send ?? (async () => settled('valid.fresh'))),
      revokeCredential: fromPromise(outcomes.revoke ?? (async () => settled('revoked.byUser'))),
    },
  });
  const snapshot = machine.resolveState({
    value: stateValueOf(from, 'unknown'),
    context: { ...identity, claim: null, attemptId: null, rotating: NOT_ROTATING, interruption: null },
  });
  const actor = createActor(machine, { snapshot, input: identity });
  actor.subscribe({ error: () => undefined });
  return actor.start();
}

const idle = (snapshot: Snapshot): boolean => !snapshot.hasTag('busy');
const REFRESH = { type: 'credential.refresh', reason: 'refreshDue', claim: null } as const;
const RESTING = STATE_PATHS.filter((state) => !state.startsWith('refreshing.') || state === 'refreshing.ambiguous');
const LIVING = RESTING.filter((state) => !state.startsWith('revoked.'));

it.each(RESTING)('hydrates into %s and starts nothing', async (state) => {
  const forbidden = (): Promise<Outcome> => Promise.reject(new Error('an effect ran'));
  const actor = start(state, { claim: forbidden, send: forbidden, revoke: forbidden });
  await new Promise(setImmediate);
  expect(lifecycleOf(actor.getSnapshot())).toBe(state);
  expect(actor.getSnapshot().status).toBe('active');
});

it.each(['refreshing.claimed', 'refreshing.sent'] as const)('hydrates an open attempt in %s as ambiguous', (state) => {
  expect(lifecycleOf(start(state, {}).getSnapshot())).toBe('refreshing.ambiguous');
});

describe.each(LIVING)('a refresh from %s', (from) => {
  it('goes through claimed and sent and follows the record', async () => {
    const seen: string[] = [];
    const actor = start(from, {});
    actor.subscribe((snapshot) => seen.push(lifecycleOf(snapshot)));
    actor.send(REFRESH);
    await waitFor(actor, idle);
    expect(seen).toEqual(['refreshing.claimed', 'refreshing.sent', 'valid.fresh']);
    expect(actor.getSnapshot().context).toMatchObject({
      generation: 2,
      claim: null,
      attemptId: null,
      interruption: null,
    });
  });
});

/** `pending.authorizing` is where a person's authorization is awaited: no refresh leads there. */
const SETTLEMENTS = RESTING.filter((state) => state !== 'pending.authorizing');

it.each(SETTLEMENTS)('follows a refresh that settled in %s', async (state) => {
  const actor = start('valid.fresh', { send: async () => settled(state) });
  actor.send(REFRESH);
  expect(lifecycleOf(await waitFor(actor, idle))).toBe(state);
});

it.each(SETTLEMENTS)('follows another holder who settled in %s, without sending', async (state) => {
  const send = (): Promise<Outcome> => Promise.reject(new Error('sent'));
  const actor = start('valid.fresh', { claim: async () => settled(state), send });
  actor.send(REFRESH);
  expect(lifecycleOf(await waitFor(actor, idle))).toBe(state);
});

it.each(['revoked.byUser', 'revoked.upstream'] as const)('ignores a refresh in %s', (state) => {
  const actor = start(state, {});
  actor.send(REFRESH);
  expect(lifecycleOf(actor.getSnapshot())).toBe(state);
});

it('ignores a second refresh while one is under way', async () => {
  let claims = 0;
  const actor = start('valid.fresh', {
    claim: async () => {
      claims += 1;
      return claimed;
    },
  });
  actor.send(REFRESH);
  actor.send(REFRESH);
  await waitFor(actor, idle);
  expect(claims).toBe(1);
});

it.each(LIVING)('revokes from %s', async (state) => {
  const actor = start(state, {});
  actor.send({ type: 'credential.revoke' });
  expect(lifecycleOf(await waitFor(actor, idle))).toBe('revoked.byUser');
});

it.each([
  ['a claim', { claim: () => Promise.reject(new Error('boom')) }],
  ['a send', { send: () => Promise.reject(new Error('boom')) }],
])('survives %s that throws, and says so without the message', async (_sentence, outcomes) => {
  const actor = start('valid.fresh', outcomes);
  actor.send(REFRESH);
  const snapshot = await waitFor(actor, idle);
  expect(lifecycleOf(snapshot)).toBe('refreshing.ambiguous');
  expect(snapshot.context.interruption).toEqual({ code: 'ERR_INTERNAL', message: 'An operation ended unexpectedly.' });
});

it('carries the code of an operation that could not touch the record', async () => {
  const interruption = { code: 'ERR_STORE_UNAVAILABLE', message: 'away' };
  const actor = start('valid.fresh', { claim: async () => ({ outcome: 'interrupted', interruption }) });
  actor.send(REFRESH);
  expect((await waitFor(actor, idle)).context.interruption).toEqual(interruption);
});

it('emits the events of what was settled, in order', async () => {
  const events = [eventOf('credential.refreshed', aRecord(), '1'), eventOf('credential.recovered', aRecord(), '2')];
  const actor = start('valid.fresh', { send: async () => settled('valid.fresh', events) });
  const heard: CredentialEvent[] = [];
  actor.on('*', (event) => heard.push(event));
  actor.send(REFRESH);
  await waitFor(actor, idle);
  expect(heard).toEqual(events);
});

it.each(['expired.needsUser', 'pending.misconfigured'] as const)(
  'moves from valid to %s at the end of a life',
  (state) => {
    const actor = start('valid.degraded', {});
    actor.send({ type: 'expiry.reached', settled: settled(state) });
    expect(lifecycleOf(actor.getSnapshot())).toBe(state);
  },
);

it('keeps health beside the life', () => {
  const actor = start('valid.fresh', {});
  actor.send({ type: 'test.failed' });
  expect(actor.getSnapshot().value).toMatchObject({ lifecycle: { valid: 'fresh' }, health: 'failing' });
  actor.send({ type: 'test.passed' });
  expect(actor.getSnapshot().value).toMatchObject({ health: 'healthy' });
});

it('has no timers', () => {
  expect(JSON.stringify(credentialMachine.toJSON())).not.toContain('xstate.after');
});
