import type { CredentialId } from '../lifecycle/credential.ts';
import type { Ports } from '../ports.ts';
import type { FollowerState } from '../storage/ledger.ts';
import type { RecordStore } from '../storage/record-store.ts';
import { selected, type EventFilter, type FollowedEvent } from './event-filter.ts';
import type { OutboxWatch } from './watch.ts';

/** Events to be dealt with, the oldest first. */
export interface EventBatch {
  readonly events: readonly FollowedEvent[];
  /** Events before these were taken away by the retention before they were read. */
  readonly missed: boolean;
  /** Names the batch. */
  readonly cursor: number;
}

/**
 * Reads the outbox under a name, from where that name got to: each event at least once, with the same `eventId` each time. It is
 * given again only when whoever got it ended before he said `done`.
 */
export interface EventFollower {
  /**
   * Waits for the next events that the filter lets through.
   *
   * @throws the reason of `signal`, AccessError `ERR_ACCESS_DENIED` | `ERR_ACCESS_SCOPE_MISSING`, StorageError
   */
  next(signal: AbortSignal): Promise<EventBatch>;
  /** Says, durably, that a batch was dealt with. Batches may end in any order. @throws StorageError: it is stored with the next one */
  done(batch: EventBatch): Promise<void>;
  /** Stores how far it got. What was not said to be `done` is given again to the next one of this name. */
  close(): Promise<void>;
}

/** The one credential whose events may be seen; `null` for all. Asked before each look, so that it can be taken back. */
export type Reach = () => Promise<CredentialId | null>;

export interface FollowerOptions {
  readonly ports: Ports;
  readonly records: RecordStore;
  readonly watch: OutboxWatch;
  readonly filter: EventFilter;
  readonly reach: Reach;
  /** Whether how far it got is stored. */
  readonly isRemembered: boolean;
}

/** Events that are looked at, and given, at a time. */
const PAGE = 50;
/** Longest wait without asking whether it is still allowed, and without storing how far it got. */
const RECHECK_MS = 60_000;
/** Events that nobody wanted are looked at again after a kill; no more than this many. */
const UNSTORED = 100;
/** Who does not come back for this long starts anew. Longer than events are kept by default. */
const FORGOTTEN_AFTER_MS = 400 * 86_400_000;
const STORED_AT_LEAST_EVERY_MS = 86_400_000;

/** A page that was looked at: which of its events were wanted, and whether all of them were dealt with. */
interface Page {
  readonly to: number;
  /** `to`, or that of later pages in which nothing was wanted. */
  reaches: number;
  readonly eventIds: readonly string[];
  readonly missed: boolean;
  isDone: boolean;
}

/** The first state of a follower, and when one of this age is forgotten. */
export function firstFollower(followerId: string, cursor: number, prunedThrough: number, now: Date): FollowerState {
  return { followerId, revision: 1, cursor, ahead: [], prunedThrough, missed: false, forgetAt: forgetAt(now) };
}

function forgetAt(now: Date): Date {
  return new Date(now.getTime() + FORGOTTEN_AFTER_MS);
}

export class OutboxFollower implements EventFollower {
  readonly #options: FollowerOptions;
  #state: FollowerState;
  /** Dealt with, and after the stored cursor. */
  readonly #ahead: Set<string>;
  readonly #pages: Page[] = [];
  /** Up to where everything was looked at, and up to where that needs no second look. */
  #lookedAt: number;
  #cursor: number;
  #prunedThrough: number;
  #missed: boolean;
  #isUnstored = false;
  #storing: Promise<void> = Promise.resolve();

  constructor(state: FollowerState, options: FollowerOptions) {
    this.#options = options;
    this.#state = state;
    this.#ahead = new Set(state.ahead);
    this.#lookedAt = state.cursor;
    this.#cursor = state.cursor;
    this.#prunedThrough = state.prunedThrough;
    this.#missed = state.missed;
  }

  async next(signal: AbortSignal): Promise<EventBatch> {
    for (;;) {
      signal.throwIfAborted();
      const reach = await this.#options.reach();
      const from = this.#lookedAt;
      const batch = await this.#look(reach);
      if (batch !== null) return batch;
      if (this.#lookedAt > from) continue;
      if (this.#isWorthStoring()) await this.#store();
      await this.#options.watch.after(this.#lookedAt, RECHECK_MS, signal);
    }
  }

  async done({ cursor }: EventBatch): Promise<void> {
    const page = this.#pages.find(({ to }) => to === cursor);
    if (page === undefined || page.isDone) return;
    this.#end(page);
    await this.#store();
  }

  async close(): Promise<void> {
    await this.#storing.catch(() => undefined);
    if (this.#isUnstored) await this.#store();
  }

  /** Looks at the next page. `null` when nothing in it is wanted, or when there is none. */
  async #look(reach: CredentialId | null): Promise<EventBatch | null> {
    const { records } = this.#options;
    const from = this.#lookedAt;
    const { newest } = await records.eventRange();
    const { events, cursor } = await records.readEvents(from, PAGE);
    // Where nothing is left up to the newest, all of it was pruned.
    const to = events.length > 0 ? cursor : Math.max(from, newest);
    if (to === from) return null;
    await this.#noticePruned(from);
    const wanted = await selected({ records, filter: this.#options.filter, reach }, events);
    const given = wanted.filter(({ eventId }) => !this.#ahead.has(eventId));
    const missed = given.length > 0 && this.#missed;
    if (missed) this.#missed = false;
    this.#lookedAt = to;
    const eventIds = wanted.map(({ eventId }) => eventId);
    const page: Page = { to, reaches: to, eventIds, missed, isDone: false };
    if (given.length > 0) {
      this.#pages.push(page);
      return { events: given, missed, cursor: to };
    }
    await this.#passOver(page);
    return null;
  }

  /** Nothing in the page is left to be dealt with. */
  async #passOver(page: Page): Promise<void> {
    const last = this.#pages.at(-1);
    if (last !== undefined && page.eventIds.length === 0) {
      last.reaches = page.to;
      return;
    }
    this.#pages.push(page);
    this.#end(page);
    if (this.#cursor - this.#state.cursor >= UNSTORED) await this.#store();
  }

  /** Asked after a page was read: what is pruned between the two must not go unseen. */
  async #noticePruned(from: number): Promise<void> {
    const { prunedThrough } = await this.#options.records.eventRange();
    if (prunedThrough > Math.max(this.#prunedThrough, from)) {
      this.#missed = true;
      const { followerId } = this.#state;
      this.#options.ports.logger.warn({ followerId }, 'Events were taken away by the retention before they were read.');
    }
    this.#prunedThrough = Math.max(this.#prunedThrough, prunedThrough);
  }

  /** A page is dealt with; the cursor passes all pages before the first that is not. */
  #end(page: Page): void {
    page.isDone = true;
    for (const eventId of page.eventIds) this.#ahead.add(eventId);
    for (let first = this.#pages[0]; first?.isDone === true; first = this.#pages[0]) {
      this.#pages.shift();
      this.#cursor = first.reaches;
      for (const eventId of first.eventIds) this.#ahead.delete(eventId);
    }
    this.#isUnstored = true;
  }

  #isWorthStoring(): boolean {
    const storedAtMs = this.#state.forgetAt.getTime() - FORGOTTEN_AFTER_MS;
    const ageMs = this.#options.ports.clock.now().getTime() - storedAtMs;
    return ageMs >= (this.#isUnstored ? RECHECK_MS : STORED_AT_LEAST_EVERY_MS);
  }

  /** One write at a time. */
  #store(): Promise<void> {
    if (!this.#options.isRemembered) return Promise.resolve();
    this.#storing = this.#storing.catch(() => undefined).then(() => this.#storeNow());
    return this.#storing;
  }

  async #storeNow(): Promise<void> {
    const { records, ports } = this.#options;
    const missed = this.#missed || this.#pages.some((page) => page.missed && !page.isDone);
    const own = { cursor: this.#cursor, ahead: [...this.#ahead], prunedThrough: this.#prunedThrough, missed };
    this.#isUnstored = false;
    try {
      for (;;) {
        const { followerId, revision, cursor } = this.#state;
        const next = { ...own, followerId, revision: revision + 1, cursor: Math.max(cursor, own.cursor) };
        const state = { ...next, forgetAt: forgetAt(ports.clock.now()) };
        if (await records.compareAndSetFollower(state, revision)) {
          this.#state = state;
          return;
        }
        // Somebody else of this name was here, or it was forgotten meanwhile. Neither may set the other back.
        this.#state = (await records.getFollower(followerId)) ?? { ...state, revision: 0 };
      }
    } catch (error) {
      this.#isUnstored = true;
      throw error;
    }
  }
}
