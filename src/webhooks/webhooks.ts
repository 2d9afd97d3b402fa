import { ConfigurationError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { StoredWebhook } from '../storage/ledger.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { Vault } from '../vault/vault.ts';
import { sendWebhook } from './send.ts';
import { encodeWebhookKey } from './signature.ts';
import { firstDelivery, parseNewWebhook, webhookKey, type NewWebhook, type WebhookStatus } from './webhook.ts';

/** How long requests carry the signature by the key before, too. */
const KEY_OVERLAP_MS = 24 * 3_600_000;

export interface WebhookTest {
  readonly delivered: boolean;
  /** HTTP status of a delivery. */
  readonly status: number | null;
  /** Why it was not delivered, as one sentence with its code. */
  readonly failure: string | null;
  readonly latencyMs: number;
}

/** Who is told of events by signed requests: `engine.webhooks`. Delivery is the keeper's work: docs/health.md. */
export class Webhooks {
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #vault: Vault;
  readonly #requireOpen: () => void;
  readonly #wake: () => void;

  constructor(options: {
    readonly ports: Ports;
    readonly records: RecordStore;
    readonly vault: Vault;
    readonly requireOpen: () => void;
    readonly wake: () => void;
  }) {
    this.#ports = options.ports;
    this.#records = options.records;
    this.#vault = options.vault;
    this.#requireOpen = options.requireOpen;
    this.#wake = options.wake;
  }

  /**
   * Adds a webhook for the events from now on. Its signing key is in this answer and in no other.
   *
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`
   */
  async add(input: NewWebhook): Promise<{ webhook: WebhookStatus; key: string }> {
    this.#requireOpen();
    const parsed = parseNewWebhook(input);
    const webhookId = `wh_${this.#ports.random.bytes(10).toString('hex')}`;
    const { newest } = await this.#records.eventRange();
    const webhook: StoredWebhook = {
      ...{ webhookId, ...parsed, keyGeneration: 1, previousKeyUntil: null },
      createdAt: this.#ports.clock.now(),
    };
    await this.#records.compareAndSetDelivery(firstDelivery(webhookId, newest), 0);
    await this.#records.putWebhook(webhook);
    this.#wake();
    return { webhook: await this.#statusOf(webhook), key: this.#keyOf(webhook) };
  }

  /** All webhooks, by id. */
  async list(): Promise<WebhookStatus[]> {
    this.#requireOpen();
    return Promise.all((await this.#records.listWebhooks()).map((webhook) => this.#statusOf(webhook)));
  }

  /** @throws ConfigurationError `ERR_WEBHOOK_NOT_FOUND` */
  async remove(webhookId: string): Promise<void> {
    this.#requireOpen();
    await this.#require(webhookId);
    await this.#records.removeWebhook(webhookId);
  }

  /** Sends a signed request of the type `webhook.test` now, outside of the outbox. @throws ConfigurationError `ERR_WEBHOOK_NOT_FOUND` */
  async test(webhookId: string): Promise<WebhookTest> {
    this.#requireOpen();
    const webhook = await this.#require(webhookId);
    const { clock, random } = this.#ports;
    const eventId = random.bytes(16).toString('hex');
    const body = JSON.stringify({ type: 'webhook.test', timestamp: clock.now().toISOString(), data: { eventId } });
    const startedMs = clock.hostTime().ms;
    const { signal } = new AbortController();
    const sent = await sendWebhook({ ports: this.#ports, vault: this.#vault }, webhook, { eventId, body }, signal);
    const latencyMs = clock.hostTime().ms - startedMs;
    if (sent.outcome === 'delivered') return { delivered: true, status: sent.status, failure: null, latencyMs };
    return { delivered: false, status: null, failure: sent.error.describe(), latencyMs };
  }

  /**
   * Gives a webhook another signing key. For 24 hours each request carries signatures by both, so that the receiver can change
   * over without missing one. @throws ConfigurationError `ERR_WEBHOOK_NOT_FOUND`
   */
  async rotateKey(webhookId: string): Promise<{ key: string; previousKeyUntil: Date }> {
    this.#requireOpen();
    const webhook = await this.#require(webhookId);
    const previousKeyUntil = new Date(this.#ports.clock.now().getTime() + KEY_OVERLAP_MS);
    const next = { ...webhook, keyGeneration: webhook.keyGeneration + 1, previousKeyUntil };
    await this.#records.putWebhook(next);
    return { key: this.#keyOf(next), previousKeyUntil };
  }

  #keyOf({ webhookId, keyGeneration }: StoredWebhook): string {
    return encodeWebhookKey(webhookKey(this.#vault, webhookId, keyGeneration));
  }

  async #require(webhookId: string): Promise<StoredWebhook> {
    const webhook = await this.#records.getWebhook(webhookId);
    if (webhook) return webhook;
    throw new ConfigurationError('ERR_WEBHOOK_NOT_FOUND', 'There is no webhook with this id.');
  }

  async #statusOf({ keyGeneration: _, ...webhook }: StoredWebhook): Promise<WebhookStatus> {
    const { newest } = await this.#records.eventRange();
    const state = (await this.#records.getDelivery(webhook.webhookId)) ?? firstDelivery(webhook.webhookId, newest);
    const { cursor, delivered, leftOut, missed, tries, retryNotBefore, lastDeliveredAt, failure } = state;
    const waiting = Math.max(0, newest - cursor);
    return { ...webhook, waiting, delivered, leftOut, missed, tries, retryNotBefore, lastDeliveredAt, failure };
  }
}
