import { assign, enqueueActions, fromPromise, setup, type DoneActorEvent } from 'xstate';
import type { Claim } from '../storage/record-store.ts';
import type { CredentialId, Health, Reason, StatePath } from './credential.ts';
import type { CredentialEvent } from './events.ts';
import type { RotationOutcome, StepInput } from './rotation/contract.ts';
import { openStepOf, type RotationState } from './rotation/progress.ts';
import {
  isRotatingAt,
  NOT_ROTATING,
  rotationRegion,
  type RotatingContext,
  type RotationEvent,
} from './rotation/region.ts';

/** Plain facts only: snapshots and inspector traffic show all of this in clear. */
export interface MachineContext {
  readonly credentialId: CredentialId;
  readonly generation: number;
  readonly reason: Reason;
  /** The right under which the current refresh runs. */
  readonly claim: Claim | null;
  readonly attemptId: string | null;
  /** Under which right a rotation runs. */
  readonly rotating: RotatingContext;
  /** Why the last operation ended without touching the record, as code and sentence. */
  readonly interruption: Interruption | null;
}

export interface MachineInput {
  readonly credentialId: CredentialId;
  readonly generation: number;
  readonly reason: Reason;
}

export interface Interruption {
  readonly code: string;
  readonly message: string;
}

/** Commands are imperative, facts past participles. */
export type MachineEvent =
  | { readonly type: 'credential.refresh'; readonly reason: Reason; readonly claim: Claim | null }
  | { readonly type: 'credential.revoke' }
  | RotationEvent
  | { readonly type: 'expiry.reached'; readonly settled: Settled }
  | { readonly type: 'authorization.completed'; readonly settled: Settled }
  | { readonly type: 'grant.promoted'; readonly settled: Settled }
  | { readonly type: 'test.passed' }
  | { readonly type: 'test.failed' };

/** Where an operation left the stored record. The record is written before the machine moves; the machine follows it. */
export interface Settled {
  readonly outcome: 'settled';
  readonly state: StatePath;
  readonly generation: number;
  readonly reason: Reason;
  readonly events: readonly CredentialEvent[];
}
export interface Claimed {
  readonly outcome: 'claimed';
  readonly claim: Claim;
  readonly attemptId: string;
}
export type Outcome = Claimed | Settled | { readonly outcome: 'interrupted'; readonly interruption: Interruption };

export interface ClaimInput {
  readonly credentialId: CredentialId;
  /** The newest generation that the asker knows: a newer one in the store answers him. */
  readonly generation: number;
  readonly reason: Reason;
  /** A claim that is already held, or `null` to take one. */
  readonly claim: Claim | null;
}
export interface SendInput {
  readonly credentialId: CredentialId;
  readonly claim: Claim | null;
  readonly attemptId: string | null;
}
export interface RevokeInput {
  readonly credentialId: CredentialId;
}

function notProvided(): Promise<never> {
  return Promise.reject(new TypeError('Expected this actor to be provided: credentialMachine.provide({ actors }).'));
}

type OutcomeEvent = DoneActorEvent<Outcome>;
const isSettled = (outcome: Outcome, state: StatePath): boolean =>
  outcome.outcome === 'settled' && outcome.state === state;

const UNEXPECTED: Interruption = { code: 'ERR_INTERNAL', message: 'An operation ended unexpectedly.' };

const machineSetup = setup({
  types: {
    context: {} as MachineContext,
    events: {} as MachineEvent,
    input: {} as MachineInput,
    emitted: {} as CredentialEvent,
    tags: {} as 'busy',
  },
  actors: {
    claimRefresh: fromPromise<Outcome, ClaimInput>(notProvided),
    sendRefresh: fromPromise<Outcome, SendInput>(notProvided),
    revokeCredential: fromPromise<Outcome, RevokeInput>(notProvided),
    createCandidate: fromPromise<RotationOutcome, StepInput>(notProvided),
    setCandidate: fromPromise<RotationOutcome, StepInput>(notProvided),
    testCandidate: fromPromise<RotationOutcome, StepInput>(notProvided),
    finishRotation: fromPromise<RotationOutcome, StepInput>(notProvided),
    retirePrevious: fromPromise<RotationOutcome, StepInput>(notProvided),
  },
  guards: {
    isClaimed: (_, { outcome }: { outcome: Outcome }) => outcome.outcome === 'claimed',
    isSettledAs: (_, { outcome, state }: { outcome: Outcome; state: StatePath }) => isSettled(outcome, state),
    isRotatingAt: (_, left: { outcome: RotationOutcome; state: RotationState; goesOn: boolean }) =>
      isRotatingAt(left.outcome, left.state, left.goesOn),
  },
  actions: {
    recordCommand: assign((_, command: { reason: Reason; claim: Claim | null }) => ({
      ...command,
      interruption: null,
    })),
    recordClaim: assign((_, { outcome }: { outcome: Outcome }) =>
      outcome.outcome === 'claimed' ? { claim: outcome.claim, attemptId: outcome.attemptId } : {},
    ),
    recordSettlement: assign((_, { outcome }: { outcome: Outcome }) =>
      outcome.outcome === 'settled'
        ? { generation: outcome.generation, reason: outcome.reason, claim: null, attemptId: null, interruption: null }
        : {},
    ),
    recordInterruption: assign((_, { outcome }: { outcome: Outcome | null }) => ({
      interruption: outcome?.outcome === 'interrupted' ? outcome.interruption : UNEXPECTED,
    })),
    recordOrder: assign((_, rotating: RotatingContext) => ({ rotating, interruption: null })),
    recordRotating: assign((_, { outcome }: { outcome: RotationOutcome }) =>
      outcome.outcome === 'rotating'
        ? { rotating: { order: null, claim: outcome.claim, resumed: outcome.resumed }, interruption: null }
        : {},
    ),
    recordRotationInterruption: assign((_, { outcome }: { outcome: RotationOutcome | null }) => ({
      interruption: outcome?.outcome === 'interrupted' ? outcome.interruption : UNEXPECTED,
    })),
    announceRotating: enqueueActions(({ enqueue }, { outcome }: { outcome: RotationOutcome }) => {
      if (outcome.outcome !== 'rotating') return;
      for (const event of outcome.events) enqueue.emit(event);
      if (outcome.granted) enqueue.raise({ type: 'grant.promoted', settled: outcome.granted });
    }),
    announce: enqueueActions(({ enqueue }, { outcome }: { outcome: Outcome }) => {
      if (outcome.outcome !== 'settled') return;
      for (const event of outcome.events) enqueue.emit(event);
    }),
  },
});

/** A transition that an operation's outcome takes when it left the record in `state`. */
function settledAs<S extends StatePath>(state: S, target: string = state) {
  return {
    description: `the record is ${state}`,
    guard: { type: 'isSettledAs', params: ({ event }: { event: OutcomeEvent }) => ({ outcome: event.output, state }) },
    target: `#credential.lifecycle.${target}`,
    actions: [
      { type: 'recordSettlement', params: ({ event }: { event: OutcomeEvent }) => ({ outcome: event.output }) },
      { type: 'announce', params: ({ event }: { event: OutcomeEvent }) => ({ outcome: event.output }) },
    ],
  } as const;
}

/** Every state in which a refresh can leave a credential. */
const REFRESH_SETTLEMENTS = [
  settledAs('valid.fresh'),
  settledAs('valid.expiringSoon'),
  settledAs('valid.degraded'),
  settledAs('pending.unverified'),
  settledAs('pending.misconfigured'),
  // The code of a sign-in was sent and its answer was lost.
  settledAs('pending.authorizing'),
  settledAs('refreshing.ambiguous'),
  // Another holder has the credential now; this actor has nothing left to do.
  settledAs('refreshing.claimed', 'refreshing.ambiguous'),
  settledAs('refreshing.sent', 'refreshing.ambiguous'),
  settledAs('expired.retrying'),
  settledAs('expired.needsUser'),
  settledAs('revoked.byUser', 'revoked.byUser.ended'),
  settledAs('revoked.upstream'),
] as const;

const INTERRUPTED = {
  description: 'the operation ended without touching the record',
  target: '#credential.lifecycle.refreshing.ambiguous',
  actions: { type: 'recordInterruption', params: ({ event }: { event: OutcomeEvent }) => ({ outcome: event.output }) },
} as const;
const FAILED = {
  description: 'the effect threw',
  target: '#credential.lifecycle.refreshing.ambiguous',
  actions: { type: 'recordInterruption', params: { outcome: null } },
} as const;

const REFRESH = {
  target: '#credential.lifecycle.refreshing.claimed',
  actions: {
    type: 'recordCommand',
    params: ({ event }: { event: Extract<MachineEvent, { type: 'credential.refresh' }> }) => ({
      reason: event.reason,
      claim: event.claim,
    }),
  },
} as const;
const REVOKE = { target: '#credential.lifecycle.revoked.byUser' } as const;

const PROMOTED = {
  target: '#credential.lifecycle.valid.fresh',
  actions: {
    type: 'recordSettlement',
    params: ({ event }: { event: Extract<MachineEvent, { type: 'grant.promoted' }> }) => ({ outcome: event.settled }),
  },
} as const;

function expiredAs<S extends StatePath>(state: S) {
  type Expiry = { event: Extract<MachineEvent, { type: 'expiry.reached' }> };
  return {
    description: `the record is ${state}`,
    guard: { type: 'isSettledAs', params: ({ event }: Expiry) => ({ outcome: event.settled, state }) },
    target: `#credential.lifecycle.${state}`,
    actions: [
      { type: 'recordSettlement', params: ({ event }: Expiry) => ({ outcome: event.settled }) },
      { type: 'announce', params: ({ event }: Expiry) => ({ outcome: event.settled }) },
    ],
  } as const;
}

type Completion = { event: Extract<MachineEvent, { type: 'authorization.completed' }> };
/** A person has signed in: the new grant counts, whatever was there before. */
const AUTHORIZED = {
  description: 'the record is valid.fresh',
  guard: {
    type: 'isSettledAs',
    params: ({ event }: Completion) => ({ outcome: event.settled, state: 'valid.fresh' as const }),
  },
  target: '#credential.lifecycle.valid.fresh',
  actions: [
    { type: 'recordSettlement', params: ({ event }: Completion) => ({ outcome: event.settled }) },
    { type: 'announce', params: ({ event }: Completion) => ({ outcome: event.settled }) },
  ],
} as const;

/**
 * The life of one credential: pure sequencing of commands and facts, without secrets, clock or timers. Effects are the
 * actors `claimRefresh`, `sendRefresh` and `revokeCredential`, given by `credentialMachine.provide({ actors })`; due times
 * are columns of the store, because a restored machine does not restore its timers.
 */
export const credentialMachine = machineSetup.createMachine({
  id: 'credential',
  context: ({ input }) => ({ ...input, claim: null, attemptId: null, rotating: NOT_ROTATING, interruption: null }),
  type: 'parallel',
  states: {
    lifecycle: {
      initial: 'pending',
      states: {
        pending: {
          initial: 'unverified',
          states: { unverified: {}, misconfigured: {}, authorizing: {} },
          on: {
            'credential.refresh': REFRESH,
            'credential.revoke': REVOKE,
            'authorization.completed': AUTHORIZED,
            'grant.promoted': PROMOTED,
          },
        },
        valid: {
          initial: 'fresh',
          states: { fresh: {}, expiringSoon: {}, degraded: {} },
          on: {
            'credential.refresh': REFRESH,
            'credential.revoke': REVOKE,
            'authorization.completed': AUTHORIZED,
            'grant.promoted': PROMOTED,
            'expiry.reached': [
              expiredAs('expired.needsUser'),
              expiredAs('expired.retrying'),
              expiredAs('pending.misconfigured'),
            ],
          },
        },
        refreshing: {
          initial: 'ambiguous',
          on: { 'grant.promoted': PROMOTED },
          states: {
            claimed: {
              tags: ['busy'],
              invoke: {
                src: 'claimRefresh',
                input: ({ context }) => ({
                  credentialId: context.credentialId,
                  generation: context.generation,
                  reason: context.reason,
                  claim: context.claim,
                }),
                onDone: [
                  {
                    description: 'the claim is held and the intent is written',
                    guard: { type: 'isClaimed', params: ({ event }) => ({ outcome: event.output }) },
                    target: 'sent',
                    actions: { type: 'recordClaim', params: ({ event }) => ({ outcome: event.output }) },
                  },
                  ...REFRESH_SETTLEMENTS,
                  INTERRUPTED,
                ],
                onError: FAILED,
              },
            },
            sent: {
              tags: ['busy'],
              invoke: {
                src: 'sendRefresh',
                input: ({ context }) => ({
                  credentialId: context.credentialId,
                  claim: context.claim,
                  attemptId: context.attemptId,
                }),
                onDone: [...REFRESH_SETTLEMENTS, INTERRUPTED],
                onError: FAILED,
              },
            },
            ambiguous: {
              on: {
                'credential.refresh': REFRESH,
                'credential.revoke': REVOKE,
                'authorization.completed': AUTHORIZED,
              },
            },
          },
        },
        expired: {
          initial: 'retrying',
          states: { retrying: {}, needsUser: {} },
          on: {
            'credential.refresh': REFRESH,
            'credential.revoke': REVOKE,
            'authorization.completed': AUTHORIZED,
            'grant.promoted': PROMOTED,
          },
        },
        revoked: {
          initial: 'byUser',
          states: {
            byUser: {
              initial: 'revoking',
              states: {
                revoking: {
                  tags: ['busy'],
                  invoke: {
                    src: 'revokeCredential',
                    input: ({ context }) => ({ credentialId: context.credentialId }),
                    onDone: [settledAs('revoked.byUser', 'revoked.byUser.ended'), INTERRUPTED],
                    onError: FAILED,
                  },
                },
                ended: { on: { 'credential.revoke': REVOKE } },
              },
            },
            upstream: {},
          },
        },
      },
    },
    rotation: rotationRegion,
    health: {
      initial: 'unknown',
      states: { unknown: {}, healthy: {}, failing: {} },
      on: { 'test.passed': { target: '.healthy' }, 'test.failed': { target: '.failing' } },
    },
  },
});

/** The machine's state value for a stored record. What a holder that is gone has left open rests until a command comes. */
export function stateValueOf(state: StatePath, health: Health, rotating: RotationState = 'idle') {
  const [parent, child] = splitPath(state);
  const substate = parent === 'refreshing' ? 'ambiguous' : child;
  const lifecycle = state === 'revoked.byUser' ? { revoked: { byUser: 'ended' } } : { [parent]: substate };
  const isOpen = openStepOf({ state: rotating }) !== null || rotating === 'overlapping';
  return { lifecycle, health, rotation: isOpen ? { [rotating]: 'waiting' } : rotating };
}

function splitPath(state: StatePath): [string, string] {
  const dot = state.indexOf('.');
  return [state.slice(0, dot), state.slice(dot + 1)];
}
