import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { z } from 'zod/v4';
import { isOwnType, isTestDue, nextLookMs, type Known } from '../../src/watch/plan.ts';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function ago(ms: number): Date {
  return new Date(NOW.getTime() - ms);
}

function known(testedMsAgo: number | null, changes: Partial<Known> = {}): Known {
  const lastTest = testedMsAgo === null ? null : { testedAt: ago(testedMsAgo) };
  return { id: 'ad_1', health: 'healthy', healthChangedAt: ago(30 * DAY), lastTest, ...changes };
}

function due(credential: Known, changedAt: Date | null = null, everyMs = HOUR): boolean {
  return isTestDue(credential, { changedAt }, { everyMs, now: NOW });
}

describe('a watched credential', () => {
  it.each([
    { what: 'was never tested', credential: known(null), expected: true },
    { what: 'was tested a minute ago', credential: known(MINUTE), expected: false },
    { what: 'was tested most of a period ago', credential: known(0.89 * HOUR), expected: false },
    { what: 'was tested a period ago', credential: known(HOUR), expected: true },
    { what: 'was tested in the future, by a clock that was wrong', credential: known(-MINUTE), expected: true },
  ])('that $what: due $expected', ({ credential, expected }) => {
    expect(due(credential)).toBe(expected);
  });

  it.each([
    { what: 'after its last test', changedAt: ago(MINUTE), expected: true },
    { what: 'before its last test', changedAt: ago(10 * MINUTE), expected: false },
    { what: 'in the future', changedAt: ago(-MINUTE), expected: false },
  ])('that was changed in n8n $what: due $expected', ({ changedAt, expected }) => {
    expect(due(known(5 * MINUTE, { health: 'failing', healthChangedAt: ago(DAY) }), changedAt)).toBe(expected);
  });

  it.each([
    { failing: 5 * MINUTE, tested: HOUR, expected: true },
    { failing: 5 * HOUR, tested: 2 * HOUR, expected: false },
    { failing: 5 * HOUR, tested: 2.5 * HOUR, expected: true },
    { failing: 90 * DAY, tested: 20 * HOUR, expected: false },
    { failing: 90 * DAY, tested: DAY, expected: true },
  ])('that fails is asked for ever more rarely, up to a day apart: $expected', ({ failing, tested, expected }) => {
    expect(due(known(tested, { health: 'failing', healthChangedAt: ago(failing) }))).toBe(expected);
  });
});

describe('the next look', () => {
  it.each([
    { everyMs: HOUR, failures: 0, expected: 5 * MINUTE },
    { everyMs: MINUTE, failures: 0, expected: MINUTE },
    { everyMs: MINUTE, failures: 1, expected: MINUTE },
    { everyMs: 1_000, failures: 1, expected: 30_000 },
    { everyMs: 1_000, failures: 3, expected: 120_000 },
    { everyMs: HOUR, failures: 1_000, expected: 15 * MINUTE },
  ])('every $everyMs ms after $failures failures comes in $expected ms', ({ everyMs, failures, expected }) => {
    expect(nextLookMs(everyMs, failures)).toBe(expected);
  });
});

describe('the types of this package', () => {
  const manifest = z
    .object({ n8n: z.object({ credentials: z.array(z.string()) }) })
    .parse(JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')));
  const names = manifest.n8n.credentials.map((file) => {
    const [base = ''] = (file.split('/').pop() ?? '').split('.');
    return base.charAt(0).toLowerCase() + base.slice(1);
  });

  it.each(names)('%s is one of them', (name) => {
    expect(isOwnType(name)).toBe(true);
  });

  it.each(['oAuth2Api', 'httpHeaderAuth', 'lifecycle', 'lifecyclesApi', 'managedCredentialApiKey'])(
    '%s is none',
    (name) => {
      expect(isOwnType(name)).toBe(false);
    },
  );
});
