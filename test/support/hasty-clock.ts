import { TestClock } from './clock.ts';

/** What the engine waits between two looks at another's work, and in what slices it lets a replaced secret settle. */
const LOOK_MS = 50;
const TIMES = 10;

/** The real clock, but one kind of wait is over ten times sooner, and what was cut off it has passed: nobody sees a difference. */
export class HastyClock extends TestClock {
  readonly #waitMs: number;

  /** @param waitMs how long such a wait is */
  constructor(waitMs = LOOK_MS) {
    super();
    this.#waitMs = waitMs;
  }

  override schedule(delayMs: number, callback: () => void, options?: { readonly keepAlive?: boolean }): () => void {
    if (delayMs !== this.#waitMs) return super.schedule(delayMs, callback, options);
    const waitedMs = delayMs / TIMES;
    const onTime = (): void => {
      this.stall(delayMs - waitedMs);
      callback();
    };
    return super.schedule(waitedMs, onTime, options);
  }
}
