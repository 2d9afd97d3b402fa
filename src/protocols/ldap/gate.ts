import { TransientError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';

export interface GateOptions {
  readonly host: string;
  readonly clock: Clock;
  /** How many may be inside at once. */
  readonly places: number;
  /** How long one waits for a place. */
  readonly waitMs: number;
}

/** Lets so many in at once, first come, first served. */
export class FairGate {
  readonly #options: GateOptions;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** @throws TransientError `ERR_LDAP_POOL_EXHAUSTED` */
  async run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#inside < this.#options.places) this.#inside += 1;
    else await this.#place(signal);
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      // A place is handed on, never freed in between: whoever comes now finds none before those who wait.
      if (next === undefined) this.#inside -= 1;
      else next();
    }
  }

  async #place(signal: AbortSignal): Promise<void> {
    const { clock, host, waitMs } = this.#options;
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        settle();
        resolve();
      };
      const leave = (error: Error): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        settle();
        reject(error);
      };
      const onAbort = (): void => {
        leave(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      const cancelTimer = clock.schedule(waitMs, () => {
        leave(new TransientError('ERR_LDAP_POOL_EXHAUSTED', `All connections to ${host} are in use.`));
      });
      const settle = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', onAbort);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(enter);
    });
  }
}
