import { ConfigurationError, toCredentialError, TransientError } from './errors.ts';
import type { Awakening } from './lifecycle/awakening.ts';
import { lifecycleStateOf, type CredentialId, type CredentialRecord } from './lifecycle/credential.ts';
import { openRecord, requireRecord, revised, wait, type Surroundings } from './lifecycle/effects.ts';
import { LEASE_MS } from './lifecycle/held-claim.ts';
import type { RotationOrder } from './lifecycle/rotation/contract.ts';
import { parseRotationPolicy, type RotationPolicyInput } from './lifecycle/rotation/plan.ts';
import { proofChanges, replannedDueAt, type RotationDue } from './lifecycle/rotation/policy.ts';
import { blocksUse, openStepOf } from './lifecycle/rotation/progress.ts';
import { requireOtherPrincipal, rotationOf } from './lifecycle/rotation/write.ts';
import { orAborted, SingleFlight } from './single-flight.ts';
import type { Claim } from './storage/record-store.ts';
import { refusal } from './summary.ts';

const POLL_MS = 50;
/** Every so many looks a waiter sees whether the holder is dead. */
const LOOKS_PER_CLAIM = 20;
const LONGEST_WAIT_MS = 60_000;

/** The verbs `rotate` and `rollback`, and what waits for them. At most one rotation per credential runs in this process. */
export class Rotations {
  readonly #surroundings: Surroundings;
  readonly #awakening: Awakening;
  readonly #onMoved: (id: CredentialId) => void;
  readonly #flights = new SingleFlight<void>();

  /** @param onMoved called when a record's rotation may have moved */
  constructor(surroundings: Surroundings, awakening: Awakening, onMoved: (id: CredentialId) => void) {
    this.#surroundings = surroundings;
    this.#awakening = awakening;
    this.#onMoved = onMoved;
  }

  /** Begins a rotation, or goes on with the one that is open. */
  async rotate(record: CredentialRecord, signal: AbortSignal | undefined): Promise<void> {
    await this.#requireRotatable(record);
    const open = openStepOf(record.rotation) !== null;
    const flight = this.#run(record.id, () =>
      open
        ? this.#awakening.resumeRotation(record, null)
        : this.#awakening.rotate(record, orderOf(record, 'forward', 'rotationRequested'), null),
    );
    await orAborted(flight, signal);
  }

  /** Back to the value before. */
  async rollback(record: CredentialRecord, signal: AbortSignal | undefined): Promise<void> {
    await this.#requireRotatable(record);
    const { id, rotation, previous } = record;
    if (openStepOf(rotation) !== null || this.#flights.has(id)) throw inProgress(id);
    if (previous === null) {
      throw new ConfigurationError('ERR_ROTATION_NOTHING_TO_ROLL_BACK', 'There is no value before this one.', {
        credentialId: id,
      });
    }
    const order = orderOf(record, 'back', 'rollbackRequested');
    await orAborted(
      this.#run(id, () => this.#awakening.rotate(record, order, null)),
      signal,
    );
  }

  /** What the scheduler does with a record whose rotation is due. */
  async runDue(record: CredentialRecord, due: RotationDue, claim: Claim): Promise<void> {
    switch (due.decision) {
      case 'resume':
        return this.#run(record.id, () => this.#awakening.resumeRotation(record, claim));
      case 'rotate':
        return this.#run(record.id, () =>
          this.#awakening.rotate(record, orderOf(record, 'forward', due.reason), claim),
        );
      default:
        return this.#replan(record, claim);
    }
  }

  /** Waits while the only secret is being replaced, and goes on with the replacement when its holder is dead. */
  async whenUsable(known: CredentialRecord, signal?: AbortSignal): Promise<CredentialRecord> {
    // What the caller knows is what he asks about: a later record may hold his answer already.
    if (!blocksUse(known.rotation)) return known;
    const { id } = known;
    const { ports } = this.#surroundings;
    const startedMs = ports.clock.hostTime().ms;
    for (let look = 0; ; look += 1) {
      const record = await requireRecord(this.#surroundings, id);
      if (!blocksUse(record.rotation) || lifecycleStateOf(record.state) === 'revoked') return record;
      if (ports.clock.hostTime().ms - startedMs > LONGEST_WAIT_MS) throw inProgress(id);
      if (look % LOOKS_PER_CLAIM === 0) await this.#takeOver(record);
      await wait(ports, POLL_MS, signal ?? new AbortController().signal);
    }
  }

  /** Somebody asked for a test after the promotion, and the other side accepted the new secret: the old one may go. */
  async proven(id: CredentialId, since: Date): Promise<void> {
    const { records, ports } = this.#surroundings;
    for (;;) {
      const record = await requireRecord(this.#surroundings, id);
      const now = ports.clock.now();
      const changes = proofChanges(record, since, now);
      if (changes === null) return;
      const next = revised(record, changes, now);
      if (await records.compareAndSet({ record: next, expectedRevision: record.revision })) break;
    }
    this.#onMoved(id);
  }

  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_ROTATION_UNSUPPORTED` */
  async setPolicy(id: CredentialId, input: RotationPolicyInput | null): Promise<void> {
    const { records, ports, drivers } = this.#surroundings;
    const rotationPolicy = input === null ? null : parseRotationPolicy(input);
    for (;;) {
      const record = await requireRecord(this.#surroundings, id);
      if (rotationPolicy !== null) rotationOf(drivers.driver(record.protocol));
      const now = ports.clock.now();
      const changed = { ...record, rotationPolicy };
      const next = revised(record, { rotationPolicy, rotationDueAt: replannedDueAt(changed, now) }, now);
      if (await records.compareAndSet({ record: next, expectedRevision: record.revision })) break;
    }
    this.#onMoved(id);
  }

  has(id: CredentialId): boolean {
    return this.#flights.has(id);
  }

  keys(): string[] {
    return this.#flights.keys();
  }

  async settled(): Promise<void> {
    await this.#flights.settled();
  }

  async #run(id: CredentialId, operation: () => Promise<void>): Promise<void> {
    return this.#flights.run(id, async () => {
      try {
        await operation();
      } finally {
        this.#onMoved(id);
      }
    });
  }

  async #takeOver(record: CredentialRecord): Promise<void> {
    const { records, owner, ports } = this.#surroundings;
    const isDue = record.rotationDueAt !== null && record.rotationDueAt <= ports.clock.now();
    if (!isDue || this.has(record.id)) return;
    const claim = await records.claim(record.id, owner, LEASE_MS);
    if (claim === null) return;
    this.#run(record.id, () => this.#awakening.resumeRotation(record, claim)).catch((error: unknown) => {
      const { code } = toCredentialError(error);
      ports.logger.warn({ credentialId: record.id, code }, 'A rotation that was left open could not go on.');
    });
  }

  async #replan(record: CredentialRecord, claim: Claim): Promise<void> {
    const { records, ports } = this.#surroundings;
    const now = ports.clock.now();
    const next = revised(record, { rotationDueAt: replannedDueAt(record, now) }, now);
    const change = { record: next, expectedRevision: record.revision, claim, release: claim };
    if (!(await records.compareAndSet(change))) await records.releaseClaim(claim);
  }

  async #requireRotatable(record: CredentialRecord): Promise<void> {
    const { ports, drivers } = this.#surroundings;
    if (lifecycleStateOf(record.state) === 'revoked') throw refusal(record, ports.clock.now());
    if (rotationOf(drivers.driver(record.protocol)).accounts !== undefined) {
      requireOtherPrincipal(await openRecord(this.#surroundings, record));
    }
  }
}

function orderOf(
  { registered }: CredentialRecord,
  direction: RotationOrder['direction'],
  reason: RotationOrder['reason'],
): RotationOrder {
  return { direction, reason, registered: registered.generation };
}

function inProgress(credentialId: CredentialId): TransientError {
  return new TransientError('ERR_ROTATION_IN_PROGRESS', 'The secret of this credential is being replaced.', {
    credentialId,
  });
}
