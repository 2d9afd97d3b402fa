import type { CredentialEngine, EngineOptions, RegisterInput } from '../../../src/engine.ts';
import type { RotationDriver, RotationOverlap } from '../../../src/protocols/protocol.ts';
import { HastyClock } from '../../support/hasty-clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { Target, TargetDriver } from './target.ts';

/** An engine on a database of its own, and the other side that it rotates secrets at. */
export class RotationWorld {
  readonly folder = temporaryFolder();
  readonly clock = new HastyClock();
  readonly target: Target;
  readonly #engines: CredentialEngine[] = [];
  #database: SeenDatabase | null = null;

  /** @param first the password that is registered */
  constructor(first?: string) {
    this.target = new Target(first);
  }

  async open(options: Partial<EngineOptions> = {}, rotation: Partial<RotationDriver> = {}): Promise<CredentialEngine> {
    const driver = new TargetDriver(this.target, () => this.clock.now(), rotation);
    const engine = await openEngine(this.folder.path, {
      ports: { clock: this.clock },
      drivers: () => [driver],
      ...options,
    });
    this.#engines.push(engine);
    return engine;
  }

  get database(): SeenDatabase {
    this.#database ??= openDatabase(this.folder.path);
    return this.#database;
  }

  async dispose(): Promise<void> {
    for (const engine of this.#engines) await engine.close();
    this.#database?.close();
    this.folder.dispose();
  }
}

export function entry(overlap: RotationOverlap, changes: Partial<RegisterInput> = {}): RegisterInput {
  return { protocol: 'target', name: 'Target', config: { overlap }, secret: {}, ...changes };
}

export async function inUse(engine: CredentialEngine, id: string): Promise<string | undefined> {
  return (await engine.use(id)).headers['authorization'];
}
