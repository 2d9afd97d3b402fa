import type { Clock, HostTime } from '../../../src/ports.ts';

const POLL_MS = 500;

/** A clock that only steps move. Short waits end at once, after `onWait`; long ones (renewals, back-off) never do. */
export class ModelClock implements Clock {
  onWait: () => Promise<void> = () => Promise.resolve();
  #nowMs = Date.parse('2026-03-01T12:00:00.000Z');

  now(): Date {
    return new Date(this.#nowMs);
  }

  hostTime(): HostTime {
    return { epoch: 'model', ms: this.#nowMs };
  }

  schedule(delayMs: number, callback: () => void): () => void {
    if (delayMs >= POLL_MS) return () => undefined;
    const timer = setImmediate(() => {
      this.#nowMs += delayMs;
      void this.onWait().then(callback);
    });
    return () => {
      clearImmediate(timer);
    };
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
