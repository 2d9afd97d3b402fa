import { setImmediate as turn } from 'node:timers/promises';
import type { Clock, HostTime } from '../../src/ports.ts';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A store answers a write a turn after it was asked for, and what it answers may ask for the next one. */
const TURNS = 12;
/** What fires at the end of a leap starts again what has passed. */
const TURNS_OF_A_LEAP = 40;

async function atRest(): Promise<void> {
  for (let turns = 0; turns < TURNS; turns += 1) await turn();
}

/** A clock that stands still until a test moves it; then timers fire in their order, each at its own instant. */
export class SteppedClock implements Clock {
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

  /** Moves the clock, and lets what a timer started come to rest before the next one fires. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (let next = this.#next(endMs); next; next = this.#next(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      this.#timers.delete(next);
      next.callback();
      await atRest();
    }
    this.#nowMs = endMs;
  }

  /** Leaps, as after a host's sleep: each timer that is passed fires once, at the end. Months cost little. */
  async leap(ms: number): Promise<void> {
    this.#nowMs += ms;
    await this.rest();
  }

  /** Lets what is due come to rest. */
  async rest(): Promise<void> {
    for (let turns = 0; turns < TURNS_OF_A_LEAP; turns += 1) {
      for (const timer of [...this.#timers].filter(({ dueMs }) => dueMs <= this.#nowMs)) {
        // One that fired before it may have cancelled it.
        if (this.#timers.delete(timer)) timer.callback();
      }
      await turn();
    }
  }

  #next(endMs: number): Timer | undefined {
    return [...this.#timers].filter(({ dueMs }) => dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs)[0];
  }
}
