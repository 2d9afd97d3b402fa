import { toCredentialError } from '../errors.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { PendingRevocation } from '../storage/ledger.ts';
import {
  isSamePointer,
  lifecycleStateOf,
  pointersOf,
  type CredentialId,
  type CredentialRecord,
  type SecretPointer,
} from './credential.ts';
import { driverInput, openRecord, requireRecord, type Surroundings } from './effects.ts';
import { stableFraction } from './policy.ts';
import { HeldClaim, LEASE_MS } from './held-claim.ts';
import { openStepOf } from './rotation/progress.ts';
import { parseSealedGrant } from './sealed-grant.ts';

/**
 * What must still be ended at the other side, worked off until the other side has answered. What an entry asks for follows
 * from the value that it names: a registered secret is retired, a grant is revoked, and an entry without a value revokes
 * the grant in use. An entry goes only after that has succeeded, or when the other side offers no way to.
 */
const BATCH = 16;
const EVERY = { now: new Date('9999-01-01T00:00:00.000Z'), limit: 10_000 } as const;
const LOOK_MS = 1_000;
const BUSY_MS = 5_000;
const BACKOFF_FIRST_MS = 5_000;
const BACKOFF_MOST_MS = 3_600_000;

/** Writes down that a value must be ended, durably, before anything lets go of it. Twice is once. */
export async function owe(
  { records, ports }: Surroundings,
  { id }: Pick<CredentialRecord, 'id'>,
  value: SecretPointer | null,
): Promise<void> {
  const now = ports.clock.now();
  const revocationId =
    value === null ? `${id}/grant` : [id, value.field, String(value.generation), value.attemptId].join('/');
  await records.putPendingRevocation({ revocationId, credentialId: id, value, tries: 0, dueAt: now, createdAt: now });
}

/** What is still owed for a credential. */
export async function revocationsOf(
  records: Pick<RecordStore, 'listPendingRevocations'>,
  id: CredentialId,
): Promise<readonly PendingRevocation[]> {
  return (await records.listPendingRevocations(EVERY)).filter(({ credentialId }) => credentialId === id);
}

/** Works off what is due, most urgent first. What fails is due again later. */
export async function endDue(surroundings: Surroundings): Promise<void> {
  const due = await surroundings.records.listPendingRevocations({ now: surroundings.ports.clock.now(), limit: BATCH });
  for (const revocation of due) await endOne(surroundings, revocation);
}

/** Works the list off for as long as an engine keeps credentials. */
export class PendingRevocations {
  readonly #surroundings: Surroundings;
  #stopped = true;
  #cancel = (): void => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
  }

  start(): void {
    this.#stopped = false;
    this.#lookIn(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#running;
  }

  #lookIn(ms: number): void {
    const { clock, logger } = this.#surroundings.ports;
    if (this.#stopped) return;
    this.#cancel = clock.schedule(ms, () => {
      this.#running = endDue(this.#surroundings)
        .catch((error: unknown) => {
          logger.error({ code: toCredentialError(error).code }, 'Pending revocations could not be read; trying again.');
        })
        .finally(() => {
          this.#lookIn(LOOK_MS);
        });
    });
  }
}

/** Tries everything that is owed for a credential, now. */
export async function endPending(surroundings: Surroundings, id: CredentialId): Promise<void> {
  for (const revocation of await revocationsOf(surroundings.records, id)) await endOne(surroundings, revocation);
}

async function endOne(surroundings: Surroundings, revocation: PendingRevocation): Promise<void> {
  const { records, owner } = surroundings;
  const claim = await records.claim(revocation.credentialId, owner, LEASE_MS);
  // Whoever has it now may be ending the very same value; it stays due.
  if (claim === null) return;
  const stopRenewal = new HeldClaim(surroundings, claim).keep();
  try {
    await endClaimed(surroundings, revocation);
  } finally {
    stopRenewal();
    await records.releaseClaim(claim);
  }
}

async function endClaimed(surroundings: Surroundings, listed: PendingRevocation): Promise<void> {
  const { records, vault, ports } = surroundings;
  const { credentialId, revocationId, value } = listed;
  const revocation = (await revocationsOf(records, credentialId)).find((each) => each.revocationId === revocationId);
  if (revocation === undefined) return;
  try {
    const record = await requireRecord(surroundings, credentialId);
    // What is owed for a deleted credential as a whole is ended with what is left of it.
    if (value === null && record.deletedAt !== null) return;
    if (openStepOf(record.rotation) !== null) {
      await postpone(surroundings, revocation, BUSY_MS);
      return;
    }
    const isInUse = value !== null && pointersOf(record).some((pointer) => isSamePointer(pointer, value));
    // Nobody has let go of it yet: whoever wrote this down was stopped before he could.
    if (isInUse) {
      await backOff(surroundings, revocation);
      return;
    }
    await endAtOtherSide(surroundings, record, value);
    await records.removePendingRevocation(revocationId);
    if (value !== null) await vault.delete(record, value);
    await forgetRevoked(surroundings, record);
  } catch (error) {
    const { code } = toCredentialError(error);
    ports.logger.warn({ credentialId, code, tries: revocation.tries + 1 }, 'A revocation failed; it is tried again.');
    await backOff(surroundings, revocation);
  }
}

async function endAtOtherSide(
  surroundings: Surroundings,
  record: CredentialRecord,
  value: SecretPointer | null,
): Promise<void> {
  // A revoked credential's own grant was ended already, and may be gone.
  const isGone = value !== null && lifecycleStateOf(record.state) === 'revoked';
  const opened = await openRecord(surroundings, isGone ? { ...record, grant: null } : record);
  const input = driverInput(opened, new AbortController().signal);
  if (value === null) {
    await opened.driver.revoke(input);
    return;
  }
  const sealed = await surroundings.vault.get(record, value);
  if (value.field === 'registered') {
    await opened.driver.rotation?.retire({ ...input, retired: sealed });
  } else {
    await opened.driver.revoke({ ...input, grant: parseSealedGrant(sealed).grant });
  }
}

/** The values of a revoked credential stay for as long as something is owed: to end it takes them. */
async function forgetRevoked({ records, vault }: Surroundings, record: CredentialRecord): Promise<void> {
  if (lifecycleStateOf(record.state) !== 'revoked' || record.failure !== null) return;
  if ((await revocationsOf(records, record.id)).length === 0) await vault.deleteAll(record);
}

async function postpone({ records, ports }: Surroundings, revocation: PendingRevocation, ms: number): Promise<void> {
  const dueAt = new Date(ports.clock.now().getTime() + ms);
  await records.putPendingRevocation({ ...revocation, dueAt });
}

async function backOff(surroundings: Surroundings, revocation: PendingRevocation): Promise<void> {
  const exponential = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(revocation.tries, 16), BACKOFF_MOST_MS);
  const jittered = exponential * (0.75 + 0.25 * stableFraction(revocation.revocationId));
  await postpone(surroundings, { ...revocation, tries: revocation.tries + 1 }, Math.ceil(jittered));
}
