import { z } from 'zod/v4';

/** One client of the issuer, with its own rules for tokens that were spent before. */
export const issuerClientSchema = z.strictObject({
  clientId: z.string().min(1),
  clientSecret: z.string().min(1),
  /** How long after its first use a refresh token is still answered; 0: the second use ends its family. */
  reuseGraceMs: z.int().nonnegative(),
  /** What such a late use gets: the very answer of the first use, or tokens of its own. */
  reuseAnswer: z.enum(['same', 'sibling']).default('same'),
  accessTokenTtlSeconds: z.int().positive().default(60),
});

export const issuerOptionsSchema = z.strictObject({
  clients: z.array(issuerClientSchema).min(1),
  /** Decides which requests meet a fault by chance, and how long each takes. */
  seed: z.int().nonnegative().default(1),
});
export type IssuerOptions = z.input<typeof issuerOptionsSchema>;
export type IssuerSettings = z.output<typeof issuerOptionsSchema>;
export type IssuerClient = z.output<typeof issuerClientSchema>;

/**
 * What happens to one token request instead of a plain answer. `afterRotating` faults do the server's work first: the
 * refresh token is spent and the client does not learn its successor.
 */
export const issuerFaultSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('drop'), afterRotating: z.boolean() }),
  z.strictObject({ kind: z.literal('delay'), ms: z.int().positive() }),
  /** A body that is no token response, after rotating. */
  z.strictObject({ kind: z.literal('corrupt'), how: z.enum(['truncated', 'html', 'empty']) }),
  z.strictObject({
    kind: z.literal('status'),
    status: z.int().min(400).max(599),
    retryAfterSeconds: z.int().nonnegative().optional(),
    afterRotating: z.boolean(),
  }),
]);
export type IssuerFault = z.output<typeof issuerFaultSchema>;

export const issuerFaultsSchema = z.strictObject({
  /** Met by the next requests, in this order. */
  next: z.array(issuerFaultSchema).default([]),
  /** Met by each other request with this chance. */
  byChance: z.array(z.strictObject({ fault: issuerFaultSchema, chance: z.number().min(0).max(1) })).default([]),
  /** Each request takes some time between these: half of it before the token is spent, half of it after. */
  latencyMs: z.tuple([z.int().nonnegative(), z.int().nonnegative()]).default([0, 0]),
});
export type IssuerFaults = z.input<typeof issuerFaultsSchema>;

/**
 * What the issuer made of one presented refresh token:
 * - `rotated`: first use; `reanswered`: used again inside the grace window;
 * - `reuseDetected`: used again outside of it, its family was ended by that; `familyEnded`: a family that had ended before;
 * - `unknownToken`, `clientRefused`, `requestRefused`: no token of this client, wrong credentials, malformed request;
 * - `turnedAway`: a fault that came before any work.
 */
export const verdictSchema = z.enum([
  'rotated',
  'reanswered',
  'reuseDetected',
  'familyEnded',
  'unknownToken',
  'clientRefused',
  'requestRefused',
  'turnedAway',
]);
export type Verdict = z.output<typeof verdictSchema>;

export const logEntrySchema = z.strictObject({
  seq: z.int().positive(),
  at: z.iso.datetime(),
  /** From the request header `x-presenter`: who among many processes asked. */
  presenter: z.string().nullable(),
  clientId: z.string().nullable(),
  familyId: z.string().nullable(),
  /** Names a refresh token without being it. */
  tokenId: z.string().nullable(),
  /** How often this token has now reached the issuer's work; 0 for a request that did not. */
  use: z.int().nonnegative(),
  /** Since the first use of this token. */
  sinceFirstUseMs: z.int().nullable(),
  /** Whether a token that came out of this one had already been presented: then its holder knew better. */
  successorWasUsed: z.boolean(),
  verdict: verdictSchema,
  fault: z.string().nullable(),
  /** `null` for a connection that was closed without an answer. */
  status: z.int().nullable(),
  /** Whether the whole answer was handed to a connection that was still open. The client may yet have died before reading it. */
  delivered: z.boolean(),
});
export type LogEntry = z.output<typeof logEntrySchema>;

export const familySchema = z.strictObject({
  familyId: z.string(),
  clientId: z.string(),
  /** Refresh tokens that it ever had. */
  tokens: z.int().positive(),
  endedAt: z.iso.datetime().nullable(),
});
export type Family = z.output<typeof familySchema>;

export const mintedSchema = z.strictObject({ familyId: z.string(), refreshToken: z.string() });
export type Minted = z.output<typeof mintedSchema>;

/** What the issuer's process tells the process that started it. */
export const listeningSchema = z.strictObject({ url: z.url() });
