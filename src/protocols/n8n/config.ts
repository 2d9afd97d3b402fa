import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';
import type { Secret } from '../../secret.ts';
import { parseWith } from '../schema.ts';

/** How an n8n is asked. */
export interface N8nConnection {
  /** Where a browser opens it; a path before `/api/v1` belongs to it. */
  readonly url: string;
  /** Asked for before each request, so that a key that was replaced counts at once. SECRET */
  readonly apiKey: () => Secret<string>;
  /** Lets the key travel over http:// to another machine. */
  readonly allowInsecureTransport?: boolean;
}

const url = z
  .url({ protocol: /^https?$/ })
  .max(2_000)
  .refine((text) => {
    const parsed = URL.parse(text);
    return (
      parsed !== null && [parsed.username, parsed.password, parsed.search, parsed.hash].every((part) => part === '')
    );
  }, 'must be a URL without user name, query and fragment')
  .transform((text) => text.replace(/\/+$/, ''));

const configSchema = z.strictObject({
  url,
  /** Absent: the n8n itself. */
  credential: z
    .strictObject({
      id: z.string().regex(/^[\w-]{1,64}$/),
      type: z.string().regex(/^[\w.@/-]{1,200}$/),
    })
    .optional(),
});
const secretSchema = z.strictObject({});
const grantSchema = z.strictObject({});

/** One credential of an n8n, or (without `credential`) that n8n itself. */
export type N8nConfig = z.infer<typeof configSchema>;

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field */
export function parseN8nConfig(config: unknown): N8nConfig {
  return parseWith(configSchema, config, 'config');
}

/** There is none: n8n keeps it. @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function parseN8nSecret(secret: unknown): Record<string, never> {
  parseWith(secretSchema, secret, 'secret');
  return {};
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function parseN8nGrant(grant: unknown): void {
  parseWith(grantSchema, grant, 'grant');
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/**
 * The base URL in its one form, without a slash at its end.
 *
 * @param source names where the URL came from
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`; also for http:// to another machine, unless that is allowed
 */
export function parseN8nUrl(text: string, source: string, allowInsecureTransport = false): string {
  const result = url.safeParse(text);
  if (!result.success) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      `${source} must be the base URL of n8n, without user name, query and fragment.`,
    );
  }
  const { protocol, hostname } = new URL(result.data);
  if (protocol === 'https:' || allowInsecureTransport || LOOPBACK.test(hostname)) return result.data;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    `${source} is http:// to another machine: the API key would travel readable. Use https://, or --allow-insecure-transport.`,
  );
}
