import { z } from 'zod/v4';

/**
 * What the token endpoint does instead of its work:
 * - `status`: answers with an error status and does nothing;
 * - `dropRequest`: closes the connection and does nothing;
 * - `dropAnswer`: does its work (a refresh token is spent), then closes the connection instead of answering.
 */
export const faultSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('status'),
    status: z.int().min(400).max(599),
    retryAfterSeconds: z.int().nonnegative().optional(),
  }),
  z.strictObject({ kind: z.literal('dropRequest') }),
  z.strictObject({ kind: z.literal('dropAnswer') }),
]);
export type Fault = z.output<typeof faultSchema>;

/** Faults that wait for the next token requests, and the delay before each answer. */
export class TokenEndpointFaults {
  #queue: { readonly fault: Fault; remaining: number }[] = [];
  latencyMs = 0;

  /** Lets the next `count` token requests meet the fault, after those that wait already. */
  add(fault: Fault, count: number): void {
    this.#queue.push({ fault, remaining: count });
  }

  clear(): void {
    this.#queue = [];
    this.latencyMs = 0;
  }

  /** The fault that this request meets. */
  take(): Fault | null {
    const first = this.#queue[0];
    if (!first) return null;
    first.remaining -= 1;
    if (first.remaining <= 0) this.#queue.shift();
    return first.fault;
  }
}
