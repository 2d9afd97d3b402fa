import { z } from 'zod/v4';
import type { JsonObject } from '../json.ts';
import type { Budget } from '../protocols/protocol.ts';

/** More slots than this are not stored: the window is divided instead, which allows no request more. */
const MOST_SLOTS = 100;
/** A request that was not heard of for so long died with its process; its slot is free a window later. */
const LONGEST_REQUEST_MS = 45_000;

const slotsSchema = z.strictObject({ freeAt: z.array(z.number()) });

/**
 * A budget as slots, one for each request that the window allows. A slot is taken before its request leaves and is free again
 * one window after its answer came. So two requests in one slot reach the server a whole window apart, however long
 * each is under way, and no window of the server's own ever holds more than the budget.
 */
export interface Slots {
  readonly requests: number;
  readonly perMs: number;
  /** When each slot that was ever taken is free again, in ms since 1970. */
  readonly freeAt: readonly number[];
}

export function parseSlots(stored: JsonObject | null, budget: Budget): Slots {
  const divisor = Math.ceil(budget.requests / MOST_SLOTS);
  const requests = Math.floor(budget.requests / divisor);
  // A whole number of short windows fills the long one, so that it never holds more than the budget.
  const perMs = budget.perMs / divisor;
  const result = slotsSchema.safeParse(stored);
  return { requests, perMs, freeAt: (result.success ? result.data.freeAt : []).slice(0, requests) };
}

export function encodeSlots({ freeAt }: Slots): JsonObject {
  return { freeAt: [...freeAt] };
}

/** Ms until a slot is free; 0 when one is. */
export function untilFreeMs(slots: Slots, nowMs: number): number {
  if (slots.freeAt.length < slots.requests) return 0;
  const waitMs = Math.min(...slots.freeAt.map((freeAtMs) => waitOf(freeAtMs, slots, nowMs)));
  // A request that is under way mostly ends at once: its slot is then free a window from now.
  return Math.min(Math.max(0, waitMs), slots.perMs);
}

/** A slot that is taken further ahead than it can be was written by a clock that was wrong. */
function waitOf(freeAtMs: number, { perMs }: Slots, nowMs: number): number {
  const waitMs = freeAtMs - nowMs;
  return waitMs > perMs + LONGEST_REQUEST_MS ? 0 : waitMs;
}

/** A slot under a request: its place, and the mark by which the request finds it again. */
export interface TakenSlot {
  readonly slots: Slots;
  readonly place: number;
  readonly mark: number;
}

/** Takes the slot that was free first, or with `force` the one that will be: then later requests wait the longer. */
export function takeSlot(slots: Slots, nowMs: number, force = false): TakenSlot | null {
  if (!force && untilFreeMs(slots, nowMs) > 0) return null;
  const { freeAt, requests, perMs } = slots;
  const waits = freeAt.map((freeAtMs) => waitOf(freeAtMs, slots, nowMs));
  const place = freeAt.length < requests ? freeAt.length : waits.indexOf(Math.min(...waits));
  const mark = nowMs + LONGEST_REQUEST_MS + perMs;
  return { slots: { ...slots, freeAt: [...freeAt.slice(0, place), mark, ...freeAt.slice(place + 1)] }, place, mark };
}

/** The request was answered (or never made): its slot is free one window later. */
export function leaveSlot(slots: Slots, { place, mark }: Pick<TakenSlot, 'place' | 'mark'>, nowMs: number): Slots {
  if (slots.freeAt[place] !== mark) return slots;
  return {
    ...slots,
    freeAt: slots.freeAt.map((freeAtMs, index) => (index === place ? nowMs + slots.perMs : freeAtMs)),
  };
}
