import type { CredentialEngine } from '../../src/engine.ts';
import { quietFor } from './eventually.ts';

/** Uses a directory credential through the engine every 50 ms until it is ended, and keeps what went wrong. */
export class DirectoryPoll {
  readonly failures: unknown[] = [];
  uses = 0;
  #isOver = false;
  readonly #ended: Promise<void>;

  constructor(engine: CredentialEngine, id: string) {
    this.#ended = this.#run(engine, id);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #run(engine: CredentialEngine, id: string): Promise<void> {
    while (!this.#isOver) {
      try {
        const { directory } = await engine.use(id);
        if (directory === undefined) throw new Error('no directory');
        await directory.search({ scope: 'base', attributes: ['1.1'] });
        this.uses += 1;
      } catch (error) {
        this.failures.push(error);
      }
      await quietFor(50);
    }
  }
}
