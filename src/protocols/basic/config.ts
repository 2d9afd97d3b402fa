import { z } from 'zod/v4';
import { ConfigurationError } from '../../errors.ts';
import type { JsonObject } from '../../json.ts';
import { parseWith } from '../schema.ts';

const url = z.url({ protocol: /^https?$/ }).refine((text) => {
  const parsed = URL.parse(text);
  return parsed === null || (parsed.username === '' && parsed.password === '' && parsed.hash === '');
}, 'must hold no user, password or fragment');
/** RFC 7617 §2: no control characters in either, and no colon in the user id, which it would end. */
const password = z
  .string()
  .min(1)
  .max(4_096)
  .regex(/^\P{Cc}*$/u);
const status = z.int().min(200).max(299);

const configSchema = z
  .strictObject({
    username: z
      .string()
      .min(1)
      .max(1_024)
      .regex(/^[^\p{Cc}:]*$/u),
    /** Any resource that answers otherwise without the password. */
    testUrl: url.optional(),
    /** Which answers of `testUrl` mean that the password is good; by default 200 to 299. */
    testStatus: z.array(status).min(1).max(20).optional(),
    /** What the answer must hold besides: some services greet everybody with 200 and a login page. */
    testBodyIncludes: z.string().min(1).max(1_024).optional(),
    /** After so many days the password counts as expired, and is warned of before. */
    maxPasswordAgeDays: z.int().min(1).max(3_650).optional(),
    /** Is asked to replace the password; see docs/basic.md. */
    rotationWebhookUrl: url.optional(),
    allowInsecureTransport: z.boolean().default(false),
  })
  .check(({ value: config, issues }) => {
    for (const field of ['testUrl', 'rotationWebhookUrl'] as const) {
      const input = config[field];
      if (config.allowInsecureTransport || input === undefined || URL.parse(input)?.protocol === 'https:') continue;
      const message = 'must be https, or allowInsecureTransport must be true';
      issues.push({ code: 'custom', path: [field], input, message });
    }
    for (const field of ['testStatus', 'testBodyIncludes'] as const) {
      if (config[field] === undefined || config.testUrl !== undefined) continue;
      issues.push({
        code: 'custom',
        path: [field],
        input: config[field],
        message: 'is a rule for testUrl, which is missing',
      });
    }
  });

export type BasicConfig = z.infer<typeof configSchema>;

const secretSchema = z.strictObject({
  password,
  /** When it was set, as far as its owner knows. */
  passwordSetAt: z.iso.datetime().optional(),
  /** Signs what goes to `rotationWebhookUrl`. */
  webhookSecret: z.string().min(16).max(1_024).optional(),
});

/** What the owner entered. */
export type BasicSecret = z.infer<typeof secretSchema>;

const grantSchema = z.strictObject({ passwordSetAt: z.iso.datetime() });

/** What is remembered of a password. It is none itself. */
export type BasicGrant = z.infer<typeof grantSchema>;

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field. */
export function parseBasicConfig(config: unknown): BasicConfig {
  return parseWith(configSchema, config, 'config');
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the first wrong field, never its value. */
export function parseBasicSecret(secret: unknown, config: BasicConfig): BasicSecret {
  const parsed = parseWith(secretSchema, secret, 'secret');
  if (config.rotationWebhookUrl === undefined || parsed.webhookSecret !== undefined) return parsed;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    'The field secret.webhookSecret is needed with config.rotationWebhookUrl.',
  );
}

export function parseBasicGrant(grant: JsonObject): BasicGrant {
  return parseWith(grantSchema, grant, 'grant');
}
