import fc from 'fast-check';
import type { Budget } from '../../src/protocols/protocol.ts';
import { encodeSlots, leaveSlot, parseSlots, takeSlot, untilFreeMs, type Slots } from '../../src/resilience/budget.ts';

const BUDGET = { requests: 3, perMs: 60_000 };

/** Takes a slot at `nowMs` and leaves it `takesMs` later; the stored slots, or how long it would have to wait. */
function requested(slots: Slots, nowMs: number, takesMs: number): Slots | number {
  const taken = takeSlot(slots, nowMs);
  return taken === null ? untilFreeMs(slots, nowMs) : leaveSlot(taken.slots, taken, nowMs + takesMs);
}

it('gives the budget at once and then a window after each answer', () => {
  let slots: Slots | number = parseSlots(null, BUDGET);
  for (const takesMs of [500, 100, 300]) slots = typeof slots === 'number' ? slots : requested(slots, 1_000, takesMs);
  expect(slots).toMatchObject({ freeAt: [61_500, 61_100, 61_300] });
  expect(typeof slots === 'number' ? slots : requested(slots, 2_000, 1)).toBe(59_100);
  expect(typeof slots === 'number' ? slots : requested(slots, 61_100, 0)).toMatchObject({
    freeAt: [61_500, 121_100, 61_300],
  });
});

it('keeps the slot of a request that was never heard of again, for as long as it may be under way and a window', () => {
  const taken = takeSlot(parseSlots(null, { requests: 1, perMs: 60_000 }), 0);
  const waits = [0, 45_000, 104_999, 105_000].map((nowMs) => taken && untilFreeMs(taken.slots, nowMs));
  expect(waits).toEqual([60_000, 60_000, 1, 0]);
});

it('lets an urgent request through, and the next ones wait the longer', () => {
  const full = takeSlot(parseSlots(null, { requests: 1, perMs: 1_000 }), 0);
  const left = full && leaveSlot(full.slots, full, 10);
  expect(left && takeSlot(left, 20)).toBeNull();
  const urgent = left && takeSlot(left, 20, true);
  expect(urgent && untilFreeMs(leaveSlot(urgent.slots, urgent, 900), 1_010)).toBe(890);
});

it('does not give a slot back that somebody else has taken since', () => {
  const first = takeSlot(parseSlots(null, { requests: 1, perMs: 1_000 }), 0);
  const second = first && takeSlot(first.slots, 10, true);
  expect(first && second && leaveSlot(second.slots, first, 20)).toEqual(second?.slots);
});

it('does not wait for what a wrong clock wrote', () => {
  const slots = parseSlots({ freeAt: [10 ** 12] }, { requests: 1, perMs: 1_000 });
  expect(untilFreeMs(slots, 0)).toBe(0);
  const two = parseSlots({ freeAt: [500, 10 ** 12] }, { requests: 2, perMs: 1_000 });
  expect(takeSlot(two, 0)?.place).toBe(1);
});

it.each([{ freeAt: 'soon' }, { freeAt: [null] }, { other: 1 }])(
  'takes stored slots of another form for none: %j',
  (stored) => {
    expect(parseSlots(stored, BUDGET).freeAt).toEqual([]);
  },
);

it('stores a hundred slots at most, in windows that together allow no more', () => {
  for (const requests of [1, 99, 100, 101, 250, 3_000]) {
    const slots = parseSlots(null, { requests, perMs: 60_000 });
    expect(slots.requests).toBeLessThanOrEqual(100);
    expect(slots.requests * (60_000 / slots.perMs)).toBeLessThanOrEqual(requests + 1e-6);
    expect(60_000 / slots.perMs).toBeCloseTo(Math.round(60_000 / slots.perMs));
  }
});

/** Arrivals at the server: any instant between the moment a slot is taken and its answer. */
function arrivals(
  budget: Budget,
  requests: readonly { pauseMs: number; takesMs: number; arrivesAt: number }[],
): number[] {
  let stored = parseSlots(null, budget);
  const under: { endsMs: number; leave: () => void }[] = [];
  const arrived: number[] = [];
  let nowMs = 0;
  for (const { pauseMs, takesMs, arrivesAt } of requests) {
    nowMs += pauseMs;
    for (;;) {
      under.sort((a, b) => a.endsMs - b.endsMs);
      while ((under[0]?.endsMs ?? Infinity) <= nowMs) under.shift()?.leave();
      const waitMs = untilFreeMs(parseSlots(encodeSlots(stored), budget), nowMs);
      if (waitMs === 0) break;
      nowMs = Math.min(nowMs + waitMs, under[0]?.endsMs ?? Infinity);
    }
    const taken = takeSlot(stored, nowMs);
    if (taken === null) throw new Error('a free slot was not given');
    stored = taken.slots;
    const endsMs = nowMs + takesMs;
    under.push({ endsMs, leave: () => (stored = leaveSlot(stored, taken, endsMs)) });
    arrived.push(nowMs + takesMs * arrivesAt);
  }
  return arrived.sort((a, b) => a - b);
}

it('never lets the server see more than the budget in any window, however long requests are under way', () => {
  const request = fc.record({
    pauseMs: fc.integer({ min: 0, max: 400 }),
    takesMs: fc.integer({ min: 0, max: 20_000 }),
    arrivesAt: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.array(request, { maxLength: 60 }), (requests, made) => {
      const budget = { requests, perMs: 1_000 };
      const times = arrivals(budget, made);
      for (const [index, time] of times.entries()) {
        const after = times[index + requests];
        if (after !== undefined) expect(after - time).toBeGreaterThanOrEqual(budget.perMs - 1e-6);
      }
    }),
  );
});
