import { errorOfCode, toCredentialError, type CredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import { boundedFetch } from '../protocols/bounded-fetch.ts';
import type { StoredWebhook } from '../storage/ledger.ts';
import type { Vault } from '../vault/vault.ts';
import { signWebhook } from './signature.ts';
import { signingKeys } from './webhook.ts';

/** What an answer is good for: its status. */
const BOUNDS = { deadlineMs: 10_000, maxBodyBytes: 65_536 };

export type Sent =
  | { readonly outcome: 'delivered'; readonly status: number }
  /** The receiver is there and says no to this request. */
  | { readonly outcome: 'refused'; readonly error: CredentialError }
  /** It is not there, or asks to be asked later. */
  | { readonly outcome: 'unavailable'; readonly error: CredentialError };

/** Makes one signed request: 10 s at most, no redirect followed, 64 KiB of answer read. */
export async function sendWebhook(
  { ports, vault }: { readonly ports: Ports; readonly vault: Vault },
  webhook: StoredWebhook,
  { eventId, body }: { readonly eventId: string; readonly body: string },
  signal: AbortSignal,
): Promise<Sent> {
  const now = ports.clock.now();
  const headers = { ...signWebhook({ eventId, sentAt: now, body }, signingKeys(vault, webhook, now)) };
  const fetch = boundedFetch(ports.fetch, () => ports.clock.now(), BOUNDS);
  try {
    const { status } = await fetch(webhook.url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'credential-lifecycle' },
      body,
      signal,
    });
    if (status < 300) return { outcome: 'delivered', status };
    const host = new URL(webhook.url).host;
    const message = `${host} answered HTTP ${String(status)} to a webhook.`;
    return { outcome: 'refused', error: errorOfCode('ERR_WEBHOOK_REFUSED', message) };
  } catch (error) {
    if (signal.aborted) throw error;
    const failure = toCredentialError(error);
    return { outcome: failure.name === 'TransientError' ? 'unavailable' : 'refused', error: failure };
  }
}
