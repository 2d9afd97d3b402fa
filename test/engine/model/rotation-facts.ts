import { ConfigurationError, TransientError } from '../../../src/errors.ts';
import type { CredentialRecord, SecretPointer } from '../../../src/lifecycle/credential.ts';
import {
  IDLE_ROTATION,
  openStepOf,
  type RotationProgress,
  type RotationState,
} from '../../../src/lifecycle/rotation/progress.ts';
import { encodeSealedGrant } from '../../../src/lifecycle/sealed-grant.ts';
import type { OtherHolder } from './other-holder.ts';
import type { RotatingDriver } from './rotation-driver.ts';
import { promotes } from './rotation-paths.ts';

/** What a driver does in a step, and what earlier tries have left in the record, that the step ends as it is to. */
export interface Natural {
  readonly failure?: Error;
  readonly facts?: Partial<RotationProgress>;
  /** Whether the promotion brings a grant. */
  readonly granted?: boolean;
}

const refused = new ConfigurationError('ERR_ROTATION_CANDIDATE_REFUSED', 'The other side refuses this secret.');
const unreachable = new TransientError('ERR_ENDPOINT_UNREACHABLE', 'The other side is away.');
const misconfigured = new ConfigurationError('ERR_OAUTH2_REQUEST_REFUSED', 'This account may not do that.');

const POISONED = { refusals: 3, candidate: 1, direction: 'forward' } as const;
const LAST_REFUSAL = { refusals: 2 } as const;
const FORWARD = { refusals: 0, direction: 'forward' } as const;

const NATURAL: Readonly<Record<string, Natural>> = {
  'creating setting': {},
  'creating creating': { facts: POISONED },
  'creating creating waiting': { failure: unreachable, facts: FORWARD },
  'creating failed waiting': { failure: misconfigured, facts: FORWARD },
  'setting testing': {},
  'setting creating': { failure: refused, facts: LAST_REFUSAL },
  'setting creating waiting': { failure: refused },
  'setting setting waiting': { failure: unreachable },
  'setting failed waiting': { failure: misconfigured },
  'testing finishing': {},
  'testing testing': { failure: refused, facts: LAST_REFUSAL },
  'testing creating': { facts: POISONED },
  'testing testing waiting': { failure: unreachable },
  'testing failed waiting': { failure: misconfigured },
  'finishing finishing': { failure: refused, facts: LAST_REFUSAL },
  'finishing creating': { facts: POISONED },
  'finishing finishing waiting': { failure: unreachable },
  'finishing failed waiting': { failure: misconfigured },
  'overlapping idle waiting': {},
};

/** Every end that the other side alone brings about, beside the first write of a rotation. */
export const NATURAL_ENDS: readonly string[] = [
  ...Object.keys(NATURAL),
  'finishing idle waiting',
  'finishing overlapping waiting',
];

/** How the engine itself comes from one state to the other; `null`: only by another holder's doing. */
export function naturalEnd(
  { overlap }: RotatingDriver,
  step: RotationState,
  { rotation, goesOn, granted }: { rotation: RotationState; goesOn: boolean; granted: boolean },
): Natural | null {
  const isAfter = rotation === (overlap === 'none' ? 'idle' : 'overlapping');
  if (promotes(step, rotation) && isAfter) return { granted };
  return NATURAL[`${step} ${rotation}${goesOn ? '' : ' waiting'}`] ?? null;
}

let made = 0;
function newAttempt(): string {
  made += 1;
  return `other-${String(made)}`;
}

/** Seals a secret of the record's owner; `ahead` of the one in use by so many generations. */
async function newPointer(
  other: OtherHolder,
  driver: RotatingDriver,
  record: CredentialRecord,
  ahead: number,
): Promise<SecretPointer> {
  const generation = Math.max(record.registered.generation + ahead, 0);
  const pointer = { field: 'registered', generation, attemptId: newAttempt() } as const;
  await other.put(record, pointer, driver.newSecret());
  return pointer;
}

/** What earlier tries of the step have left. */
export async function leaveFacts(
  other: OtherHolder,
  driver: RotatingDriver,
  id: string,
  { facts, failure, granted }: Natural,
): Promise<void> {
  const record = await other.read(id);
  const rotation = { ...record.rotation, refusals: 0, ...facts };
  if (granted !== undefined) {
    const pointer = { field: 'grant', generation: record.generation + 1, attemptId: newAttempt() } as const;
    if (granted) await other.put(record, pointer, encodeSealedGrant(driver.issue()));
    await other.change(id, { rotation: { ...rotation, grant: granted ? pointer : null } });
    return;
  }
  // A candidate that is there already would not be made again.
  const isMade = rotation.state === 'creating' && failure !== undefined;
  const anew = isMade ? { next: null, rotation: { ...rotation, attemptId: newAttempt() } } : { rotation };
  await other.change(id, anew);
}

/** Leaves a rotation as another holder would at this state. */
export async function leaveRotationAt(
  other: OtherHolder,
  driver: RotatingDriver,
  id: string,
  state: RotationState,
): Promise<void> {
  const record = await other.read(id);
  const isOpen = openStepOf({ state }) !== null;
  const hasCandidate = isOpen && state !== 'creating';
  const next = hasCandidate ? await newPointer(other, driver, record, 1) : null;
  const previous = state === 'overlapping' ? await newPointer(other, driver, record, -1) : record.previous;
  const attemptId = isOpen ? (next?.attemptId ?? newAttempt()) : null;
  const rotation = { ...IDLE_ROTATION, state, overlap: driver.overlap, attemptId, candidate: isOpen ? 1 : 0 };
  await other.change(id, { next, previous, rotation, rotationDueAt: null });
}

/** There is a value to go back to. */
export async function leavePrevious(other: OtherHolder, driver: RotatingDriver, id: string): Promise<void> {
  const record = await other.read(id);
  if (record.previous === null) await other.change(id, { previous: await newPointer(other, driver, record, -1) });
}
