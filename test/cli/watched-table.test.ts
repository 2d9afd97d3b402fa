import stringWidth from 'string-width';
import type { CredentialSummary } from '../../src/client.ts';
import { credentialTable, troubleLines } from '../../src/cli/credential-table.ts';
import { plainStyle } from '../../src/cli/style.ts';
import { composeWatchedFrame, type WatchedContent } from '../../src/cli/watch/live-watched-table.ts';
import { watchedCountsText, watchedState, type WatchedRow } from '../../src/cli/watched-words.ts';
import { ConfigurationError } from '../../src/errors.ts';
import type { TestResult } from '../../src/protocols/protocol.ts';
import { inSeconds, NOW, sampleCredential } from './credential-samples.ts';

const URL_OF_N8N = 'https://n8n.example';

function tested(message: string, changes: Partial<TestResult> = {}): TestResult {
  const details = { latencyMs: 3, endpoint: '', permissionsVerified: [], metadata: { type: 'grafanaApi' } };
  return { success: false, message, details, testedAt: inSeconds(-90), ...changes };
}

function row(
  name: string,
  changes: Partial<CredentialSummary> = {},
  lastTest: TestResult | null = tested(''),
): WatchedRow {
  const endpoint = `${URL_OF_N8N}/home/credentials/abc`;
  return { credential: sampleCredential({ name, protocol: 'n8n', expiresAt: null, endpoint, ...changes }), lastTest };
}

const host = row('n8n at n8n.example', { endpoint: `${URL_OF_N8N}/` });
const works = row('Dashboards');
const fails = row('Mail', { health: 'failing' }, tested('n8n says that it fails. Its service answered: Unauthorized.'));
const noTest = row('Header', { health: 'unknown', healthChangedAt: null }, tested('', { inconclusive: true }));
const untested = row('New', { health: 'unknown', healthChangedAt: null }, null);
const paused = row('Resting', { paused: true, health: 'failing' });
const ended = row('Ended', { state: 'revoked.byUser' });
const content: WatchedContent = {
  url: URL_OF_N8N,
  now: NOW,
  rows: [host, works, fails, noTest, untested, paused, ended],
  failure: null,
  hasLooked: true,
};

test.each([
  [works, 'working'],
  [fails, 'failing'],
  [noTest, 'noTest'],
  [untested, 'untested'],
  [paused, 'paused'],
  [ended, 'ended'],
])('%# tells the states apart', (each, state) => {
  expect(watchedState(each)).toBe(state);
});

test('does not count n8n itself as one of its credentials', () => {
  expect(watchedCountsText(content.rows)).toBe(
    '6 watched: 1 fails, 1 works, 1 without a test, 1 not tested, 1 paused, 1 not watched',
  );
  expect(watchedCountsText([host])).toBe('0 watched');
});

test('shows what fails first, why, and where it is', () => {
  const lines = composeWatchedFrame(content, { width: 100, height: 30 }, plainStyle);
  expect(lines[3]).toMatch(/^Mail +grafanaApi +watched: fails +30s +90s ago$/);
  expect(lines).toContain('Mail: n8n says that it fails. Its service answered: Unauthorized.');
  expect(lines).toContain(`  ${URL_OF_N8N}/home/credentials/abc`);
  expect(lines.at(-1)).toMatch(/^https:\/\/n8n\.example +Ctrl-C ends$/);
});

test('says above all that n8n cannot be asked', () => {
  const failure = new ConfigurationError('ERR_N8N_KEY_REFUSED', 'n8n.example does not accept the API key (HTTP 401).');
  const lines = composeWatchedFrame({ ...content, failure }, { width: 100, height: 30 }, plainStyle);
  expect(lines[1]).toContain('[ERR_N8N_KEY_REFUSED]');
});

test('says that it is asking while nothing is known yet', () => {
  const lines = composeWatchedFrame({ ...content, rows: [], hasLooked: false }, { width: 80, height: 10 }, plainStyle);
  expect(lines).toContain('asking n8n …');
});

test('never exceeds the size of the terminal', () => {
  const failure = new ConfigurationError('ERR_N8N_KEY_REFUSED', 'n8n.example does not accept the API key (HTTP 401).');
  const rows = Array.from({ length: 60 }, (_, index) => ({
    ...fails,
    credential: { ...fails.credential, name: `日本 ${index}` },
  }));
  for (let width = 40; width <= 160; width += 7) {
    for (let height = 5; height <= 50; height += 3) {
      const lines = composeWatchedFrame({ ...content, rows, failure }, { width, height }, plainStyle);
      expect(lines.length).toBeLessThanOrEqual(height);
      expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(width);
    }
  }
});

test('stands apart in the list of all credentials', () => {
  const rows = [works, fails, host].map((each) => ({ ...each, lastEvent: null }));
  const look = { now: NOW, width: 140, style: plainStyle };
  const [, first, second] = credentialTable(rows, look);
  expect(first).toMatch(/^Dashboards +n8n +watched: works +– +none +tested 90s ago$/);
  expect(second).toMatch(/^Mail +n8n +watched: fails +– +you: correct it in n8n +tested 90s ago$/);
  expect(troubleLines(rows, look).join(' ')).toMatch(/^Mail: .* Unauthorized\. +https:/);
});

test('prints no control characters of a name', () => {
  const evil = row('\u001b[2Jgone', { health: 'failing' }, tested('\u001b[31mred'));
  expect(
    composeWatchedFrame({ ...content, rows: [evil] }, { width: 90, height: 20 }, plainStyle).join(''),
  ).not.toContain('\u001b');
});
