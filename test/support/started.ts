import { afterAll } from '@jest/globals';

/** Servers, processes, browsers: whatever has to be ended. */
export interface Stoppable {
  stop(): unknown;
}

/**
 * What was started, in its order. It ends with the last first and to the end, also when a start among them failed, when an end
 * fails, and when a start takes longer than whoever waited for it.
 *
 * @example
 * const started = Started.inSuite();
 * beforeAll(async () => {
 *   server = await started.add(SlapdServer.start());
 *   world = await started.add(World.start());
 * });
 */
export class Started {
  readonly #ends: (() => unknown)[] = [];

  /** Ends after the tests of the file or the `describe` that this is called in. */
  static inSuite(timeoutMs?: number): Started {
    const started = new Started();
    afterAll(() => started.stop(), timeoutMs);
    return started;
  }

  /** Several things that are there together or not at all: when a start fails, those before it are ended. */
  static async together<T>(start: (started: Started) => Promise<T>): Promise<T> {
    const started = new Started();
    try {
      return await start(started);
    } catch (error) {
      // Why it could not start says more than what became of the rest.
      await started.stop().catch(() => undefined);
      throw error;
    }
  }

  /** Takes the start, not what it gives: jest gives a `beforeAll` up that takes too long, and what it began goes on. */
  async add<T extends Stoppable>(starting: Promise<T>): Promise<T> {
    this.later(async () => {
      const thing = await starting.catch(() => null);
      await thing?.stop();
    });
    return starting;
  }

  /** Something else to do at the end. */
  later(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** @throws the first failure of an end, after all others */
  async stop(): Promise<void> {
    const failures: unknown[] = [];
    for (let end = this.#ends.pop(); end !== undefined; end = this.#ends.pop()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
