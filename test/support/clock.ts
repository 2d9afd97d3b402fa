import { systemClock, type Clock } from '../../src/ports.ts';

interface Timer {
  readonly dueMs: number;
  readonly fire: () => void;
}

/** The real clock, which a test can put forward: timers that fall due by that fire at once. */
export class TestClock implements Clock {
  #aheadMs = 0;
  #wallMs = 0;
  readonly #timers = new Set<Timer>();
  #frozen = false;

  now(): Date {
    return new Date(systemClock.now().getTime() + this.#aheadMs + this.#wallMs);
  }

  hostTime(): ReturnType<Clock['hostTime']> {
    const { epoch, ms } = systemClock.hostTime();
    return { epoch, ms: ms + this.#aheadMs };
  }

  schedule(delayMs: number, callback: () => void, options?: { readonly keepAlive?: boolean }): () => void {
    const cancelReal = systemClock.schedule(
      delayMs,
      () => {
        timer.fire();
      },
      options,
    );
    const timer: Timer = {
      dueMs: this.hostTime().ms + delayMs,
      fire: () => {
        cancel();
        if (!this.#frozen) callback();
      },
    };
    const cancel = (): void => {
      this.#timers.delete(timer);
      cancelReal();
    };
    this.#timers.add(timer);
    return cancel;
  }

  /** No timer fires any more: what a process that was killed leaves behind. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Steps the wall clock alone, as a wrong or corrected clock does: no time passes. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }

  /** Time passes and no timer fires: what a process knows when it goes on after it was stopped. */
  stall(ms: number): void {
    this.#aheadMs += ms;
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.hostTime().ms);
    for (const timer of due) timer.fire();
  }
}
