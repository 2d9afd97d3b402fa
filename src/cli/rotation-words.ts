import type { CredentialSummary } from '../client.ts';
import type { RotationReason, RotationState } from '../lifecycle/rotation/progress.ts';
import type { Cell } from './columns.ts';
import { formatDuration } from './duration.ts';
import type { Tone } from './style.ts';

const STATE_WORDS: Readonly<Record<RotationState, { readonly text: string; readonly tone: Tone }>> = {
  idle: { text: '–', tone: 'quiet' },
  creating: { text: 'making a secret', tone: 'busy' },
  setting: { text: 'setting the secret', tone: 'busy' },
  testing: { text: 'testing the secret', tone: 'busy' },
  finishing: { text: 'finishing', tone: 'busy' },
  overlapping: { text: 'old and new accepted', tone: 'good' },
  failed: { text: 'failed: old in use', tone: 'bad' },
};

const REASON_WORDS: Readonly<Record<RotationReason, string>> = {
  rotationRequested: 'a rotation was asked for',
  rollbackRequested: 'a rollback was asked for',
  keyAgeReached: 'the secret was old enough',
  secretExpiring: 'the secret was about to end',
  windowOpened: 'its maintenance window had opened',
  candidateRefused: 'the other side refused a new secret',
  candidatesExhausted: 'the other side refused every new secret',
  configurationFailure: 'the other side refuses the settings of the rotation',
  transientFailure: 'the last try failed for a passing cause',
};

export function rotationCell({ rotation }: Pick<CredentialSummary, 'rotation'>): Cell {
  return STATE_WORDS[rotation.state];
}

export function rotationReasonText(reason: RotationReason): string {
  return REASON_WORDS[reason];
}

/** Facts about the rotation of a secret, where there are any. */
export function rotationFacts({ rotation, rotateBy }: CredentialSummary, now: Date): Record<string, Cell> {
  const { state, reason, rotatedAt, retireDueAt, dueAt } = rotation;
  const because = reason === null ? '' : `, because ${rotationReasonText(reason)}`;
  const at = (instant: Date): string => {
    const leftMs = instant.getTime() - now.getTime();
    return `${leftMs <= 0 ? 'now' : `in ${formatDuration(leftMs)}`} (${instant.toISOString()})`;
  };
  return {
    ...(state !== 'idle' && {
      rotation: { ...rotationCell({ rotation }), text: `${STATE_WORDS[state].text}${because}` },
    }),
    ...(rotatedAt !== null && { 'rotated at': { text: rotatedAt.toISOString() } }),
    ...(state === 'overlapping' && retireDueAt !== null && { 'old secret ends': { text: at(retireDueAt) } }),
    ...(state === 'idle' && dueAt !== null && { 'next rotation': { text: at(dueAt) } }),
    ...(rotateBy !== null && { 'rotate by': { text: at(rotateBy) } }),
  };
}

/** What is wrong with a rotation, in one sentence with the code of its last failure; `null` when nothing is. */
export function rotationTrouble({ rotation }: Pick<CredentialSummary, 'rotation'>): string | null {
  const { failure } = rotation;
  return failure === null ? null : `The rotation of its secret: ${failure.message} [${failure.code}]`;
}
