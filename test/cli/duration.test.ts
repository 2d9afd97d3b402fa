import { formatDuration, parseDuration } from '../../src/cli/duration.ts';

test.each([
  ['500ms', 500],
  ['90s', 90_000],
  ['3m', 180_000],
  ['1h', 3_600_000],
  ['168h', 604_800_000],
])('reads %s', (text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});

test.each(['', '3', 'm', '3 m', '-3m', '+3m', '3.5m', '0s', '169h', '3M', '3m3', '1e3s', '99999999999s', '٣m'])(
  'refuses "%s"',
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

test.each([
  [-5_000, '0s'],
  [400, '0s'],
  [42_000, '42s'],
  [99_400, '99s'],
  [100_000, '2m'],
  [59 * 60_000, '59m'],
  [2 * 3_600_000, '2h'],
  [47 * 3_600_000, '47h'],
  [9 * 86_400_000, '9d'],
])('shows %d ms in the unit that people would use', (durationMs, expected) => {
  expect(formatDuration(durationMs)).toBe(expected);
});
