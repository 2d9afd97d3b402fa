import { createActor, waitFor, type Actor } from 'xstate';
import { errorOfCode, isErrorCode } from '../errors.ts';
import type { Claim } from '../storage/record-store.ts';
import { createActors } from './actors.ts';
import type { CredentialRecord, Reason } from './credential.ts';
import type { Surroundings } from './effects.ts';
import type { CredentialEvent } from './events.ts';
import type { Inspections } from './inspect.ts';
import type { RotationOrder } from './rotation/contract.ts';
import { NOT_ROTATING } from './rotation/region.ts';
import { credentialMachine, stateValueOf, type MachineEvent, type Settled } from './machine.ts';

/**
 * Wakes a stored credential into an actor for one command or fact, and lets it sleep again when it has settled. A million
 * stored credentials cost no actor; due times live in the store.
 */
export class Awakening {
  readonly #machine;
  readonly #publish: (event: CredentialEvent) => void;
  readonly #inspections: Inspections;

  constructor(surroundings: Surroundings, publish: (event: CredentialEvent) => void, inspections: Inspections) {
    this.#machine = credentialMachine.provide({ actors: createActors(surroundings) });
    this.#publish = publish;
    this.#inspections = inspections;
  }

  /** Ends when the refresh has settled in the store, well or badly. @throws CredentialError when nothing could be stored */
  async refresh(record: CredentialRecord, reason: Reason, claim: Claim | null): Promise<void> {
    await this.#awake(record, { type: 'credential.refresh', reason, claim });
  }

  async revoke(record: CredentialRecord): Promise<void> {
    await this.#awake(record, { type: 'credential.revoke' });
  }

  /** Ends when the rotation is over, or waits for its next try. */
  async rotate(record: CredentialRecord, order: RotationOrder, claim: Claim | null): Promise<void> {
    const type = order.direction === 'back' ? 'credential.rollback' : 'credential.rotate';
    await this.#awake(record, { type, order, claim });
  }

  /** Goes on with an open rotation, or ends an overlap. */
  async resumeRotation(record: CredentialRecord, claim: Claim | null): Promise<void> {
    await this.#awake(record, { type: 'rotation.resume', claim });
  }

  async expire(record: CredentialRecord, settled: Settled): Promise<void> {
    await this.#awake(record, { type: 'expiry.reached', settled });
  }

  async authorized(record: CredentialRecord, settled: Settled): Promise<void> {
    await this.#awake(record, { type: 'authorization.completed', settled });
  }

  async tested(record: CredentialRecord, success: boolean): Promise<void> {
    await this.#awake(record, { type: success ? 'test.passed' : 'test.failed' });
  }

  async #awake(record: CredentialRecord, event: MachineEvent): Promise<void> {
    const actor = this.#hydrate(record);
    const events = actor.on('*', this.#publish);
    // An actor without an error observer ends the host process when something in it throws.
    const errors = actor.subscribe({ error: () => undefined });
    try {
      actor.start();
      actor.send(event);
      const { context } = await waitFor(actor, (snapshot) => !snapshot.hasTag('busy'));
      const { interruption } = context;
      if (interruption) {
        const code = isErrorCode(interruption.code) ? interruption.code : 'ERR_INTERNAL';
        throw errorOfCode(code, interruption.message, { credentialId: record.id });
      }
    } finally {
      errors.unsubscribe();
      events.unsubscribe();
      actor.stop();
    }
  }

  #hydrate(record: CredentialRecord): Actor<typeof credentialMachine> {
    const { id: credentialId, generation, reason } = record;
    const snapshot = this.#machine.resolveState({
      value: stateValueOf(record.state, record.health, record.rotation.state),
      context: {
        credentialId,
        generation,
        reason,
        claim: null,
        attemptId: null,
        rotating: NOT_ROTATING,
        interruption: null,
      },
    });
    return createActor(this.#machine, {
      // What an inspector calls it.
      id: credentialId,
      snapshot,
      input: { credentialId, generation, reason },
      ...this.#inspections.actorOptions(),
    });
  }
}
