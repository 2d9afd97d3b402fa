import type { RejectionDecision } from './client.ts';
import { isCredentialError, toCredentialError } from './errors.ts';
import { endRejected, endUpstream } from './health/endings.ts';
import type { CredentialId, CredentialRecord, Reason } from './lifecycle/credential.ts';
import { driverInput, openRecord, requireRecord, type Surroundings } from './lifecycle/effects.ts';
import type { CredentialEvent } from './lifecycle/events.ts';
import { decideUnconfirmedRejection, decideUse, isAlive } from './lifecycle/policy.ts';
import type { Confirmation } from './protocols/protocol.ts';
import { SingleFlight } from './single-flight.ts';

/** A burst of failing requests asks the other side once. */
const ACCEPTED_FOR_MS = 5_000;
const CONFIRMATION_TIMEOUT_MS = 30_000;

/** What to do when an API refused material: believe the other side, not the API, wherever the other side can be asked. */
export class RejectionReports {
  readonly #surroundings: Surroundings;
  readonly #refresh: (record: CredentialRecord, reason: Reason) => Promise<void>;
  readonly #publish: (event: CredentialEvent) => void;
  readonly #flights = new SingleFlight<RejectionDecision>();
  readonly #accepted = new Map<CredentialId, { readonly generation: number; readonly untilMs: number }>();

  constructor(
    surroundings: Surroundings,
    refresh: (record: CredentialRecord, reason: Reason) => Promise<void>,
    publish: (event: CredentialEvent) => void,
  ) {
    this.#surroundings = surroundings;
    this.#refresh = refresh;
    this.#publish = publish;
  }

  async report(id: CredentialId, generation: number): Promise<RejectionDecision> {
    return this.#flights.run(`${id}/${String(generation)}`, () => this.#consider(id, generation));
  }

  async settled(): Promise<void> {
    await this.#flights.settled();
  }

  async #consider(id: CredentialId, generation: number): Promise<RejectionDecision> {
    const record = await requireRecord(this.#surroundings, id);
    const current = { generation: record.generation } as const;
    if (record.generation !== generation)
      return { ...current, decision: 'alreadyRefreshed', reason: 'newerGeneration' };
    const { decision: use } = decideUse(record, this.#surroundings.ports.clock.now());
    if (use === 'refuse') return { ...current, decision: 'notRefreshed', reason: record.reason };
    if (this.#wasJustAccepted(id, generation)) return { ...current, decision: 'stillAccepted', reason: 'confirmed' };
    const confirmation = await this.#confirm(record);
    if (confirmation === 'unknown') return { ...current, decision: 'notRefreshed', reason: 'confirmationFailed' };
    if (confirmation === 'accepted') {
      this.#accepted.set(id, { generation, untilMs: this.#nowMs() + ACCEPTED_FOR_MS });
      return { ...current, decision: 'stillAccepted', reason: 'confirmed' };
    }
    this.#accepted.delete(id);
    const unconfirmed = decideUnconfirmedRejection(record, this.#surroundings.ports.clock.now());
    if (confirmation === 'unconfirmable' && unconfirmed.decision === 'keep') {
      return { ...current, decision: 'notRefreshed', reason: 'unconfirmed' };
    }
    await this.#refresh(record, confirmation === 'rejected' ? 'rejectionConfirmed' : 'rejectedByApi');
    if (confirmation === 'rejected') await this.#endUnlessRefreshed(id, generation);
    const after = await requireRecord(this.#surroundings, id);
    const decision = after.generation > generation ? 'refreshed' : 'notRefreshed';
    return { decision, reason: after.reason, generation: after.generation };
  }

  async #endUnlessRefreshed(id: CredentialId, generation: number): Promise<void> {
    for (const event of await endRejected(this.#surroundings, id, generation)) this.#publish(event);
  }

  /** `unknown` while the endpoint that could tell cannot be asked: then nothing is refreshed on suspicion. */
  async #confirm(record: CredentialRecord): Promise<Confirmation | 'unknown'> {
    const { ports } = this.#surroundings;
    if (!isAlive(record, ports.clock.now())) return 'rejected';
    const opened = await openRecord(this.#surroundings, record);
    try {
      return await opened.driver.confirm(driverInput(opened, AbortSignal.timeout(CONFIRMATION_TIMEOUT_MS)));
    } catch (error) {
      if (isCredentialError(error) && error.code === 'ERR_CREDENTIAL_REVOKED_UPSTREAM') {
        for (const event of await endUpstream(this.#surroundings, record.id)) this.#publish(event);
      }
      ports.logger.warn(
        { credentialId: record.id, code: toCredentialError(error).code },
        'A rejection could not be confirmed.',
      );
      return 'unknown';
    }
  }

  #wasJustAccepted(id: CredentialId, generation: number): boolean {
    const accepted = this.#accepted.get(id);
    return accepted?.generation === generation && this.#nowMs() < accepted.untilMs;
  }

  #nowMs(): number {
    return this.#surroundings.ports.clock.hostTime().ms;
  }
}
