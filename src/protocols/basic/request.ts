import { createHmac } from 'node:crypto';
import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import type { Fetch } from '../../ports.ts';
import type { BasicConfig } from './config.ts';

/** The credentials of RFC 7617 §2, in UTF-8 (§2.1). */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}

export type TestOutcome = 'accepted' | 'refused' | 'unexpected';

/** One request to the test URL with this password. */
export async function testRequest(
  config: BasicConfig & { readonly testUrl: string },
  password: string,
  { fetch, signal }: { readonly fetch: Fetch; readonly signal: AbortSignal },
): Promise<{ readonly outcome: TestOutcome; readonly status: number }> {
  const headers = { authorization: basicAuthorization(config.username, password), accept: '*/*' };
  const response = await fetch(config.testUrl, { headers, signal });
  const { status } = response;
  if (status === 401 || status === 403) return { outcome: 'refused', status };
  const isExpected = config.testStatus === undefined ? response.ok : config.testStatus.includes(status);
  const { testBodyIncludes: wanted } = config;
  const holds = wanted === undefined || (await response.text()).includes(wanted);
  return { outcome: isExpected && holds ? 'accepted' : 'unexpected', status };
}

/**
 * One step of a rotation, told to a webhook. The signature is an HMAC-SHA-256 over the timestamp, a dot and the body, so that
 * nobody else can set passwords there, and nobody can send an old one again for long.
 *
 * @throws ConfigurationError `ERR_ROTATION_CANDIDATE_REFUSED` (409, 422), `ERR_BASIC_WEBHOOK_REFUSED` (any other refusal)
 */
export async function webhookRequest(
  url: string,
  { body, secret, at }: { readonly body: JsonObject; readonly secret: string; readonly at: Date },
  { fetch, signal }: { readonly fetch: Fetch; readonly signal: AbortSignal },
): Promise<void> {
  const text = JSON.stringify(body);
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  const signature = createHmac('sha256', secret).update(`${timestamp}.${text}`).digest('hex');
  const headers = {
    'content-type': 'application/json',
    'x-credlife-timestamp': timestamp,
    'x-credlife-signature': `v1=${signature}`,
  };
  const { ok, status } = await fetch(url, { method: 'POST', headers, body: text, signal });
  if (ok) return;
  const host = new URL(url).host;
  if (status === 409 || status === 422) {
    throw new ConfigurationError(
      'ERR_ROTATION_CANDIDATE_REFUSED',
      `${host} does not take this password (HTTP ${String(status)}).`,
    );
  }
  throw new ConfigurationError(
    'ERR_BASIC_WEBHOOK_REFUSED',
    `${host} refused a step of the rotation (HTTP ${String(status)}).`,
  );
}
