import type { CredentialError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { RotationDriver, RotationInput } from '../../protocols/protocol.ts';
import type { Secret } from '../../secret.ts';
import { lifecycleStateOf, type CredentialRecord, type SecretPointer } from '../credential.ts';
import { driverInput, newId, openRecord, requireRecord, wait, type Opened, type Surroundings } from '../effects.ts';
import { owe } from '../revocations.ts';
import { encodeSealedGrant } from '../sealed-grant.ts';
import { putValue } from '../settle.ts';
import type { Rotating } from './contract.ts';
import { probeAgainAt } from './policy.ts';
import { promote } from './promote.ts';
import { ClaimLost, holdStill, requireOtherPrincipal, rotationOf, write, type Step } from './write.ts';
import { dropCandidate, POISONED_AFTER, settleStepFailed } from './failure.ts';

/**
 * Where there is only one secret, callers that were given the old one a moment ago have this long to use it, and other
 * processes to see that it must not be given out any more.
 */
const SETTLE_MS = 1_000;
const SLICE_MS = 50;

/** Makes the candidate, seals it, then points the record at it: only then may the other side hear of it. */
export async function createStep(surroundings: Surroundings, given: Step): Promise<Rotating> {
  const { rotation } = given.record;
  if (rotation.refusals >= POISONED_AFTER) return dropCandidate(surroundings, given);
  const opened = await openRecord(surroundings, given.record);
  requireOtherPrincipal(opened);
  const step = { ...given, record: opened.record };
  const { next, previous } = opened.record;
  if (next === null && rotation.direction === 'forward') return createCandidate(surroundings, step, opened);
  return pointAt(surroundings, step, next ?? previous);
}

async function createCandidate(surroundings: Surroundings, step: Step, opened: Opened): Promise<Rotating> {
  const { record, signal, resumed } = step;
  const { vault } = surroundings;
  const pointer = candidatePointer(record);
  const found = await vault.find(record, pointer);
  const previous = record.previous === null ? null : await vault.find(record, record.previous);
  const { attemptId } = pointer;
  const input = { ...driverInput(opened, signal), previous, attemptId, resumed };
  const candidate = found ?? (await rotationOf(opened.driver).create(input));
  if (found === null) await putValue(surroundings, record, pointer, candidate);
  try {
    return await pointAt(surroundings, step, pointer);
  } catch (error) {
    if (!(error instanceof ClaimLost) || !(await isRevoked(surroundings, record.id))) throw error;
    // Its owner has ended the credential meanwhile, without knowing of what was made here: to end that takes both values.
    await vault.put(record, record.registered, opened.registered);
    await vault.put(record, pointer, candidate);
    await owe(surroundings, record, pointer);
    throw error;
  }
}

function pointAt(surroundings: Surroundings, step: Step, next: SecretPointer | null): Promise<Rotating> {
  return write(surroundings, step, ({ rotation }) => ({
    changes: { next, rotation: { ...rotation, state: 'setting', failedTries: 0, failure: null } },
  }));
}

async function isRevoked(surroundings: Surroundings, id: string): Promise<boolean> {
  return lifecycleStateOf((await requireRecord(surroundings, id)).state) === 'revoked';
}

/** Name of the candidate that the rotation is about to make. */
function candidatePointer({ registered, rotation }: CredentialRecord): SecretPointer {
  return { field: 'registered', generation: registered.generation + 1, attemptId: rotation.attemptId ?? '' };
}

export async function setStep(surroundings: Surroundings, given: Step): Promise<Rotating> {
  const { opened, rotation, candidate } = await openCandidate(surroundings, given);
  const step = { ...given, record: opened.record };
  const probed = given.resumed ? await beginProbe(surroundings, step, rotation) : step.record;
  if ('outcome' in probed) return probed;
  if (!given.resumed && probed.rotation.overlap === 'none') await settle(surroundings, step);
  await holdStill(surroundings, step);
  await rotation.set(inputOf(opened, { ...step, candidate }));
  return write(surroundings, { ...step, record: probed }, ({ rotation: now }) => ({
    changes: { rotation: { ...now, state: 'testing', failedTries: 0, failure: null } },
  }));
}

/** To find out what an interrupted `set` has done can cost a failed login: written down first, and once per lockout window. */
async function beginProbe(
  { records, ports }: Surroundings,
  { record, claim }: Step,
  driver: RotationDriver,
): Promise<CredentialRecord | Rotating> {
  const now = ports.clock.now();
  const againAt = probeAgainAt(record.rotation, driver.lockoutWindowMs?.(record.config) ?? 0);
  const waits = againAt !== null && now < againAt;
  const rotation = waits ? record.rotation : { ...record.rotation, probedAt: now };
  const next = {
    ...record,
    rotation,
    rotationDueAt: waits ? againAt : now,
    revision: record.revision + 1,
    updatedAt: now,
  };
  const release = waits ? { release: claim } : {};
  const written = await records.compareAndSet({ record: next, expectedRevision: record.revision, claim, ...release });
  if (!written) throw new ClaimLost();
  if (!waits) return next;
  return { outcome: 'rotating', rotation: rotation.state, claim: null, resumed: true, granted: null, events: [] };
}

async function settle({ ports }: Surroundings, { signal }: Step): Promise<void> {
  for (let leftMs = SETTLE_MS; leftMs > 0; leftMs -= SLICE_MS) await wait(ports, SLICE_MS, signal);
}

export async function testStep(surroundings: Surroundings, given: Step): Promise<Rotating> {
  if (given.record.rotation.refusals >= POISONED_AFTER) return dropCandidate(surroundings, given);
  const { opened, rotation, candidate } = await openCandidate(surroundings, given);
  const step = { ...given, record: opened.record };
  const issued = await rotation.test(inputOf(opened, { ...step, candidate }));
  const { record } = opened;
  const grant = { field: 'grant', generation: record.generation + 1, attemptId: newId(surroundings.ports) } as const;
  if (issued !== null) await putValue(surroundings, record, grant, encodeSealedGrant(issued));
  return write(surroundings, step, ({ rotation: now }) => ({
    changes: {
      rotation: { ...now, state: 'finishing', grant: issued && grant, failedTries: 0, failure: null },
    },
  }));
}

export async function finishStep(surroundings: Surroundings, given: Step): Promise<Rotating> {
  if (given.record.rotation.refusals >= POISONED_AFTER) return dropCandidate(surroundings, given);
  const { opened, rotation, candidate } = await openCandidate(surroundings, given);
  const step = { ...given, record: opened.record };
  await rotation.finish(inputOf(opened, { ...step, candidate }));
  return promote(surroundings, step);
}

/** What went wrong in a step, as the record's next state. */
export function failStep(surroundings: Surroundings, step: Step, failure: CredentialError): Promise<Rotating> {
  surroundings.ports.logger.warn(
    { credentialId: step.record.id, code: failure.code, rotation: step.record.rotation.state },
    'A step of a rotation failed.',
  );
  return settleStepFailed(surroundings, step, failure);
}

async function openCandidate(surroundings: Surroundings, { record }: Step) {
  const opened = await openRecord(surroundings, record);
  const { next } = opened.record;
  if (next === null) throw new ClaimLost();
  const candidate = await surroundings.vault.get(record, next);
  return { opened, rotation: rotationOf(opened.driver), candidate };
}

function inputOf(
  opened: Opened,
  { candidate, resumed, signal }: Step & { candidate: Secret<JsonObject> },
): RotationInput {
  return { ...driverInput(opened, signal), candidate, resumed };
}
