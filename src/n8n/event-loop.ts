import { toCredentialError } from '../errors.ts';
import type { FollowedEvent } from '../outbox/event-filter.ts';
import type { EventBatch, EventFollower } from '../outbox/follower.ts';
import type { Clock, Logger } from '../ports.ts';

/** What became of an execution that was asked for. */
export type Ended = 'ended' | 'notBegun' | 'cutOff';

export interface EventLoopOptions {
  readonly followerId: string;
  readonly open: () => Promise<EventFollower>;
  /** Begins an execution with these events and waits for its end. Never throws. */
  readonly execute: (events: readonly FollowedEvent[], missed: boolean) => Promise<Ended>;
  /** The access key does not allow it any more: the loop has ended. */
  readonly fail: (error: unknown) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Executions under way at a time. A slow one holds nothing up until there are so many. */
const AT_ONCE = 10;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MOST_MS = 60_000;
/** How long an end waits for executions under way, so that what they dealt with is stored. Later ones store it themselves. */
const END_MS = 2_000;

/** The executions of this process that have events in hand, by follower and event. */
const inHand = new Map<string, Promise<Ended>>();

/**
 * Hands events to executions until it is stopped, and says that a batch is done when its execution has ended: a process that dies
 * before that gets the same events again. A store that is away is tried again, ever more seldom.
 */
export class EventLoop {
  readonly #options: EventLoopOptions;
  readonly #stop = new AbortController();
  readonly #handing = new Set<Promise<void>>();
  #follower: EventFollower | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(options: EventLoopOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Reads no more. What is under way goes on, and is stored when it ends. */
  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('The trigger stops.', 'AbortError'));
    await this.#running;
    await this.#endedOrTooLong();
    await this.#follower?.close().catch((error: unknown) => {
      this.#complain(error, 'How far the trigger got could not be stored: the last events come again.');
    });
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#isStopped();) {
      try {
        this.#follower ??= await this.#options.open();
        if (this.#handing.size >= AT_ONCE) await this.#room();
        const batch = await this.#follower.next(this.#stop.signal);
        failures = 0;
        this.#begin(this.#follower, batch);
      } catch (error) {
        if (this.#isStopped()) return;
        if (isRefused(error)) {
          this.#options.fail(error);
          return;
        }
        failures += 1;
        // Opened anew: the engine may have been closed and opened meanwhile.
        this.#follower = null;
        this.#complain(error, 'The events could not be read; trying again.');
        await this.#pause(failures);
      }
    }
  }

  #begin(follower: EventFollower, batch: EventBatch): void {
    const handing = this.#hand(follower, batch).finally(() => this.#handing.delete(handing));
    this.#handing.add(handing);
  }

  async #hand(follower: EventFollower, batch: EventBatch): Promise<void> {
    for (let failures = 0; ;) {
      const outcomes = await Promise.all(this.#executions(batch));
      if (outcomes.includes('cutOff')) return;
      if (!outcomes.includes('notBegun')) break;
      failures += 1;
      await this.#pause(failures);
      if (this.#isStopped()) return;
    }
    await follower.done(batch).catch((error: unknown) => {
      this.#complain(error, 'How far the trigger got could not be stored; it is stored with the next events.');
    });
  }

  /** One execution with what no other one has in hand: a workflow that was saved meanwhile has two loops for a while. */
  #executions({ events, missed }: EventBatch): Set<Promise<Ended>> {
    const keyOf = ({ eventId }: FollowedEvent): string => `${this.#options.followerId}/${eventId}`;
    const elsewhere = new Set(events.flatMap((event) => inHand.get(keyOf(event)) ?? []));
    const free = events.filter((event) => !inHand.has(keyOf(event)));
    if (free.length === 0) return elsewhere;
    const execution = this.#options.execute(free, missed).finally(() => {
      for (const event of free) inHand.delete(keyOf(event));
    });
    for (const event of free) inHand.set(keyOf(event), execution);
    return elsewhere.add(execution);
  }

  async #room(): Promise<void> {
    await this.#untilStopped((resolve) => {
      for (const handing of this.#handing) void handing.then(resolve);
    });
  }

  async #endedOrTooLong(): Promise<void> {
    let cancel = (): void => undefined;
    const tooLong = new Promise<void>((resolve) => {
      cancel = this.#options.clock.schedule(END_MS, resolve);
    });
    await Promise.race([tooLong, Promise.all(this.#handing)]);
    cancel();
  }

  async #pause(failures: number): Promise<void> {
    const ms = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 16), BACKOFF_MOST_MS);
    let cancel = (): void => undefined;
    await this.#untilStopped((resolve) => {
      cancel = this.#options.clock.schedule(ms, resolve);
    });
    cancel();
  }

  /** Ends early when the loop is stopped. */
  async #untilStopped(begin: (resolve: () => void) => void): Promise<void> {
    if (this.#isStopped()) return;
    const { signal } = this.#stop;
    let forget = (): void => undefined;
    await new Promise<void>((resolve) => {
      const stopped = (): void => {
        resolve();
      };
      signal.addEventListener('abort', stopped);
      forget = () => {
        signal.removeEventListener('abort', stopped);
      };
      begin(resolve);
    });
    forget();
  }

  #complain(error: unknown, message: string): void {
    const { code } = toCredentialError(error);
    this.#options.logger.warn({ followerId: this.#options.followerId, code }, message);
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }
}

function isRefused(error: unknown): boolean {
  const { code } = toCredentialError(error);
  return code === 'ERR_ACCESS_DENIED' || code === 'ERR_ACCESS_SCOPE_MISSING';
}
