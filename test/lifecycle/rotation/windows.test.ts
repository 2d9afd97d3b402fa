import { nextWindowAt } from '../../../src/lifecycle/rotation/windows.ts';

const DAY_MS = 86_400_000;

/** Every opening from noon of the day before, as instants. */
function openings(cron: string, timeZone: string, day: string, count: number): string[] {
  const found: string[] = [];
  let after = new Date(Date.parse(`${day}T12:00:00Z`) - DAY_MS);
  while (found.length < count) {
    const next = nextWindowAt({ cron, timeZone }, after);
    if (next === null) break;
    found.push(next.toISOString().slice(0, 16));
    after = next;
  }
  return found;
}

test.each([
  [
    'the clocks go forward over it',
    '30 2 * * *',
    'Europe/Berlin',
    '2026-03-29',
    ['2026-03-29T01:00', '2026-03-30T00:30'],
  ],
  ['the clocks go back over it', '30 2 * * *', 'Europe/Berlin', '2026-10-25', ['2026-10-25T00:30', '2026-10-26T01:30']],
  [
    'the clocks go forward over it, elsewhere',
    '30 2 * * *',
    'America/New_York',
    '2026-03-08',
    ['2026-03-08T07:00', '2026-03-09T06:30'],
  ],
  [
    'the clocks go back over it, elsewhere',
    '30 1 * * *',
    'America/New_York',
    '2026-11-01',
    ['2026-11-01T05:30', '2026-11-02T06:30'],
  ],
  [
    'the clocks go forward by half an hour',
    '15 2 * * *',
    'Australia/Lord_Howe',
    '2026-10-04',
    ['2026-10-03T15:30', '2026-10-04T15:15'],
  ],
  [
    'it opens once a week on the day of the change',
    '30 2 * * 0',
    'Europe/Berlin',
    '2026-10-25',
    ['2026-10-25T00:30', '2026-11-01T01:30'],
  ],
  ['a leap second was inserted before it', '0 0 * * *', 'UTC', '2017-01-01', ['2017-01-01T00:00', '2017-01-02T00:00']],
  ['its day comes every four years', '0 3 29 2 *', 'UTC', '2026-03-01', ['2028-02-29T03:00', '2032-02-29T03:00']],
])('F43 a window opens once when %s', (_sentence, cron, timeZone, day, expected) => {
  expect(openings(cron, timeZone, day, expected.length)).toEqual(expected);
});

test.each(['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu', 'UTC'])(
  'F43 a daily window opens exactly once on each day of a year (%s)',
  (timeZone) => {
    const found = openings('30 2 * * *', timeZone, '2026-01-02', 366);
    const local = new Intl.DateTimeFormat('en-CA', { timeZone, dateStyle: 'short' });
    expect(new Set(found.map((instant) => local.format(new Date(`${instant}Z`)))).size).toBe(366);
  },
);
