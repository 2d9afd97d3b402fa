import { toCredentialError } from '../errors.ts';
import { HeldLease } from '../lease/held-lease.ts';
import type { LeaseStore } from '../lease/lease.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import { stableFraction } from '../lifecycle/policy.ts';
import type { Ports } from '../ports.ts';
import type { DeliveryState, StoredWebhook } from '../storage/ledger.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { Vault } from '../vault/vault.ts';
import { sendWebhook, type Sent } from './send.ts';
import { bodyOf, wants } from './webhook.ts';

export interface DelivererOptions {
  readonly ports: Ports;
  readonly records: RecordStore;
  readonly vault: Vault;
  /** Opened when there is a webhook to deliver to; `null` where the stores have no leases. */
  readonly leases: () => Promise<LeaseStore | null>;
}

/** Longest time without a look at the outbox: other processes write to it too. */
const POLL_MS = 5_000;
const LEASE_MS = 15_000;
/** What must be left of the lease for a request: its deadline, and a little for the write of its outcome. */
const LEFT_TO_SEND_MS = 1_000;
const BATCH = 100;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MOST_MS = 3_600_000;
/** A receiver that is there and refuses an event this often does not get it. */
const REFUSALS = 10;

/**
 * Delivers the outbox to the webhooks, each in the order of the events, at least once: the cursor moves after the receiver has
 * answered, so a process that dies between the two sends the same event again, with the same id. One deliverer per webhook
 * at a time, by a lease; the cursor is moved by compare-and-set, so that a second one does no harm. Nothing of the engine
 * waits for it.
 */
export class WebhookDeliverer {
  readonly #options: DelivererOptions;
  readonly #stop = new AbortController();
  readonly #working = new Map<string, Promise<void>>();
  #leases: Promise<LeaseStore | null> | null = null;
  #cancelTimer: (() => void) | null = null;
  #looking: Promise<void> | null = null;
  #isRunning = false;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isRunning = true;
    this.#sleep(0);
  }

  /** Something was just written to the outbox. */
  wake(): void {
    if (this.#isRunning && this.#looking === null) this.#sleep(0);
  }

  /** Breaks requests off that are under way: their events are sent again. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#cancelTimer?.();
    this.#stop.abort(new DOMException('The engine closes.', 'AbortError'));
    await this.#looking;
    await Promise.all(this.#working.values());
    await (await this.#leases)?.close();
  }

  #sleep(delayMs: number): void {
    this.#cancelTimer?.();
    if (!this.#isRunning) return;
    this.#cancelTimer = this.#options.ports.clock.schedule(delayMs, () => {
      this.#looking = this.#look().finally(() => {
        this.#looking = null;
      });
    });
  }

  async #look(): Promise<void> {
    let delayMs = POLL_MS;
    try {
      const webhooks = await this.#options.records.listWebhooks();
      for (const webhook of webhooks) delayMs = Math.min(delayMs, await this.#attend(webhook));
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#options.ports.logger.warn({ code }, 'The outbox could not be read; trying again.');
    }
    this.#sleep(delayMs);
  }

  /** Begins to deliver when there is something to deliver now. Returns when to look again. */
  async #attend(webhook: StoredWebhook): Promise<number> {
    const { webhookId } = webhook;
    if (this.#working.has(webhookId)) return POLL_MS;
    const state = await this.#options.records.getDelivery(webhookId);
    if (state === null) return POLL_MS;
    const waitMs = (state.retryNotBefore?.getTime() ?? 0) - this.#options.ports.clock.now().getTime();
    if (waitMs > 0) return Math.min(waitMs, POLL_MS);
    const { newest } = await this.#options.records.eventRange();
    if (newest <= state.cursor) return POLL_MS;
    const work = this.#deliver(webhook).finally(() => {
      this.#working.delete(webhookId);
      this.wake();
    });
    this.#working.set(webhookId, work);
    return POLL_MS;
  }

  async #deliver(webhook: StoredWebhook): Promise<void> {
    const { ports } = this.#options;
    let held: HeldLease | null = null;
    try {
      this.#leases ??= this.#options.leases();
      const leases = await this.#leases;
      held = leases && (await HeldLease.acquire(leases, `webhook/${webhook.webhookId}`, { ttlMs: LEASE_MS }, ports));
      if (leases !== null && held === null) {
        await this.#pause();
        return;
      }
      const signal = held === null ? this.#stop.signal : AbortSignal.any([this.#stop.signal, held.signal]);
      await this.#drain(webhook, held, signal);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      const { code } = toCredentialError(error);
      ports.logger.warn({ webhookId: webhook.webhookId, code }, 'A webhook could not be served; trying again.');
      await this.#pause();
    } finally {
      await held?.release().catch(() => undefined);
    }
  }

  /** Sends what waits, event by event, until nothing does, or the receiver has to be left alone for a while. */
  async #drain(webhook: StoredWebhook, held: HeldLease | null, signal: AbortSignal): Promise<void> {
    const { records } = this.#options;
    for (;;) {
      // Read under the lease: a state read before it may be behind.
      const state = await records.getDelivery(webhook.webhookId);
      if (state === null || signal.aborted) return;
      const waiting = await this.#waiting(webhook, state);
      if (waiting === null) return;
      const { event, cursor, missed } = waiting;
      const base = { ...state, revision: state.revision + 1, missed: state.missed + missed };
      if (event !== null && held?.holds(LEFT_TO_SEND_MS) === false) return;
      const next =
        event === null
          ? { ...base, cursor, tries: 0, retryNotBefore: null }
          : this.#after(base, cursor, await this.#send(webhook, event, signal));
      // Refused: somebody else delivers, or the webhook is gone.
      if (!(await records.compareAndSetDelivery(next, state.revision)) || next.retryNotBefore !== null) return;
    }
  }

  #send(webhook: StoredWebhook, event: CredentialEvent, signal: AbortSignal): Promise<Sent> {
    return sendWebhook(this.#options, webhook, { eventId: event.eventId, body: bodyOf(event) }, signal);
  }

  /**
   * The next event that the webhook wants, with the cursor that its delivery leads to; without an event when only unwanted
   * ones were found up to that cursor. `null` when there is none at all.
   */
  async #waiting(
    webhook: StoredWebhook,
    { cursor: from }: DeliveryState,
  ): Promise<{ event: CredentialEvent | null; cursor: number; missed: number } | null> {
    const { records } = this.#options;
    const { newest, prunedThrough } = await records.eventRange();
    const page = await records.readEvents(from, BATCH);
    if (page.events.length === 0) {
      // All that was there has been pruned: to look for it again would never end.
      return newest > from ? { event: null, cursor: newest, missed: newest - from } : null;
    }
    const missedUpTo = (cursor: number): number => Math.max(0, Math.min(prunedThrough, cursor - 1) - from);
    // Where numbers are missing a page tells the cursor of its last event only: then one by one.
    const isDense = page.cursor - from === page.events.length;
    const { events, cursor } = isDense ? page : await records.readEvents(from, 1);
    const index = events.findIndex((event) => wants(webhook, event));
    if (index < 0) return { event: null, cursor, missed: missedUpTo(cursor) };
    const found = isDense ? from + index + 1 : cursor;
    return { event: events[index] ?? null, cursor: found, missed: missedUpTo(found) };
  }

  #after(state: DeliveryState, cursor: number, sent: Sent): DeliveryState {
    const { clock, logger } = this.#options.ports;
    const now = clock.now();
    const done = { ...state, cursor, tries: 0, retryNotBefore: null };
    if (sent.outcome === 'delivered') {
      return { ...done, delivered: state.delivered + 1, lastDeliveredAt: now, failure: null };
    }
    const tries = state.tries + 1;
    const { code } = sent.error;
    const failure = `${sent.error.message} [${code}]`;
    logger.warn({ webhookId: state.webhookId, code, tries }, 'A webhook was not delivered.');
    if (sent.outcome === 'refused' && tries >= REFUSALS) return { ...done, leftOut: state.leftOut + 1, failure };
    const exponential = Math.min(BACKOFF_FIRST_MS * 2 ** Math.min(tries - 1, 16), BACKOFF_MOST_MS);
    const jittered = exponential * (0.75 + 0.25 * stableFraction(`${state.webhookId}/${String(tries)}`));
    const waitMs = Math.max(jittered, sent.error.retryAfterMs ?? 0);
    return { ...state, tries, retryNotBefore: new Date(Math.ceil(now.getTime() + waitMs)), failure };
  }

  /** Somebody else is at it, or the store is away: not asked again at once. */
  async #pause(): Promise<void> {
    const { clock } = this.#options.ports;
    if (this.#stop.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const cancel = clock.schedule(POLL_MS, resolve);
      this.#stop.signal.addEventListener(
        'abort',
        () => {
          cancel();
          resolve();
        },
        { once: true },
      );
    });
  }
}
