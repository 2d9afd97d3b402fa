import type { InspectionMessage } from './messages.ts';

/** Commands and facts wake an actor for a moment only: who looks later still sees what the last ones did. */
const ENDED_KEPT = 50;
const LIVING_KEPT = 200;
const ACTORS_PER_ROOT = 100;

/** Whether a root, and with it all that it invoked, is over. */
export function endsRoot(message: InspectionMessage): boolean {
  if (message.type !== '@xstate.snapshot') return false;
  const { sessionId, rootId = sessionId, snapshot } = message;
  return sessionId === rootId && (snapshot.status ?? 'active') !== 'active';
}

interface Seen {
  readonly actor: string;
  readonly snapshot: string | null;
}

/**
 * What a viewer who comes late is told: each living actor and its newest snapshot, and the same of the fifty roots that
 * ended last. Texts go in and out as they travel.
 */
export class SeenActors {
  readonly #living = new Map<string, Map<string, Seen>>();
  readonly #ended = new Map<string, Map<string, Seen>>();

  take(message: InspectionMessage, text: string): void {
    const { sessionId, rootId = sessionId } = message;
    if (message.type === '@xstate.actor') this.#add(rootId, sessionId, text);
    if (message.type !== '@xstate.snapshot') return;
    const actors = this.#living.get(rootId);
    const seen = actors?.get(sessionId);
    if (!actors || !seen) return;
    actors.set(sessionId, { ...seen, snapshot: text });
    if (endsRoot(message)) this.#end(rootId, actors);
  }

  /** The messages that show it all, those that ended first before those that live. */
  texts(): string[] {
    const roots = [...this.#ended.values(), ...this.#living.values()];
    return roots
      .flatMap((actors) => [...actors.values()])
      .flatMap(({ actor, snapshot }) => (snapshot === null ? [actor] : [actor, snapshot]));
  }

  #add(rootId: string, sessionId: string, text: string): void {
    const actors = this.#living.get(rootId) ?? new Map<string, Seen>();
    if (actors.size < ACTORS_PER_ROOT) actors.set(sessionId, { actor: text, snapshot: null });
    this.#living.set(rootId, actors);
    dropOldest(this.#living, LIVING_KEPT);
  }

  #end(rootId: string, actors: Map<string, Seen>): void {
    this.#living.delete(rootId);
    this.#ended.set(rootId, actors);
    dropOldest(this.#ended, ENDED_KEPT);
  }
}

function dropOldest(roots: Map<string, unknown>, kept: number): void {
  for (const rootId of roots.keys()) {
    if (roots.size <= kept) return;
    roots.delete(rootId);
  }
}
