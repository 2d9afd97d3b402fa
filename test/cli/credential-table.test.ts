import { credentialTable, troubleLines } from '../../src/cli/credential-table.ts';
import { plainStyle } from '../../src/cli/style.ts';
import { STATE_PATHS, type StatePath } from '../../src/lifecycle/credential.ts';
import { inSeconds, NOW, refusedRow, sampleRow } from './credential-samples.ts';

const wide = { now: NOW, width: 200, style: plainStyle };

test('says name, protocol, state, expiry, next action and last event', () => {
  expect(credentialTable([sampleRow()], wide)).toEqual([
    'NAME         PROTOCOL  STATE  EXPIRES IN  NEXT ACTION     LAST EVENT',
    'Billing API  OAuth2    valid  30s         refresh in 10s  refreshed 3s ago',
  ]);
});

test('fits 80 columns without cutting a state', () => {
  const rows = [
    sampleRow(),
    refusedRow('Rotating grant', 'expired.needsUser'),
    sampleRow({ state: 'pending.misconfigured' }),
  ];
  expect(credentialTable(rows, { ...wide, width: 79 })).toEqual([
    'NAME            PROTOCOL  STATE               EXPIRES  NEXT        LAST',
    'Billing API     OAuth2    valid               30s      in 10s      3s refreshed',
    'Rotating grant  OAuth2    expired: needs you  30s      authorize   3s refreshed',
    'Billing API     OAuth2    pending: fix setup  30s      correct it  3s refreshed',
  ]);
});

test('shows the id on demand', () => {
  const [title, line] = credentialTable([sampleRow()], { ...wide, ids: true });
  expect(title).toMatch(/ID$/);
  expect(line).toMatch(/cr_0123456789abcdef0123$/);
});

test('does not let a name steer the terminal', () => {
  const [, line, ...rest] = credentialTable([sampleRow({ name: 'evil\u001b[2J\nvalid' })], wide);
  expect(line).toMatch(/^evil\ufffd\[2J\ufffdvalid {2}/);
  expect(rest).toEqual([]);
});

test.each<[StatePath, string]>([
  ['pending.unverified', 'try again in 10s'],
  ['pending.misconfigured', 'you: correct it'],
  ['valid.fresh', 'refresh in 10s'],
  ['valid.degraded', 'you: authorize again'],
  ['refreshing.sent', 'refreshing now'],
  ['expired.retrying', 'try again in 10s'],
  ['expired.needsUser', 'you: authorize again'],
  ['revoked.byUser', 'none'],
])('says what happens next to a credential that is %s', (state, next) => {
  expect(credentialTable([sampleRow({ state })], wide)[1]).toContain(`  ${next}  `);
});

test('has words for every state', () => {
  const lines = credentialTable(
    STATE_PATHS.map((state) => sampleRow({ state })),
    wide,
  );
  expect(lines.join('\n')).not.toMatch(/undefined|null|NaN/);
});

test('says when nothing is known about an expiry', () => {
  expect(credentialTable([sampleRow({ expiresAt: null })], wide)[1]).toContain('  –  ');
  expect(credentialTable([sampleRow({ expiresAt: inSeconds(-1) })], wide)[1]).toContain('  expired  ');
});

test('explains what is wrong, with the code and what to do', () => {
  expect(troubleLines([sampleRow(), refusedRow('Rotating grant', 'expired.needsUser')], wide)).toEqual([
    'Rotating grant: auth.example refused the grant. [ERR_OAUTH2_INVALID_GRANT]',
    '  The authorization server refused the grant. Sign in again with "credlife authorize", or give a new one with "credlife update".',
  ]);
});

test('is silent about a credential that is well, and one that its owner revoked', () => {
  expect(troubleLines([sampleRow(), sampleRow({ state: 'revoked.byUser', reason: 'revokedByUser' })], wide)).toEqual(
    [],
  );
});
