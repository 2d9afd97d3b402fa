import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, HostTime } from '../../src/ports.ts';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that leaps: each timer that a leap passes fires once, at its end, as after a host's sleep. Months cost little. */
export class LeapingClock implements Clock {
  #nowMs = Date.parse('2026-03-01T12:00:00.000Z');
  readonly #timers = new Set<Timer>();

  now(): Date {
    return new Date(this.#nowMs);
  }

  hostTime(): HostTime {
    return { epoch: 'test', ms: this.#nowMs };
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Leaps, and lets what is due come to rest. */
  async leap(ms: number): Promise<void> {
    this.#nowMs += ms;
    await this.rest();
  }

  async rest(): Promise<void> {
    for (let turns = 0; turns < 40; turns += 1) {
      for (const timer of [...this.#timers].filter(({ dueMs }) => dueMs <= this.#nowMs)) {
        // One that fired before it may have cancelled it.
        if (this.#timers.delete(timer)) timer.callback();
      }
      await turn();
    }
  }
}
