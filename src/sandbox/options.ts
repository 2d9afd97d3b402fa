import { z } from 'zod/v4';

/** The sandbox's clients by the part that each of them plays. */
export const CLIENT_NAMES = ['machine', 'rotating', 'revoked', 'wrongSecret'] as const;
export type ClientName = (typeof CLIENT_NAMES)[number];

/** OAuth counts token lifetimes in whole seconds. */
const wholeSecondsMs = z.int().positive().multipleOf(1_000);

export const sandboxOptionsSchema = z.strictObject({
  /** Where keys, port, grants and log are kept. */
  folder: z.string().min(1),
  accessTokenTtlMs: wholeSecondsMs.default(60_000),
  /** Shorter, so that the token of a revoked grant is seen to expire soon. At most `accessTokenTtlMs` counts. */
  revokedClientTtlMs: wholeSecondsMs.default(45_000),
  /** How long a spent refresh token still gives a sibling token; 0 for no grace. */
  reuseGraceMs: z.int().nonnegative().default(30_000),
  /** Age at which a grant of the client `revoked` is revoked; `null` for never. */
  revokeAfterMs: z.int().nonnegative().nullable().default(120_000),
  clientAuthentication: z.enum(['client_secret_basic', 'client_secret_post']).default('client_secret_basic'),
});

/** Settings with all defaults filled in. */
export type SandboxSettings = z.output<typeof sandboxOptionsSchema>;
/** Settings as a caller gives them; everything but the folder has a default. */
export type SandboxOptions = z.input<typeof sandboxOptionsSchema>;
