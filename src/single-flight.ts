/** Runs at most one operation per key at a time; everybody who asks meanwhile gets its outcome. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>();

  run(key: string, operation: () => Promise<T>): Promise<T> {
    const running = this.#flights.get(key);
    if (running) return running;
    const flight = operation().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  keys(): string[] {
    return [...this.#flights.keys()];
  }

  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /** Resolves when everything that is under way has ended, well or badly. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#flights.values());
  }
}

/** The outcome of a shared operation, or the caller's own abort: the operation itself goes on for the others. */
export async function orAborted<T>(operation: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return operation;
  // Whoever leaves early does not hear how it ended; a rejection that nobody hears would end the process.
  operation.catch(() => undefined);
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([operation, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
