import type { Clock, HostTime } from '../../src/ports.ts';

/** A clock that stands still until a test moves it; it calls nobody back. */
export class StillClock implements Clock {
  #nowMs = Date.parse('2026-03-01T12:00:00.000Z');

  now(): Date {
    return new Date(this.#nowMs);
  }

  hostTime(): HostTime {
    return { epoch: 'test', ms: this.#nowMs };
  }

  schedule(): () => void {
    throw new Error('Nothing in this test may wait.');
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
