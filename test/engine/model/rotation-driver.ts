import type { JsonObject } from '../../../src/json.ts';
import type { Issued, RotationDriver, RotationOverlap } from '../../../src/protocols/protocol.ts';
import { Secret } from '../../../src/secret.ts';
import { ScriptedDriver } from './scripted-driver.ts';

/** A scripted protocol whose secret can be replaced: each step does what was scripted for it. */
export class RotatingDriver extends ScriptedDriver {
  overlap: RotationOverlap = 'dual';
  /** What the next step throws; `null`: it is done. */
  failure: Error | null = null;
  /** Whether the test of a candidate brings a grant. */
  grants = false;
  #made = 0;

  readonly rotation: RotationDriver = {
    overlap: () => this.overlap,
    create: () => this.#step(() => this.newSecret()),
    set: () => this.#step(() => undefined),
    test: () => this.#step(() => (this.grants ? this.issue() : null)),
    finish: () => this.#step(() => undefined),
    retire: () => Promise.resolve('retired'),
  };

  newSecret(): Secret<JsonObject> {
    this.#made += 1;
    return Secret.of({ token: `made ${String(this.#made)}` });
  }

  #step<T extends Issued | Secret<JsonObject> | null | undefined>(result: () => T): Promise<T> {
    return this.failure === null ? Promise.resolve(result()) : Promise.reject(this.failure);
  }
}
