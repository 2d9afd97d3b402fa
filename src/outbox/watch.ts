import { InternalError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { RecordStore } from '../storage/record-store.ts';

/** Longest time without a look at the store's change mark while somebody waits: other processes write events too. */
const LOOK_MS = 500;

interface Waiting {
  readonly cursor: number;
  readonly untilMs: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Wakes those who wait for events, whichever process writes them. All of them share one look at the store's change mark, and one
 * short query when that has moved; while nobody waits nothing is looked at.
 */
export class OutboxWatch {
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #waiting = new Set<Waiting>();
  /** What the change mark was at the last look; `null` when there is to be another one at once. */
  #seenMark: number | null = null;
  #newest = 0;
  #cancelTimer: (() => void) | null = null;
  #isLooking = false;
  #isClosed = false;

  constructor({ ports, records }: { readonly ports: Ports; readonly records: RecordStore }) {
    this.#ports = ports;
    this.#records = records;
  }

  /**
   * Waits until there is an event after `cursor`, at most `maxMs`.
   *
   * @throws the reason of `signal`, a StorageError when the store cannot be read, InternalError `ERR_ENGINE_CLOSED`
   */
  async after(cursor: number, maxMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isClosed) throw closed();
    const untilMs = this.#nowMs() + maxMs;
    let end = (): void => undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const waiting = { cursor, untilMs, resolve, reject };
        const abort = (): void => {
          reject(signal.reason instanceof Error ? signal.reason : new DOMException('Aborted', 'AbortError'));
        };
        signal.addEventListener('abort', abort, { once: true });
        this.#waiting.add(waiting);
        end = () => {
          signal.removeEventListener('abort', abort);
          this.#waiting.delete(waiting);
        };
        this.wake();
      });
    } finally {
      end();
      if (this.#waiting.size === 0) this.#cancelTimer?.();
    }
  }

  /** Something was just written to the outbox. */
  wake(): void {
    this.#seenMark = null;
    if (!this.#isLooking) this.#sleep(0);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    for (const { reject } of this.#waiting) reject(closed());
  }

  #sleep(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#waiting.size === 0 || this.#isClosed) return;
    this.#cancelTimer = this.#ports.clock.schedule(delayMs, () => void this.#look(), { keepAlive: true });
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const mark = this.#records.changeMark();
      if (mark !== this.#seenMark) {
        this.#seenMark = mark;
        this.#newest = (await this.#records.eventRange()).newest;
      }
      const nowMs = this.#nowMs();
      for (const { cursor, untilMs, resolve } of this.#waiting)
        if (this.#newest > cursor || nowMs >= untilMs) resolve();
    } catch (error) {
      this.#seenMark = null;
      for (const { reject } of this.#waiting) reject(error instanceof Error ? error : new Error(String(error)));
      this.#waiting.clear();
    }
    this.#isLooking = false;
    this.#sleep(this.#isUnseen() ? 0 : LOOK_MS);
  }

  /** Woken meanwhile. */
  #isUnseen(): boolean {
    return this.#seenMark === null;
  }

  #nowMs(): number {
    return this.#ports.clock.hostTime().ms;
  }
}

function closed(): InternalError {
  return new InternalError('ERR_ENGINE_CLOSED', 'This engine is closed.');
}
