import type { InspectionEvent } from 'xstate';
import { toCredentialError } from '../errors.ts';
import type { Logger } from '../ports.ts';

/** What hears XState's inspection events: a function, or an observer such as the Stately inspector's. */
export type Inspector = ((event: InspectionEvent) => void) | { readonly next?: (event: InspectionEvent) => void };

/**
 * Hands the inspection events of awake actors to inspectors: actors, events, transitions, snapshots. No secret is in them,
 * because none ever enters a machine. An inspector that throws or rejects harms neither the actor nor other inspectors.
 */
export class Inspections {
  readonly #inspectors = new Set<{ readonly hear: (event: InspectionEvent) => unknown }>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Returns the function that ends it. */
  add(inspector: Inspector): () => void {
    const hear =
      typeof inspector === 'function' ? inspector : (event: InspectionEvent): unknown => inspector.next?.(event);
    const entry = { hear };
    this.#inspectors.add(entry);
    return () => {
      this.#inspectors.delete(entry);
    };
  }

  /** The options of an actor that is about to be made: none when nobody inspects, so that nothing is paid for it. */
  actorOptions(): { inspect?: (event: InspectionEvent) => void } {
    if (this.#inspectors.size === 0) return {};
    return {
      inspect: (event) => {
        for (const { hear } of this.#inspectors) this.#hand(hear, event);
      },
    };
  }

  #hand(hear: (event: InspectionEvent) => unknown, event: InspectionEvent): void {
    try {
      const heard = hear(event);
      if (heard instanceof Promise)
        heard.catch((error: unknown) => {
          this.#report(error);
        });
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    this.#logger.error({ code: toCredentialError(error).code }, 'An inspector threw.');
  }
}
