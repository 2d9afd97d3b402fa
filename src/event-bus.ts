import { toCredentialError } from './errors.ts';
import type { CredentialEvent, EventType } from './lifecycle/events.ts';
import type { Logger } from './ports.ts';

export type EventListener = (event: CredentialEvent) => unknown;

/** Hands events to listeners of this process. A listener that throws harms neither the engine nor the other listeners. */
export class EventBus {
  readonly #listeners = new Map<string, Set<EventListener>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Returns the function that ends the subscription. */
  on(type: EventType | '*', listener: EventListener): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }

  publish(event: CredentialEvent): void {
    for (const type of [event.type, '*']) {
      for (const listener of this.#listeners.get(type) ?? []) this.#call(listener, event);
    }
  }

  #call(listener: EventListener, event: CredentialEvent): void {
    try {
      // An async listener is a void listener to TypeScript; its rejection must not end the host process either.
      Promise.resolve(listener(event)).catch((error: unknown) => {
        this.#complain(event, error);
      });
    } catch (error) {
      this.#complain(event, error);
    }
  }

  #complain(event: CredentialEvent, error: unknown): void {
    this.#logger.error({ type: event.type, code: toCredentialError(error).code }, 'An event listener threw.');
  }
}
