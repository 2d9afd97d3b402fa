import type { CredentialEngine } from '../../engine.ts';
import type { CredentialEvent } from '../../lifecycle/events.ts';
import { printLine, type CommandContext } from '../context.ts';
import { printable } from '../printable.ts';
import { eventText, stateCell, troubleText } from '../state-words.ts';
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
    const credential = await this.#engine.get(event.credentialId);
    const { text } = stateCell(event.state);
    const trouble = credential.state === event.state ? troubleText(credential) : null;
    const facts = [
      printable(credential.name),
      eventText(event.type),
      `state ${text}`,
      `generation ${event.generation}`,
    ];
    const line = [...facts, ...(trouble === null ? [] : [printable(trouble)])].join('; ');
    printLine(this.#context.output, `${event.at.toISOString()}  ${line}`);
  }
}
