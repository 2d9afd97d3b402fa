import { circuitBreaker, ConsecutiveBreaker, DelegateBackoff, handleAll } from 'cockatiel';
import { z } from 'zod/v4';
import { isJsonObject, type JsonObject } from '../json.ts';

/** Failures in a row, over all processes, that break the circuit. */
export const BREAKS_AFTER = 5;
const FIRST_BREAK_MS = 30_000;
const LONGEST_BREAK_MS = 300_000;
/** A probe that was not heard of for so long died with its process: longer than any request takes. */
const PROBE_MS = 45_000;

const instant = z.iso.datetime().transform((text) => new Date(text));
const policySchema = z.object({
  ownState: z.discriminatedUnion('value', [
    z.object({ value: z.literal(0) }),
    z.object({ value: z.literal(1), openedAt: z.number(), attemptNo: z.int().positive() }),
  ]),
  breakerState: z.number(),
});
const circuitSchema = z.strictObject({
  policy: policySchema,
  opensAt: instant.nullable(),
  probe: z.strictObject({ probeId: z.string(), untilAt: instant }).nullable(),
});

/** An endpoint's circuit as it is stored: cockatiel's own state, and the instants by our clock. */
export interface Circuit {
  readonly policy: z.output<typeof policySchema>;
  /** A broken circuit lets one probe through from here on; `null` while it is whole. */
  readonly opensAt: Date | null;
  /** The request that tries a broken circuit. */
  readonly probe: { readonly probeId: string; readonly untilAt: Date } | null;
}

const WHOLE: Circuit = { policy: { ownState: { value: 0 }, breakerState: 0 }, opensAt: null, probe: null };

/** A stored circuit; one that cannot be read counts as whole, because nothing rests on it but patience. */
export function parseCircuit(stored: JsonObject | null): Circuit {
  if (stored === null) return WHOLE;
  const result = circuitSchema.safeParse(stored);
  return result.success ? result.data : WHOLE;
}

/** The circuit's stored form; `null` for one that has nothing to remember. */
export function encodeCircuit({ policy, opensAt, probe }: Circuit): JsonObject | null {
  const isWhole = opensAt === null && policy.breakerState === 0;
  const stored: unknown = JSON.parse(JSON.stringify({ policy, opensAt, probe }));
  return isWhole || !isJsonObject(stored) ? null : stored;
}

export type CircuitAnswer =
  | { readonly answer: 'pass' }
  | { readonly answer: 'probe' }
  | { readonly answer: 'refuse'; readonly retryAfterMs: number };

/** Whether a request may pass now: each while it is whole, one at a time when the break is over. */
export function askCircuit({ opensAt, probe }: Circuit, now: Date): CircuitAnswer {
  if (opensAt === null) return { answer: 'pass' };
  const untilOpenMs = opensAt.getTime() - now.getTime();
  // Further away than a break can last: the clock that wrote it was wrong.
  if (untilOpenMs > 0 && untilOpenMs <= LONGEST_BREAK_MS) return { answer: 'refuse', retryAfterMs: untilOpenMs };
  const untilProbedMs = probe === null ? 0 : probe.untilAt.getTime() - now.getTime();
  if (untilProbedMs > 0 && untilProbedMs <= PROBE_MS) return { answer: 'refuse', retryAfterMs: untilProbedMs };
  return { answer: 'probe' };
}

/** The circuit with this request as its probe. */
export function withProbe(circuit: Circuit, probeId: string, now: Date): Circuit {
  return { ...circuit, probe: { probeId, untilAt: new Date(now.getTime() + PROBE_MS) } };
}

/** The probe was not made after all: the next request may be it. */
export function withoutProbe(circuit: Circuit, probeId: string): Circuit {
  return circuit.probe?.probeId === probeId ? { ...circuit, probe: null } : circuit;
}

/**
 * The circuit after a request. cockatiel decides what follows; it is given the stored state, one outcome, and no time of its
 * own. A broken circuit listens to its probe, and to a success of whoever else was let through.
 */
export async function afterOutcome(
  circuit: Circuit,
  { failed, probeId, now }: { failed: boolean; probeId: string | null; now: Date },
): Promise<Circuit> {
  // The usual case: nothing is remembered, and nothing happened.
  if (circuit === WHOLE && !failed) return WHOLE;
  const isBroken = circuit.opensAt !== null;
  const isProbe = probeId !== null && circuit.probe?.probeId === probeId;
  if (isBroken && failed && !isProbe) return circuit;
  const policy = circuitBreaker(handleAll, {
    breaker: new ConsecutiveBreaker(BREAKS_AFTER),
    halfOpenAfter: new DelegateBackoff(() => 0),
    initialState: structuredClone(circuit.policy),
  });
  await policy.execute(() => (failed ? Promise.reject(new Error('failed')) : Promise.resolve())).catch(() => undefined);
  const next = policySchema.parse(policy.toJSON());
  const { ownState } = next;
  if (ownState.value === 0) return { policy: next, opensAt: null, probe: null };
  const opensAt = new Date(now.getTime() + breakMs(ownState.attemptNo));
  // cockatiel measures breaks by the clock of the process; ours are measured here.
  return { policy: { ...next, ownState: { ...ownState, openedAt: 0 } }, opensAt, probe: null };
}

/** 30 s, doubled with each probe that failed, at most 5 min. */
function breakMs(attemptNo: number): number {
  return Math.min(FIRST_BREAK_MS * 2 ** (attemptNo - 1), LONGEST_BREAK_MS);
}
