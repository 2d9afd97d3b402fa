import fc from 'fast-check';
import {
  isStillOpen,
  parseRotationPolicy,
  planRotation,
  reachedReason,
  type PlanFacts,
} from '../../../src/lifecycle/rotation/plan.ts';

const CREATED = new Date('2026-03-01T12:00:00.000Z');
const DAY_MS = 86_400_000;
const WINDOW = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };

function facts(policy: object | null, changes: Partial<PlanFacts> = {}): PlanFacts {
  const parsed = policy === null ? null : parseRotationPolicy(policy);
  return { createdAt: CREATED, rotatedAt: null, secretExpiresAt: null, policy: parsed, ...changes };
}

function inDays(days: number): Date {
  return new Date(CREATED.getTime() + days * DAY_MS);
}

describe('the plan of a rotation', () => {
  it.each<[string, PlanFacts, Date | null]>([
    ['none without a policy', facts(null, { secretExpiresAt: inDays(1) }), null],
    ['none without an age, an end or a window', facts({}), null],
    ['a tenth of the age before the age is reached', facts({ rotateEveryMs: 30 * DAY_MS }), inDays(27)],
    ['a week before it where a tenth is more', facts({ rotateEveryMs: 365 * DAY_MS }), inDays(358)],
    ['from the last rotation on', facts({ rotateEveryMs: 30 * DAY_MS }, { rotatedAt: inDays(10) }), inDays(37)],
    ['ahead of the end of the secret', facts({}, { secretExpiresAt: inDays(10) }), inDays(9)],
    ['at whichever comes first', facts({ rotateEveryMs: 5 * DAY_MS }, { secretExpiresAt: inDays(10) }), inDays(4.5)],
    ['at the next window', facts({ window: WINDOW }), new Date('2026-03-02T01:30:00.000Z')],
    [
      'at the first window after the age',
      facts({ rotateEveryMs: 30 * DAY_MS, window: WINDOW }),
      new Date('2026-03-29T01:00:00.000Z'),
    ],
    [
      'outside of every window when the secret would end before the next one',
      facts({ window: { cron: '0 0 1 1 *', timeZone: 'UTC' } }, { secretExpiresAt: inDays(10) }),
      inDays(9),
    ],
  ])('is %s', (_sentence, given, expected) => {
    expect(planRotation(given, CREATED)?.at ?? null).toEqual(expected);
  });

  it('is never after the end of the secret nor after its age', () => {
    const days = fc.integer({ min: 1, max: 900 });
    fc.assert(
      fc.property(days, days, fc.boolean(), (age, end, windowed) => {
        const policy = { rotateEveryMs: age * DAY_MS, window: windowed ? WINDOW : null };
        const at = planRotation(facts(policy, { secretExpiresAt: inDays(end) }), CREATED)?.at;
        expect(at?.getTime()).toBeLessThan(inDays(end).getTime());
        // A window comes within a day of what it waits for.
        expect(at?.getTime()).toBeLessThanOrEqual(inDays(age).getTime() + (windowed ? DAY_MS : 0));
      }),
    );
  });

  it('does not begin in a window that has closed, and says why what is due is due', () => {
    const policy = parseRotationPolicy({ rotateEveryMs: 30 * DAY_MS, window: WINDOW });
    const opened = new Date('2026-03-29T01:00:00.000Z');
    expect(isStillOpen(policy, opened, new Date(opened.getTime() + 3_599_999))).toBe(true);
    expect(isStillOpen(policy, opened, new Date(opened.getTime() + 3_600_000))).toBe(false);
    const given = { ...facts(null), policy };
    expect(reachedReason(given, opened)).toBe('keyAgeReached');
    expect(reachedReason({ ...given, secretExpiresAt: inDays(20) }, opened)).toBe('secretExpiring');
    expect(reachedReason(given, CREATED)).toBe('windowOpened');
  });
});

describe('a rotation policy', () => {
  it('fills in what is not given', () => {
    expect(parseRotationPolicy({})).toEqual({ rotateEveryMs: null, rotationGraceMs: DAY_MS, window: null });
  });

  it.each<[string, unknown]>([
    ['no object', 'daily'],
    ['null', null],
    ['a list', []],
    ['an unknown field', { rotateEvery: 1 }],
    ['an age as text', { rotateEveryMs: '86400000' }],
    ['an age of part of a millisecond', { rotateEveryMs: 86_400_000.5 }],
    ['an age that is no number', { rotateEveryMs: Number.NaN }],
    ['an age without end', { rotateEveryMs: Number.POSITIVE_INFINITY }],
    ['an age below a minute', { rotateEveryMs: 59_999 }],
    ['an age above ten years', { rotateEveryMs: 4_000 * DAY_MS }],
    ['a grace below zero', { rotationGraceMs: -1 }],
    ['a grace of null', { rotationGraceMs: null }],
    ['a window as text', { window: '30 2 * * *' }],
    ['a window without a time zone', { window: { cron: '30 2 * * *' } }],
    ['a window in a time zone that does not exist', { window: { cron: '30 2 * * *', timeZone: 'Europe/Atlantis' } }],
    ['a window of six fields', { window: { cron: '0 30 2 * * *', timeZone: 'UTC' } }],
    ['a window by a nickname', { window: { cron: '@daily', timeZone: 'UTC' } }],
    ['a window at minute 61', { window: { cron: '61 2 * * *', timeZone: 'UTC' } }],
    ['a window on 30 February', { window: { cron: '0 0 30 2 *', timeZone: 'UTC' } }],
    ['a window with a field too many', { window: { cron: '30 2 * * *', timeZone: 'UTC', open: 5 } }],
  ])('is refused when it is or has %s', (_sentence, input) => {
    expect(() => parseRotationPolicy(input)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED' }));
  });
});
