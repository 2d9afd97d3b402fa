import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../secret.ts';

/** A signing key as its receiver gets it: `whsec_` and base64 (Standard Webhooks 1.0). */
const KEY_PREFIX = 'whsec_';
const SIGNATURE_VERSION = 'v1';
const DEFAULT_TOLERANCE_MS = 300_000;

/** The headers of a signed webhook request (Standard Webhooks 1.0). */
export interface WebhookHeaders {
  /** Id of the event: the same at each delivery. Keep the ids of the last days and drop what you had. */
  readonly 'webhook-id': string;
  /** Seconds since 1970, when this request was made. */
  readonly 'webhook-timestamp': string;
  /** `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`; several, separated by spaces, while keys overlap. */
  readonly 'webhook-signature': string;
}

export type SignatureVerdict =
  | { readonly valid: true; readonly eventId: string; readonly sentAt: Date }
  | { readonly valid: false; readonly reason: 'headersMissing' | 'timestampOutsideTolerance' | 'signatureMismatch' };

export interface VerifyOptions {
  /** The `whsec_…` keys of this webhook: one, or two while they are rotated. */
  readonly keys: readonly string[];
  readonly now: Date;
  /** How far the timestamp may be from `now`; default 300,000 (5 minutes). Older requests are replays. */
  readonly toleranceMs?: number;
}

/** Text form of a signing key. */
export function encodeWebhookKey(key: Secret<Buffer>): string {
  return KEY_PREFIX + key.unwrap().toString('base64');
}

/** Signs one request. `body` is the exact text that is sent. */
export function signWebhook(
  { eventId, sentAt, body }: { readonly eventId: string; readonly sentAt: Date; readonly body: string },
  keys: readonly Secret<Buffer>[],
): WebhookHeaders {
  const timestamp = String(Math.floor(sentAt.getTime() / 1000));
  const signatures = keys.map((key) => {
    return `${SIGNATURE_VERSION},${macOf(key.unwrap(), eventId, timestamp, body).toString('base64')}`;
  });
  return { 'webhook-id': eventId, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}

/**
 * For receivers: whether a request comes from the engine, unchanged and just now. `body` is the raw body, before any parsing:
 * another rendering of the same JSON has another signature. A valid request may be one that came before: compare `eventId`
 * with those of the last days.
 *
 * @throws TypeError for a key that is none
 *
 * @example
 * const verdict = verifyWebhookSignature(request.headers, rawBody, { keys: [process.env.WEBHOOK_KEY], now: new Date() });
 * if (!verdict.valid) return response.writeHead(401).end();
 */
export function verifyWebhookSignature(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body: string | Buffer,
  { keys, now, toleranceMs = DEFAULT_TOLERANCE_MS }: VerifyOptions,
): SignatureVerdict {
  const decoded = keys.map(decodeWebhookKey);
  const [eventId, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    headerOf(headers, name),
  );
  if (!eventId || !timestamp || !signatures || !/^\d{1,12}$/.test(timestamp)) {
    return { valid: false, reason: 'headersMissing' };
  }
  const text = typeof body === 'string' ? body : body.toString('utf8');
  const expected = decoded.map((key) => macOf(key, eventId, timestamp, text));
  if (!presentedIn(signatures).some((mac) => expected.some((each) => isSame(each, mac)))) {
    return { valid: false, reason: 'signatureMismatch' };
  }
  const sentAt = new Date(Number(timestamp) * 1000);
  const isRecent = Math.abs(now.getTime() - sentAt.getTime()) <= toleranceMs;
  return isRecent ? { valid: true, eventId, sentAt } : { valid: false, reason: 'timestampOutsideTolerance' };
}

function macOf(key: Buffer, eventId: string, timestamp: string, body: string): Buffer {
  return createHmac('sha256', key).update(`${eventId}.${timestamp}.${body}`).digest();
}

function decodeWebhookKey(key: string): Buffer {
  const encoded = key.startsWith(KEY_PREFIX) ? key.slice(KEY_PREFIX.length) : '';
  if (!/^[A-Za-z0-9+/]{32,}={0,2}$/.test(encoded)) throw new TypeError('Expected a key that begins with whsec_.');
  return Buffer.from(encoded, 'base64');
}

function presentedIn(signatures: string): Buffer[] {
  const prefix = `${SIGNATURE_VERSION},`;
  const ours = signatures.split(' ').filter((each) => each.startsWith(prefix));
  return ours.slice(0, 8).map((each) => Buffer.from(each.slice(prefix.length), 'base64'));
}

function isSame(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function headerOf(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  name: string,
): string | undefined {
  const value = headers[name] ?? Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  return typeof value === 'string' ? value : undefined;
}
