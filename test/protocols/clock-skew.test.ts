import { ClockSkew, certainSkewMs, describeSkew } from '../../src/protocols/clock-skew.ts';
import { TestClock } from '../support/clock.ts';

const URL_ = 'https://as.example/token';
let clock: TestClock;
let skew: ClockSkew;
beforeEach(() => {
  clock = new TestClock();
  skew = new ClockSkew(clock);
});

/** An answer of a server whose clock is `aheadMs` ahead. */
async function hear(aheadMs: number, { headers = {}, tookMs = 0 } = {}): Promise<void> {
  const fetch = skew.learning(async () => {
    clock.advance(tookMs / 2);
    const date = new Date(clock.now().getTime() + aheadMs).toUTCString();
    clock.advance(tookMs / 2);
    return new Response('{}', { headers: { date, ...headers } });
  });
  await fetch(URL_);
}

const known = (): number | undefined => skew.of('as.example')?.aheadMs;

it.each([0, 600_000, -600_000, 3_600_000, -3_600_000])(
  'F40 learns that a clock is %d ms ahead, within a second',
  async (aheadMs) => {
    await hear(aheadMs);
    expect(Math.abs((known() ?? NaN) - aheadMs)).toBeLessThanOrEqual(1_000);
  },
);

it('takes the half of the way that the answer took for its age', async () => {
  await hear(60_000, { tookMs: 8_000 });
  expect(Math.abs((known() ?? NaN) - 60_000)).toBeLessThanOrEqual(4_500);
  expect(skew.of('as.example')?.uncertaintyMs).toBeGreaterThanOrEqual(4_500);
});

it('keeps the surer of two samples that agree, and the newer of two that do not', async () => {
  await hear(60_000);
  const sure = known();
  await hear(60_400, { tookMs: 4_000 });
  expect(known()).toBe(sure);
  await hear(300_000, { tookMs: 4_000 });
  expect(Math.abs((known() ?? NaN) - 300_000)).toBeLessThanOrEqual(2_500);
});

it.each<[string, Record<string, string>]>([
  ['no Date', { date: '' }],
  ['a Date that is none', { date: 'yesterday' }],
  ['a Date in another form', { date: '2026-03-01T12:00:00Z' }],
  ['the Date of a cache', { age: '60' }],
])('learns nothing from %s', async (_sentence, headers) => {
  await hear(600_000, { headers });
  expect(known()).toBeUndefined();
});

it('F40 forgets what it knew when our clock is set, and learns anew', async () => {
  await hear(600_000);
  clock.stepWall(600_000);
  expect(known()).toBeUndefined();
  await hear(0);
  expect(Math.abs(known() ?? NaN)).toBeLessThanOrEqual(1_000);
});

it('keeps what it knows for an hour, for each host by itself', async () => {
  await hear(600_000);
  clock.advance(3_599_000);
  expect(known()).toBeDefined();
  expect(skew.of('other.example')).toBeNull();
  clock.advance(2_000);
  expect(known()).toBeUndefined();
});

it.each<[number, string | null]>([
  [0, null],
  [20_000, null],
  [-29_000, null],
  [90_000, 'The clock here is 90 seconds behind that of as.example.'],
  [-600_000, 'The clock here is 10 minutes ahead of that of as.example.'],
  [7_200_000, 'The clock here is 2 hours behind that of as.example.'],
  [-172_800_000, 'The clock here is 2 days ahead of that of as.example.'],
])('says of a difference of %d ms: %p', (aheadMs, sentence) => {
  expect(describeSkew({ aheadMs, uncertaintyMs: 500 }, 'as.example')).toBe(sentence);
});

it('reckons with no more than is certain', () => {
  expect(certainSkewMs(null)).toBe(0);
  expect(certainSkewMs({ aheadMs: 400, uncertaintyMs: 500 })).toBe(0);
  expect(certainSkewMs({ aheadMs: -10_000, uncertaintyMs: 500 })).toBe(-9_500);
});
