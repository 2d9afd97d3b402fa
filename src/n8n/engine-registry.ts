import type { EngineClient } from '../client.ts';
import { openEmbeddedEngine, type OpenedEngine } from './embedded-engine.ts';

/** The number is the version of `EngineClient`: copies of the package that agree on it share one engine. */
const REGISTRY = Symbol.for('n8n-nodes-credential-lifecycle/engine-registry/1');

/**
 * One engine per process, opened by the first who needs it. Callers meanwhile wait for the same opening; a failed one is
 * forgotten, so that the next call tries again.
 */
export class EngineRegistry {
  readonly #open: () => Promise<OpenedEngine>;
  #opening: Promise<OpenedEngine> | null = null;
  #engine: OpenedEngine | null = null;

  constructor(open: () => Promise<OpenedEngine>) {
    this.#open = open;
  }

  async client(): Promise<EngineClient> {
    const { client } = await (this.#opening ??= this.#openOnce());
    return client;
  }

  /** Starts closing at once, without waiting for anything first: the last moment of a process is synchronous. */
  close(): Promise<void> {
    const engine = this.#engine;
    this.#engine = null;
    this.#opening = null;
    return engine?.close() ?? Promise.resolve();
  }

  async #openOnce(): Promise<OpenedEngine> {
    try {
      this.#engine = await this.#open();
      return this.#engine;
    } catch (error) {
      this.#opening = null;
      throw error;
    }
  }
}

type SharedRegistry = Pick<EngineRegistry, 'client' | 'close'>;

/** The registry of this process. A second loaded copy of the package finds the one of the first. */
export function sharedRegistry(): SharedRegistry {
  const present: unknown = Reflect.get(globalThis, REGISTRY);
  if (isRegistry(present)) return present;
  const registry = new EngineRegistry(() => openEmbeddedEngine(process.env));
  Reflect.set(globalThis, REGISTRY, registry);
  closeAtExit(registry);
  return registry;
}

/** The client of this process's engine; opens the engine when it is not open yet. */
export function openedClient(): Promise<EngineClient> {
  return sharedRegistry().client();
}

function isRegistry(value: unknown): value is SharedRegistry {
  return value instanceof Object && 'client' in value && typeof value.client === 'function' && 'close' in value;
}

/**
 * No signal handlers: they would keep a host alive that means to die, and running executions need the engine until n8n
 * itself ends the process. At `exit` only what is synchronous still happens; whatever an end cuts off, the engine's
 * journal tells the next start.
 */
function closeAtExit(registry: SharedRegistry): void {
  const close = () => {
    registry.close().catch(() => undefined);
  };
  process.once('beforeExit', close);
  process.once('exit', close);
}
