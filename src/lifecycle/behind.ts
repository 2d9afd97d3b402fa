/** Work behind the callers: nobody waits for it but the end of the engine, and it says itself what went wrong. */
export class Behind {
  readonly #working = new Set<Promise<void>>();

  /** @param work never rejects */
  run(work: Promise<void>): void {
    const working = work.finally(() => this.#working.delete(working));
    this.#working.add(working);
  }

  /** Ends when nothing is at work any more. */
  async settled(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working);
  }
}
