import type { Rotating, RotationOrder, RotationOutcome, StepInput } from './contract.ts';
import type { Claim } from '../../storage/record-store.ts';
import type { RotationState, RotationStep } from './progress.ts';

/** Under which right a rotation goes on, and from where. Plain facts. */
export interface RotatingContext {
  readonly order: RotationOrder | null;
  readonly claim: Claim | null;
  readonly resumed: boolean;
}

export const NOT_ROTATING: RotatingContext = { order: null, claim: null, resumed: true };

export type RotationEvent =
  | { readonly type: 'credential.rotate'; readonly order: RotationOrder; readonly claim: Claim | null }
  | { readonly type: 'credential.rollback'; readonly order: RotationOrder; readonly claim: Claim | null }
  | { readonly type: 'rotation.resume'; readonly claim: Claim | null };

interface Ended {
  readonly event: { readonly output: RotationOutcome };
}
interface Begun {
  readonly event: Extract<RotationEvent, { type: 'credential.rotate' | 'credential.rollback' }>;
}
interface Resumed {
  readonly event: Extract<RotationEvent, { type: 'rotation.resume' }>;
}
interface Context {
  readonly context: { readonly credentialId: string; readonly rotating: RotatingContext };
}

/** Whether an effect left the record's rotation in this state, with the right to go on at once or without. */
export function isRotatingAt(outcome: RotationOutcome, state: RotationState, goesOn: boolean): outcome is Rotating {
  return outcome.outcome === 'rotating' && outcome.rotation === state && (outcome.claim !== null) === goesOn;
}

function leftAt<S extends RotationState, T extends string>(state: S, target: T, goesOn: boolean) {
  return {
    description: `the rotation is ${state}${goesOn ? ' and goes on' : ''}`,
    guard: { type: 'isRotatingAt', params: ({ event }: Ended) => ({ outcome: event.output, state, goesOn }) },
    target: `#credential.rotation.${target}`,
    // The step that runs may be the one that just ended: its effect is run anew.
    ...(goesOn && { reenter: true }),
    actions: [
      { type: 'recordRotating', params: ({ event }: Ended) => ({ outcome: event.output }) },
      { type: 'announceRotating', params: ({ event }: Ended) => ({ outcome: event.output }) },
    ],
  } as const;
}

const ENDS = [
  leftAt('creating', 'creating.running', true),
  leftAt('setting', 'setting.running', true),
  leftAt('testing', 'testing.running', true),
  leftAt('finishing', 'finishing.running', true),
  leftAt('creating', 'creating.waiting', false),
  leftAt('setting', 'setting.waiting', false),
  leftAt('testing', 'testing.waiting', false),
  leftAt('finishing', 'finishing.waiting', false),
  leftAt('overlapping', 'overlapping.waiting', false),
  leftAt('idle', 'idle', false),
  leftAt('failed', 'failed', false),
] as const;

const begin = {
  target: '#credential.rotation.creating.running',
  actions: {
    type: 'recordOrder',
    params: ({ event }: Begun) => ({ order: event.order, claim: event.claim, resumed: false }),
  },
} as const;
const BEGINS = { 'credential.rotate': begin, 'credential.rollback': begin } as const;

function running<A extends string>(src: A, step: RotationStep | 'overlapping') {
  const target = `#credential.rotation.${step}.waiting` as const;
  return {
    tags: ['busy'],
    invoke: {
      src,
      input: ({ context: { credentialId, rotating } }: Context): StepInput => ({ credentialId, step, ...rotating }),
      onDone: [
        ...ENDS,
        {
          description: 'the step ended without touching the record',
          target,
          actions: {
            type: 'recordRotationInterruption',
            params: ({ event }: Ended) => ({ outcome: event.output }),
          },
        },
      ],
      onError: {
        description: 'the effect threw',
        target,
        actions: { type: 'recordRotationInterruption', params: { outcome: null } },
      },
    },
  } as const;
}

function resumes(target: string) {
  return {
    'rotation.resume': {
      target: `#credential.rotation.${target}`,
      actions: {
        type: 'recordOrder',
        params: ({ event }: Resumed) => ({ order: null, claim: event.claim, resumed: true }),
      },
    },
  } as const;
}

function stepState<A extends string>(src: A, step: RotationStep) {
  return {
    initial: 'waiting',
    states: { waiting: { on: resumes(`${step}.running`) }, running: running(src, step) },
  } as const;
}

/**
 * The rotation of the registered secret, beside the life. `running`: an effect is under way; `waiting`: a try is to come, at
 * its due time or by whoever finds the holder dead.
 */
export const rotationRegion = {
  initial: 'idle',
  on: { 'credential.revoke': { target: '.idle' } },
  states: {
    idle: { on: BEGINS },
    creating: stepState('createCandidate', 'creating'),
    setting: stepState('setCandidate', 'setting'),
    testing: stepState('testCandidate', 'testing'),
    finishing: stepState('finishRotation', 'finishing'),
    overlapping: {
      initial: 'waiting',
      states: {
        waiting: { on: { ...BEGINS, ...resumes('overlapping.retiring') } },
        retiring: running('retirePrevious', 'overlapping'),
      },
    },
    failed: { on: BEGINS },
  },
} as const;
