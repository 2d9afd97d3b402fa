import type { CredentialSummary } from '../../client.ts';
import type { CredentialEngine } from '../../engine.ts';
import { isCredentialError } from '../../errors.ts';
import type { CredentialEvent } from '../../lifecycle/events.ts';
import { printLine, type CommandContext } from '../context.ts';
import { printable } from '../printable.ts';
import { eventText, stateCell, troubleText } from '../state-words.ts';
import { isWatched, watchedStateCell } from '../watched-words.ts';
import type { View } from './view.ts';

/** One line for each event, for logs and pipes; with `json` one JSON document a line. */
export class EventLines implements View {
  readonly #context: CommandContext;
  readonly #engine: CredentialEngine;
  readonly #json: boolean;
  readonly #unsubscribe: () => void;
  #printed: Promise<void> = Promise.resolve();

  constructor(context: CommandContext, engine: CredentialEngine, json: boolean) {
    this.#context = context;
    this.#engine = engine;
    this.#json = json;
    this.#unsubscribe = engine.on('*', (event) => {
      this.#printed = this.#printed.then(() => this.#print(event));
    });
  }

  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#printed;
  }

  async #print(event: CredentialEvent): Promise<void> {
    if (this.#json) {
      printLine(this.#context.output, JSON.stringify(event));
      return;
    }
    const facts = [...(await this.#subjectOf(event)), eventText(event.type), ...(await this.#stateOf(event))];
    printLine(this.#context.output, `${event.at.toISOString()}  ${facts.join('; ')}`);
  }

  async #subjectOf({ credentialId }: CredentialEvent): Promise<string[]> {
    if (credentialId === null) return [];
    return [printable((await this.#find(credentialId))?.name ?? credentialId)];
  }

  async #stateOf(event: CredentialEvent): Promise<string[]> {
    const { credentialId, state, generation } = event;
    if (credentialId === null || state === null) return [];
    const credential = await this.#find(credentialId);
    if (credential && isWatched(credential)) return this.#watchedStateOf(credential);
    const trouble = credential?.state === state ? troubleText(credential) : null;
    const facts = [`state ${stateCell(state).text}`, `generation ${generation}`];
    return trouble === null ? facts : [...facts, printable(trouble)];
  }

  async #watchedStateOf(credential: CredentialSummary): Promise<string[]> {
    const lastTest = await this.#engine.lastTest(credential.id);
    const words = watchedStateCell({ credential, lastTest }).text;
    return lastTest === null ? [words] : [words, printable(lastTest.message)];
  }

  /** `null` for one that was deleted meanwhile. */
  async #find(id: string): Promise<CredentialSummary | null> {
    try {
      return await this.#engine.get(id);
    } catch (error) {
      if (isCredentialError(error) && error.code === 'ERR_CREDENTIAL_NOT_FOUND') return null;
      throw error;
    }
  }
}
