import { ConfigurationError } from '../errors.ts';
import type { EventPage } from '../lifecycle/events.ts';
import type { Ports } from '../ports.ts';
import type { RecordStore } from '../storage/record-store.ts';
import { requireId, TEXT_LIMITS } from '../storage/texts.ts';
import { parseEventFilter, selected, type EventFilter, type FollowedEvent } from './event-filter.ts';
import { firstFollower, OutboxFollower, type EventFollower, type Reach } from './follower.ts';
import { OutboxWatch } from './watch.ts';

export interface FollowOptions {
  readonly filter?: EventFilter;
  /** Where a name begins that nobody has followed by yet: with what happens from now on (default), or the oldest kept event. */
  readonly from?: 'now' | 'oldest';
}

/** How far back, and how much at a time, the newest event is looked for. */
const NEWEST_OF = 1_000;
const PAGE = 100;

/** The events as they are stored: read by cursor, or followed under a name. */
export class Outbox {
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #watch: OutboxWatch;

  constructor({ ports, records }: { readonly ports: Ports; readonly records: RecordStore }) {
    this.#ports = ports;
    this.#records = records;
    this.#watch = new OutboxWatch({ ports, records });
  }

  async read(cursor: number, limit: number): Promise<EventPage> {
    const { prunedThrough } = await this.#records.eventRange();
    return { ...(await this.#records.readEvents(cursor, limit)), missed: cursor > 0 && cursor < prunedThrough };
  }

  /**
   * Follows the events under a name, which is remembered durably from this call on; without a name only until the process ends.
   *
   * @param reach see `FollowerOptions.reach`; default: all credentials
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`
   */
  async follow(
    followerId: string | null,
    { filter = {}, from = 'now' }: FollowOptions = {},
    reach: Reach = everything,
  ): Promise<EventFollower> {
    if (!['now', 'oldest'].includes(from)) {
      throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'Events are followed from "now" or from "oldest".');
    }
    const { ports, records, watch } = { ports: this.#ports, records: this.#records, watch: this.#watch };
    const options = { ports, records, watch, filter: parseEventFilter(filter), reach };
    const now = ports.clock.now();
    const { newest, prunedThrough } = await records.eventRange();
    const first = firstFollower(followerId ?? '', from === 'now' ? newest : 0, prunedThrough, now);
    if (followerId === null) return new OutboxFollower(first, { ...options, isRemembered: false });
    requireId('followerId', followerId, TEXT_LIMITS.key);
    await records.forgetFollowers(now);
    const isFirst = await records.compareAndSetFollower(first, 0);
    const state = isFirst ? first : ((await records.getFollower(followerId)) ?? first);
    return new OutboxFollower(state, { ...options, isRemembered: true });
  }

  /** The newest stored event that the filter lets through, looked for among the last 1,000; `null` when there is none. */
  async newest(filter: EventFilter = {}, reach: Reach = everything): Promise<FollowedEvent | null> {
    const selection = { records: this.#records, filter: parseEventFilter(filter), reach: await reach() };
    const { newest } = await this.#records.eventRange();
    for (let from = newest; from > Math.max(0, newest - NEWEST_OF);) {
      from = Math.max(0, from - PAGE);
      const { events } = await this.#records.readEvents(from, PAGE);
      const last = (await selected(selection, events)).at(-1);
      if (last !== undefined) return last;
    }
    return null;
  }

  /** Something was just written to the outbox. */
  wake(): void {
    this.#watch.wake();
  }

  close(): void {
    this.#watch.close();
  }
}

const everything: Reach = () => {
  return Promise.resolve(null);
};
