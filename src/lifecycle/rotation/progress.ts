import { z } from 'zod/v4';
import { isErrorCode, type ErrorCode } from '../../errors.ts';
import type { RotationOverlap } from '../../protocols/protocol.ts';
import { count, instant } from '../in-place.ts';

/**
 * Where the rotation of a credential's registered secret is:
 *
 * - `idle`: nothing is under way;
 * - `creating`: a candidate is made and sealed; nothing that is in use changes;
 * - `setting`: the other side may accept the candidate any moment, or does already;
 * - `testing`: the other side was told and has said yes; the candidate is proven;
 * - `finishing`: the candidate is proven and becomes the secret in use;
 * - `overlapping`: it is in use, and the one before is still accepted;
 * - `failed`: given up until a person asks again; what was in use stays in use.
 */
export const ROTATION_STATES = [
  'idle',
  'creating',
  'setting',
  'testing',
  'finishing',
  'overlapping',
  'failed',
] as const;
export type RotationState = (typeof ROTATION_STATES)[number];

/** The steps that a driver makes. */
export const ROTATION_STEPS = ['creating', 'setting', 'testing', 'finishing'] as const;
export type RotationStep = (typeof ROTATION_STEPS)[number];

/** Why a rotation was begun, or why it stands where it does. These words reach logs, events and a host's output unchanged. */
export const ROTATION_REASONS = [
  'rotationRequested',
  'rollbackRequested',
  'keyAgeReached',
  'secretExpiring',
  'windowOpened',
  'candidateRefused',
  'candidatesExhausted',
  'configurationFailure',
  'transientFailure',
] as const;
export type RotationReason = (typeof ROTATION_REASONS)[number];

/** A failure as stored: code and sentence, never a body, a secret or a cause. */
export interface RotationFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: Date;
}

/** Names the sealed grant that a candidate's test brought. */
interface GrantPointer {
  readonly field: 'grant';
  readonly generation: number;
  readonly attemptId: string;
}

/** What is stored of a rotation: its journal. Each state is durable before the effect that it names. */
export interface RotationProgress {
  readonly state: RotationState;
  /** `back`: to the value before, which is then the candidate. */
  readonly direction: 'forward' | 'back';
  /** As the driver said when this rotation began. */
  readonly overlap: RotationOverlap | null;
  readonly reason: RotationReason | null;
  /** Names the candidate. */
  readonly attemptId: string | null;
  /** Which candidate of this rotation it is; 1 for the first. */
  readonly candidate: number;
  /** How often the other side has refused this candidate. */
  readonly refusals: number;
  /** Tries in a row that failed for a passing cause. */
  readonly failedTries: number;
  /** What the candidate's test brought, sealed: the grant in use after the promotion. */
  readonly grant: GrantPointer | null;
  readonly startedAt: Date | null;
  /** When an interrupted `set` was last looked into: that can cost a failed login. */
  readonly probedAt: Date | null;
  /** When the secret in use was promoted; `null` for the one that was registered. */
  readonly rotatedAt: Date | null;
  /** When the grace of the secret before ends. */
  readonly retireDueAt: Date | null;
  readonly failure: RotationFailure | null;
}

export const IDLE_ROTATION: RotationProgress = {
  state: 'idle',
  direction: 'forward',
  overlap: null,
  reason: null,
  attemptId: null,
  candidate: 0,
  refusals: 0,
  failedTries: 0,
  grant: null,
  startedAt: null,
  probedAt: null,
  rotatedAt: null,
  retireDueAt: null,
  failure: null,
};

/** What people see of a rotation. */
export type RotationSummary = Pick<
  RotationProgress,
  'state' | 'reason' | 'candidate' | 'startedAt' | 'rotatedAt' | 'retireDueAt' | 'failure'
> & {
  /** When the next step, the end of the overlap or the next rotation is due; `null` for never. */
  readonly dueAt: Date | null;
  /** Whether there is a value to roll back to. */
  readonly canRollBack: boolean;
};

/** What people see of a credential that was never rotated. */
export const IDLE_SUMMARY: RotationSummary = {
  state: 'idle',
  reason: null,
  candidate: 0,
  startedAt: null,
  rotatedAt: null,
  retireDueAt: null,
  failure: null,
  dueAt: null,
  canRollBack: false,
};

const grantPointer = z.strictObject({
  field: z.literal('grant'),
  generation: count,
  attemptId: z.string(),
});
export const rotationProgressSchema = z.strictObject({
  state: z.enum(ROTATION_STATES),
  direction: z.enum(['forward', 'back']),
  overlap: z.enum(['dual', 'standby', 'none']).nullable(),
  reason: z.enum(ROTATION_REASONS).nullable(),
  attemptId: z.string().nullable(),
  candidate: count,
  refusals: count,
  failedTries: count,
  grant: grantPointer.nullable(),
  startedAt: instant.nullable(),
  probedAt: instant.nullable(),
  rotatedAt: instant.nullable(),
  retireDueAt: instant.nullable(),
  failure: z.strictObject({ code: z.custom<ErrorCode>(isErrorCode), message: z.string(), at: instant }).nullable(),
});

/** The step that is to be made or made again; `null` between rotations. */
export function openStepOf({ state }: Pick<RotationProgress, 'state'>): RotationStep | null {
  return ROTATION_STEPS.find((step) => step === state) ?? null;
}

/**
 * Whether nobody may use the secret or what comes from it: there is only one, and it is being replaced. From `setting` on
 * the other side may have forgotten the old one.
 */
export function blocksUse({ state, overlap }: Pick<RotationProgress, 'state' | 'overlap'>): boolean {
  return overlap === 'none' && (state === 'setting' || state === 'testing' || state === 'finishing');
}
