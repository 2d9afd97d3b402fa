import type * as JudgeModule from '../../scripts/chaos/refresh/judge.mjs';
import type { Family, LogEntry } from '../servers/issuer.ts';

type Judge = typeof JudgeModule;
type Case = Parameters<Judge['judge']>[0];

const T0 = Date.parse('2026-03-01T12:00:00.000Z');
const at = (seconds: number): string => new Date(T0 + seconds * 1_000).toISOString();

/** An entry about the first token of the one family. */
function use(seconds: number, change: Partial<LogEntry>): LogEntry {
  return {
    seq: 1,
    at: at(seconds),
    presenter: 'engine-1',
    clientId: 'client',
    familyId: 'family-1',
    tokenId: 'token-1',
    use: 1,
    sinceFirstUseMs: null,
    successorWasUsed: false,
    verdict: 'rotated',
    fault: null,
    status: 200,
    delivered: true,
    ...change,
  };
}

const again = (seconds: number, change: Partial<LogEntry> = {}): LogEntry =>
  use(seconds, { use: 2, sinceFirstUseMs: seconds * 1_000, verdict: 'reanswered', presenter: 'engine-2', ...change });
const reuse = (seconds: number, change: Partial<LogEntry> = {}): LogEntry =>
  again(seconds, { verdict: 'reuseDetected', status: 400, ...change });
const killed = (seconds: number) =>
  ({ name: 'engine-1', at: T0 + seconds * 1_000, until: T0 + seconds * 1_000, signal: 'SIGKILL' }) as const;
const healingAt = (seconds: number) => ({
  credentialId: 'cr_1',
  generation: 2,
  phase: 'failed',
  spentAt: at(0),
  sentAt: at(seconds),
});
const lost = { id: 'cr_1', familyId: 'family-1', state: 'expired.needsUser', generation: 1 };
const ambiguous = { ...lost, code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH' };
const family = (endedAt: string | null): Family => ({ familyId: 'family-1', clientId: 'client', tokens: 2, endedAt });

function caseOf(graceMs: number, change: Partial<Case>): Case {
  const well = { ...lost, state: 'valid.fresh', code: null };
  return {
    log: [],
    families: [family(null)],
    credentials: [well],
    journal: [],
    blows: [],
    graces: { client: graceMs },
    ...change,
  };
}

const GOOD: [string, Case][] = [
  ['one use', caseOf(0, { log: [use(0, {})] })],
  ['a second use inside the grace window', caseOf(10_000, { log: [use(0, {}), again(5)] })],
  [
    'a grant without grace that died with its reader and says so',
    caseOf(0, {
      log: [use(0, {}), reuse(25)],
      families: [family(at(25))],
      credentials: [ambiguous],
      journal: [healingAt(25)],
      blows: [killed(1)],
    }),
  ],
  [
    'a living grant given up after two answers that never came',
    caseOf(0, {
      log: [use(0, { delivered: false }), again(25, { verdict: 'turnedAway', use: 0, fault: 'drop', status: null })],
      credentials: [ambiguous],
      journal: [healingAt(0), healingAt(25)],
    }),
  ],
];

GOOD.push([
  'a grant without grace whose request came in after the death of its sender',
  caseOf(0, {
    log: [use(1.005, {}), reuse(26)],
    families: [family(at(26))],
    credentials: [ambiguous],
    journal: [healingAt(26)],
    blows: [killed(1)],
  }),
]);

const cutOffAt = (seconds: number) => ({ ...healingAt(seconds), phase: 'sent' });
GOOD.push([
  'a grant lost in spite of grace, to blows at two holders in a row',
  caseOf(10_000, {
    log: [use(0, {}), reuse(12)],
    families: [family(at(12))],
    credentials: [ambiguous],
    journal: [cutOffAt(0), cutOffAt(5), healingAt(12)],
    blows: [killed(1)],
  }),
]);

GOOD.push([
  'a grant lost in spite of grace, to a blow and a server that turned the healing away',
  caseOf(10_000, {
    log: [use(0, {}), reuse(12)],
    families: [family(at(12))],
    credentials: [ambiguous],
    journal: [
      { ...cutOffAt(0), fence: 1 },
      { ...healingAt(5), fence: 2 },
      { ...healingAt(12), fence: 3 },
    ],
    blows: [killed(1)],
  }),
]);

GOOD.push([
  'a grant lost in spite of grace, to two blows, the first at a holder who woke up later and wrote his answer down',
  caseOf(10_000, {
    log: [use(0, {}), reuse(12)],
    families: [family(at(12))],
    credentials: [{ ...ambiguous, generation: 2 }],
    journal: [
      { ...cutOffAt(0), phase: 'committed', fence: 1 },
      { ...cutOffAt(5), fence: 2 },
      { ...healingAt(12), fence: 3 },
      { ...healingAt(30), generation: 3, fence: 4 },
    ],
    blows: [killed(1)],
  }),
]);

const BAD: [string, Case, string][] = [
  [
    'a grant lost in spite of grace to one blow, whatever happened to the refresh before',
    caseOf(10_000, {
      log: [use(0, {}), reuse(12)],
      families: [family(at(12))],
      credentials: [{ ...ambiguous, generation: 2 }],
      journal: [
        { ...cutOffAt(-30), fence: 1 },
        { ...cutOffAt(-25), phase: 'committed', fence: 2 },
        { ...cutOffAt(0), generation: 3, fence: 3 },
        { ...healingAt(12), generation: 3, fence: 4 },
      ],
      blows: [killed(1)],
    }),
    'in spite of a grace window',
  ],
  [
    'a spent token presented without healing',
    caseOf(0, {
      log: [use(0, {}), reuse(25)],
      families: [family(at(25))],
      credentials: [ambiguous],
      blows: [killed(1)],
    }),
    'not in healing',
  ],
  [
    'a superseded token inside the grace window',
    caseOf(10_000, { log: [use(0, {}), again(5, { successorWasUsed: true })] }),
    'a superseded token',
  ],
  [
    'a grant lost in spite of grace',
    caseOf(10_000, {
      log: [use(0, {}), reuse(12)],
      families: [family(at(12))],
      credentials: [ambiguous],
      journal: [healingAt(12)],
      blows: [killed(1)],
    }),
    'in spite of a grace window',
  ],
  [
    'a grant lost although nobody was hurt',
    caseOf(0, {
      log: [use(0, {}), reuse(25)],
      families: [family(at(25))],
      credentials: [ambiguous],
      journal: [healingAt(25)],
    }),
    'although its answer arrived',
  ],
  [
    'a lost grant that says something else',
    caseOf(0, {
      log: [use(0, {}), reuse(25)],
      families: [family(at(25))],
      credentials: [{ ...lost, code: 'ERR_OAUTH2_INVALID_GRANT' }],
      journal: [healingAt(25)],
      blows: [killed(1)],
    }),
    'does not say so',
  ],
  ['a living grant given up', caseOf(0, { log: [use(0, {})], credentials: [ambiguous] }), 'was given up'],
];

let judge: Judge['judge'];

beforeAll(async () => {
  ({ judge } = await import('../../scripts/chaos/refresh/judge.mjs'));
});

test.each(GOOD)('lets %s pass', (_, material) => {
  expect(judge(material)).toEqual([]);
});

test.each(BAD)('finds %s', (_, material, words) => {
  expect(judge(material)).toEqual([expect.stringContaining(words)]);
});
