import type { CredentialSummary } from '../client.ts';
import { requireChanges } from '../engine-options.ts';
import type { CredentialId, CredentialRecord } from '../lifecycle/credential.ts';
import type { Surroundings } from '../lifecycle/effects.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import { deleteRecord } from './delete.ts';
import { pauseRecord, resumeRecord } from './pause.ts';
import { updateRecord, type CredentialChanges } from './update.ts';

/** What edits need of the engine around them. */
export interface EditHooks {
  /** @throws InternalError `ERR_ENGINE_CLOSED`; ConfigurationError `ERR_CREDENTIAL_NOT_FOUND` */
  readonly require: (id: CredentialId) => Promise<CredentialRecord>;
  readonly revoke: (record: CredentialRecord) => Promise<void>;
  readonly test: (id: CredentialId) => Promise<unknown>;
  /** Tells what was written, and has everybody look at the record anew. */
  readonly wrote: (id: CredentialId, events: readonly CredentialEvent[]) => void;
  readonly get: (id: CredentialId) => Promise<CredentialSummary>;
}

/** The verbs of its owner: pause, resume, update, revoke, delete. */
export class Edits {
  readonly #surroundings: Surroundings;
  readonly #hooks: EditHooks;

  constructor(surroundings: Surroundings, hooks: EditHooks) {
    this.#surroundings = surroundings;
    this.#hooks = hooks;
  }

  async pause(id: CredentialId): Promise<CredentialSummary> {
    await this.#hooks.require(id);
    this.#hooks.wrote(id, await pauseRecord(this.#surroundings, id));
    return this.#hooks.get(id);
  }

  async resume(id: CredentialId): Promise<CredentialSummary> {
    await this.#hooks.require(id);
    this.#hooks.wrote(id, await resumeRecord(this.#surroundings, id));
    return this.#hooks.get(id);
  }

  async update(id: CredentialId, changes: CredentialChanges, isTested: boolean): Promise<CredentialSummary> {
    await this.#hooks.require(id);
    requireChanges(changes);
    const { events, needsTest } = await updateRecord(this.#surroundings, id, changes);
    this.#hooks.wrote(id, events);
    if (needsTest && isTested) await this.#hooks.test(id);
    return this.#hooks.get(id);
  }

  async revoke(id: CredentialId): Promise<CredentialSummary> {
    await this.#hooks.revoke(await this.#hooks.require(id));
    // Its actor has told of it.
    this.#hooks.wrote(id, []);
    return this.#hooks.get(id);
  }

  async delete(id: CredentialId): Promise<void> {
    await this.#hooks.require(id);
    this.#hooks.wrote(id, await deleteRecord(this.#surroundings, id, this.#hooks.revoke));
  }
}
