import type * as Scenarios from '../scripts/failure-scenarios.mjs';

let mark: typeof Scenarios.mark;

beforeAll(async () => {
  ({ mark } = await import('../scripts/failure-scenarios.mjs'));
});

const report = (...tests: [string, string][]) => ({
  testResults: [{ assertionResults: tests.map(([title, status]) => ({ title, status })) }],
});

/** The line of F01 as a run leaves it. */
function marked(needs: string, ...tests: [string, string][]): string {
  return mark(`| F01 | Two processes | what it was | ${needs} |`, report(...tests)).marked;
}

test.each<[string, string, [string, string][], string]>([
  ['nothing needed and all passed', '', [['F01 a', 'passed']], 'pass (1 test)'],
  [
    'something needed and all passed',
    'more',
    [
      ['F01 a', 'passed'],
      ['F01 b', 'passed'],
    ],
    'in part (2 tests)',
  ],
  [
    'one of them failed',
    '',
    [
      ['F01 a', 'passed'],
      ['F01 b', 'failed'],
    ],
    'FAILED',
  ],
  ['one of them did not run', '', [['F01 a', 'pending']], 'FAILED'],
  [
    'none of its name',
    'more',
    [
      ['F010 a', 'passed'],
      ['about F01 a', 'passed'],
    ],
    'not yet',
  ],
])('marks a scenario with %s', (_, needs, tests, expected) => {
  expect(marked(needs, ...tests)).toContain(`| ${expected} |`);
});

test('finds a scenario without test and reason, a test without scenario, and a list that is not whole', () => {
  expect(mark('| F01 | Two processes | pass |  |', report(['F99 a', 'passed'])).problems).toEqual([
    'F01 has no test and does not say what it needs',
    'F99 has a test and no line',
    'it lists 1 scenarios of 58',
  ]);
});
