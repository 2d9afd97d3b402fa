import { z } from 'zod/v4';

/** A second token that came in the same answer, for example Slack's user token beside the bot's. SECRET. */
const companionSchema = z.strictObject({
  accessToken: z.string(),
  refreshToken: z.string().nullable(),
  scope: z.string().nullable(),
  expiresAt: z.iso.datetime().nullable(),
  /** When the server refused to refresh it for good; the grant lives on without it. */
  refusedAt: z.iso.datetime().nullable(),
});
export type Companion = z.infer<typeof companionSchema>;

/** What a grant remembers beside its tokens; absent in grants that were sealed before it was known. */
export const grantFacts = {
  /** End of the access token, when anything says. */
  expiresAt: z.iso.datetime().nullable().optional(),
  /** The life that the server itself stated last, in milliseconds. */
  lifetimeMs: z.number().positive().optional(),
  /** When a person gave the grant, when that was seen. */
  grantedAt: z.iso.datetime().optional(),
  /** End of the grant as the server stated it, for a refresh token that is not replaced. */
  grantExpiresAt: z.iso.datetime().optional(),
  companions: z.record(z.string(), companionSchema).optional(),
} as const;
