import { z } from 'zod/v4';
import { ConfigurationError } from '../errors.ts';
import { EVENT_TYPES, type CredentialEvent, type EventType } from '../lifecycle/events.ts';
import { Secret } from '../secret.ts';
import type { DeliveryState, StoredWebhook } from '../storage/ledger.ts';
import type { Vault } from '../vault/vault.ts';

export interface NewWebhook {
  /** https; http only on this machine, or with `allowInsecureTransport`. No user, password or fragment. */
  readonly url: string;
  /** Which events; absent or empty for all. */
  readonly types?: readonly EventType[];
  /** Only those of this owner's credentials. */
  readonly ownerId?: string;
  /** Sends events over http:// to another machine, readable for everybody on the way. */
  readonly allowInsecureTransport?: boolean;
}

/** A webhook and how far its deliveries are. Its key is in no answer but that of `add` and `rotateKey`. */
export interface WebhookStatus extends Omit<StoredWebhook, 'keyGeneration'> {
  /** Events that it has not got yet. */
  readonly waiting: number;
  readonly delivered: number;
  readonly leftOut: number;
  readonly missed: number;
  readonly tries: number;
  readonly retryNotBefore: Date | null;
  readonly lastDeliveredAt: Date | null;
  readonly failure: string | null;
}

const newWebhookSchema = z.strictObject({
  url: z.string().max(2_048),
  types: z.array(z.enum(EVENT_TYPES)).readonly().optional(),
  ownerId: z.string().min(1).max(512).optional(),
  allowInsecureTransport: z.boolean().optional(),
});

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field */
export function parseNewWebhook(input: unknown): Required<Omit<NewWebhook, 'ownerId'>> & { ownerId: string | null } {
  const result = newWebhookSchema.safeParse(input);
  if (!result.success) {
    const issue = result.error.issues[0];
    const field = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : (issue?.path.join('.') ?? 'webhook');
    const allowed = field.startsWith('types') ? `; the event types are: ${EVENT_TYPES.join(', ')}` : '';
    throw malformed(`The field ${JSON.stringify(field.slice(0, 80))} of a webhook is not valid${allowed}.`);
  }
  const { url, types = [], ownerId = null, allowInsecureTransport = false } = result.data;
  return { url: requireUrl(url, allowInsecureTransport), types, ownerId, allowInsecureTransport };
}

function requireUrl(text: string, allowInsecureTransport: boolean): string {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw malformed('The field url must be a URL.');
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    throw malformed('The field url must hold no user, password or fragment.');
  }
  if (url.protocol === 'https:' || isLoopback(url.hostname) || allowInsecureTransport) return url.href;
  throw malformed('The field url must be https, be on this machine, or allowInsecureTransport must be true.');
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname);
}

function malformed(message: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', message);
}

/** Whether a webhook wants an event. */
export function wants({ types, ownerId }: StoredWebhook, event: CredentialEvent): boolean {
  return (types.length === 0 || types.includes(event.type)) && (ownerId === null || ownerId === event.ownerId);
}

/**
 * The key of a generation, derived from the key ring: no signing key is stored anywhere, and it outlives every rotation of
 * data keys and every change of the master key.
 */
export function webhookKey(vault: Vault, webhookId: string, generation: number): Secret<Buffer> {
  return Secret.of(vault.keyedHash('webhook-key', `${webhookId}/${String(generation)}`));
}

/** The keys that sign now: the present one, and the one before while receivers still change over. */
export function signingKeys(vault: Vault, webhook: StoredWebhook, now: Date): Secret<Buffer>[] {
  const { webhookId, keyGeneration, previousKeyUntil } = webhook;
  const overlaps = previousKeyUntil !== null && now < previousKeyUntil && keyGeneration > 1;
  const generations = overlaps ? [keyGeneration, keyGeneration - 1] : [keyGeneration];
  return generations.map((generation) => webhookKey(vault, webhookId, generation));
}

/** What is sent: the event as it is in the outbox (Standard Webhooks 1.0, "type", "timestamp" and "data"). */
export function bodyOf({ type, at, ...data }: CredentialEvent): string {
  return JSON.stringify({ type, timestamp: at.toISOString(), data });
}

export function firstDelivery(webhookId: string, cursor: number): DeliveryState {
  return {
    ...{ webhookId, revision: 1, cursor, tries: 0, retryNotBefore: null },
    ...{ delivered: 0, leftOut: 0, missed: 0, lastDeliveredAt: null, failure: null },
  };
}
