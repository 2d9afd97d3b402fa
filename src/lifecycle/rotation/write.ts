import { ConfigurationError } from '../../errors.ts';
import type { ProtocolDriver, RotationDriver } from '../../protocols/protocol.ts';
import type { Claim } from '../../storage/record-store.ts';
import { lifecycleStateOf, type CredentialRecord } from '../credential.ts';
import { eventsOf, requireRecord, revised, settledAt, type Opened, type Surroundings } from '../effects.ts';
import type { EventType } from '../events.ts';
import { LEASE_MS } from '../held-claim.ts';
import type { Rotating } from './contract.ts';
import { openStepOf, type RotationReason } from './progress.ts';

/** One step under way. */
export interface Step {
  readonly record: CredentialRecord;
  readonly claim: Claim;
  readonly resumed: boolean;
  readonly signal: AbortSignal;
}

/** @throws ConfigurationError `ERR_ROTATION_UNSUPPORTED` */
export function rotationOf(driver: ProtocolDriver): RotationDriver {
  if (driver.rotation) return driver.rotation;
  throw new ConfigurationError('ERR_ROTATION_UNSUPPORTED', 'This protocol cannot replace a secret by itself.');
}

/** @throws ConfigurationError `ERR_ROTATION_PRINCIPAL_IS_ROTATED` */
export function requireOtherPrincipal({ driver, record, registered, grant }: Opened): void {
  const accounts = rotationOf(driver).accounts?.({ config: record.config, registered, grant });
  if (accounts === undefined || accounts.rotated !== accounts.secondPrincipal) return;
  throw new ConfigurationError(
    'ERR_ROTATION_PRINCIPAL_IS_ROTATED',
    'The second principal is the account whose secret is to be replaced.',
    { credentialId: record.id },
  );
}

/** Another holder has the credential now, or its owner has ended it. */
export class ClaimLost extends Error {}

/** What a step writes. */
export interface StepWrite {
  readonly changes: Partial<CredentialRecord>;
  readonly events?: readonly { readonly type: EventType; readonly reason: RotationReason | null }[];
  /** Whether the next step waits for its due time; it follows at once otherwise. */
  readonly waits?: boolean;
  readonly granted?: boolean;
}

/**
 * Writes what a step has reached, under its claim. An edit without a claim (health, settings) is built upon; a record that
 * another holder or its owner has moved is left alone.
 */
export async function write(
  surroundings: Surroundings,
  { record: seen, claim }: Pick<Step, 'record' | 'claim'>,
  changesOf: (record: CredentialRecord) => StepWrite,
): Promise<Rotating> {
  const { records, ports } = surroundings;
  for (let record = seen; ;) {
    const now = ports.clock.now();
    const { changes, events: told = [], waits = false, granted = false } = changesOf(record);
    const next = revised(record, { rotationDueAt: now, ...changes }, now);
    const goesOn = !waits && openStepOf(next.rotation) !== null;
    const events = told.flatMap(({ type, reason }) => eventsOf([type], next, ports, reason));
    const release = goesOn ? {} : { release: claim };
    const expectedRevision = record.revision;
    if (await records.compareAndSet({ record: next, expectedRevision, claim, events, ...release })) {
      const { state } = next.rotation;
      return {
        outcome: 'rotating',
        rotation: state,
        claim: goesOn ? claim : null,
        resumed: false,
        granted: granted ? settledAt(next) : null,
        events,
      };
    }
    record = await requireSame(surroundings, seen, record.revision);
  }
}

/** The record as it is, if it is still at the step that the holder has seen. */
async function requireSame(
  surroundings: Surroundings,
  seen: CredentialRecord,
  writtenFrom: number,
): Promise<CredentialRecord> {
  const record = await requireRecord(surroundings, seen.id);
  const { rotation } = record;
  const same = rotation.attemptId === seen.rotation.attemptId && rotation.state === seen.rotation.state;
  if (!same || record.revision === writtenFrom || lifecycleStateOf(record.state) === 'revoked') throw new ClaimLost();
  return record;
}

/** Right before the other side is told: whether the claim and the record still are the ones that this step began with. */
export async function holdStill(surroundings: Surroundings, { record, claim }: Step): Promise<void> {
  if (!(await surroundings.records.renewClaim(claim, LEASE_MS))) throw new ClaimLost();
  await requireSame(surroundings, record, -1);
}
