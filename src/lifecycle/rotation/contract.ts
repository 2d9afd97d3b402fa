import type { Claim } from '../../storage/record-store.ts';
import type { CredentialId } from '../credential.ts';
import type { CredentialEvent } from '../events.ts';
import type { Interruption, Settled } from '../machine.ts';
import type { RotationReason, RotationState, RotationStep } from './progress.ts';

/** What was asked for. */
export interface RotationOrder {
  /** `back`: to the value before. */
  readonly direction: 'forward' | 'back';
  readonly reason: RotationReason;
  /** Generation of the secret that the asker wants replaced: another one in the store answers him. */
  readonly registered: number;
}

export interface StepInput {
  readonly credentialId: CredentialId;
  readonly step: RotationStep | 'overlapping';
  /** `null`: go on with the rotation that is stored. */
  readonly order: RotationOrder | null;
  /** A claim that is already held, or `null` to take one. */
  readonly claim: Claim | null;
  /** An earlier run began this step and its end is not known. */
  readonly resumed: boolean;
}

/** Where a step left the stored record. The record is written before the machine moves. */
export interface Rotating {
  readonly outcome: 'rotating';
  readonly rotation: RotationState;
  /** The right under which the next step is made at once; `null`: it waits for its due time, or there is none. */
  readonly claim: Claim | null;
  /** The step that follows was begun by an earlier run, whose end is not known. */
  readonly resumed: boolean;
  /** The record's life, when the promotion brought a new grant. */
  readonly granted: Settled | null;
  readonly events: readonly CredentialEvent[];
}

export type RotationOutcome = Rotating | { readonly outcome: 'interrupted'; readonly interruption: Interruption };
