import * as fc from 'fast-check';
import { judgePreflight, wantsRefresh } from '../../src/reports/preflight.ts';
import { STATE_PATHS, type CredentialRecord, type RecordedFailure } from '../../src/lifecycle/credential.ts';
import { IDLE_ROTATION, ROTATION_STATES } from '../../src/lifecycle/rotation/progress.ts';
import { after, aSummary, DAY, HOUR, NOW } from './summary.ts';

type Changes = Partial<CredentialRecord>;

const REFUSED: RecordedFailure = { class: 'permanent', code: 'ERR_OAUTH2_INVALID_GRANT', message: 'Refused.', at: NOW };
const AWAY: RecordedFailure = { class: 'transient', code: 'ERR_ENDPOINT_UNREACHABLE', message: 'Away.', at: NOW };
const UNTIL = after(2 * HOUR);

it.each<[string, Changes, string]>([
  ['refreshes itself and is healthy', {}, 'refreshesItself'],
  ['was never tested', { health: 'unknown' }, 'refreshesItself'],
  ['has a token that outlasts it', { expiresAt: after(3 * HOUR) }, 'tokenOutlasts'],
  [
    'cannot be refreshed and has a token that outlasts it',
    { expiresAt: after(3 * HOUR), refreshable: false },
    'tokenOutlasts',
  ],
  [
    'is degraded and has a token that outlasts it',
    { expiresAt: after(3 * HOUR), state: 'valid.degraded' },
    'tokenOutlasts',
  ],
  ['is paused and has a token that outlasts it', { expiresAt: after(3 * HOUR), pausedAt: NOW }, 'tokenOutlasts'],
  ['does not expire', { expiresAt: null, issuedAt: null }, 'doesNotExpire'],
  ['is being refreshed', { state: 'refreshing.sent' }, 'refreshesItself'],
  ['has an idle end that is kept off', { idleExpiresAt: after(HOUR) }, 'refreshesItself'],
  [
    'has a secret that is replaced before it ends',
    { secretExpiresAt: after(HOUR), rotationDueAt: after(HOUR / 2) },
    'refreshesItself',
  ],
])('what %s is alive', (_what, changes, reason) => {
  expect(judgePreflight(aSummary(changes), UNTIL)).toMatchObject({ alive: true, reason, action: null });
});

it.each<[string, Changes, string]>([
  ['was revoked', { state: 'revoked.byUser', expiresAt: after(DAY) }, 'revoked'],
  ['was revoked upstream', { state: 'revoked.upstream', expiresAt: after(DAY) }, 'revoked'],
  ['needs the user', { state: 'expired.needsUser', failure: REFUSED }, 'needsUser'],
  ['is misconfigured', { state: 'pending.misconfigured' }, 'misconfigured'],
  ['waits for a sign-in', { state: 'pending.authorizing' }, 'signInAwaited'],
  ['was never tried', { state: 'pending.unverified', grant: null, generation: 0, expiresAt: null }, 'neverWorked'],
  ['gets its first grant just now', { state: 'refreshing.sent', generation: 0, expiresAt: null }, 'neverWorked'],
  ['has expired and is retried', { state: 'expired.retrying', failure: AWAY }, 'refreshFailing'],
  ['fails its test', { health: 'failing', expiresAt: after(DAY) }, 'testFailing'],
  ['is degraded', { state: 'valid.degraded', failure: REFUSED }, 'degraded'],
  ['is degraded with an unknown end', { state: 'valid.degraded', expiresAt: null }, 'endUnknown'],
  ['cannot be refreshed', { refreshable: false }, 'tokenEnds'],
  ['has a grant that ends', { grantExpiresAt: after(HOUR) }, 'grantEnds'],
  ['has a secret that ends', { secretExpiresAt: after(HOUR), expiresAt: after(DAY) }, 'secretEnds'],
  ['has a secret that ends at that very instant', { secretExpiresAt: UNTIL, expiresAt: after(DAY) }, 'secretEnds'],
  ['lapses from disuse', { idleExpiresAt: after(HOUR), refreshable: false, expiresAt: null }, 'idleEnds'],
  ['is paused', { pausedAt: NOW }, 'pausedEnds'],
  ['could not be refreshed', { state: 'valid.expiringSoon', failure: AWAY }, 'refreshFailing'],
  ['has an interrupted refresh', { state: 'refreshing.ambiguous' }, 'refreshInterrupted'],
  ['has a token that ends at that very instant', { refreshable: false, expiresAt: UNTIL }, 'tokenEnds'],
  [
    'is stuck in the replacement of its secret',
    {
      rotation: {
        ...IDLE_ROTATION,
        state: 'setting',
        failure: { code: 'ERR_ENDPOINT_UNREACHABLE', message: 'Away.', at: NOW },
      },
      expiresAt: after(DAY),
    },
    'rotationFailing',
  ],
])('what %s is not alive', (_what, changes, reason) => {
  const judged = judgePreflight(aSummary(changes), UNTIL);
  expect(judged).toMatchObject({ alive: false, reason, action: expect.stringMatching(/\w{3}/) });
});

describe('whatever a credential is', () => {
  const instant = fc.option(fc.integer({ min: -5, max: 5 * 24 }).map((hours) => after(hours * HOUR)));
  const changes: fc.Arbitrary<Changes> = fc.record({
    state: fc.constantFrom(...STATE_PATHS),
    health: fc.constantFrom('unknown', 'healthy', 'failing'),
    generation: fc.integer({ min: 0, max: 2 }),
    expiresAt: instant,
    grantExpiresAt: instant,
    idleExpiresAt: instant,
    secretExpiresAt: instant,
    rotationDueAt: instant,
    pausedAt: fc.constantFrom(null, NOW),
    refreshable: fc.boolean(),
    failure: fc.constantFrom(null, REFUSED, AWAY),
    rotation: fc.constantFrom(...ROTATION_STATES).map((state) => ({ ...IDLE_ROTATION, state })),
  });
  const hours = fc.integer({ min: 0, max: 4 * 24 });

  it('who is alive until an instant is alive until every earlier one', () => {
    fc.assert(
      fc.property(changes, hours, hours, (given, one, other) => {
        const summary = aSummary(given);
        const alive = (at: number): boolean => judgePreflight(summary, after(at * HOUR)).alive;
        return !alive(Math.max(one, other)) || alive(Math.min(one, other));
      }),
      { numRuns: 2_000 },
    );
  });

  it('what is revoked, needs a person, or never worked is never alive', () => {
    const dead = /^(revoked|pending)|needsUser|retrying/;
    fc.assert(
      fc.property(changes, hours, (given, at) => {
        const isDead = dead.test(given.state ?? '') || given.generation === 0 || given.health === 'failing';
        return !isDead || !judgePreflight(aSummary(given), after(at * HOUR)).alive;
      }),
      { numRuns: 2_000 },
    );
  });

  it('what is alive although its token ends until then can be renewed without a person', () => {
    fc.assert(
      fc.property(changes, hours, (given, at) => {
        const until = after(at * HOUR);
        const { alive } = judgePreflight(aSummary(given), until);
        const ends = given.expiresAt instanceof Date && given.expiresAt <= until;
        return !(alive && ends) || (given.refreshable === true && given.state !== 'valid.degraded' && !given.failure);
      }),
      { numRuns: 2_000 },
    );
  });

  it('who is not alive is told what to do', () => {
    fc.assert(
      fc.property(changes, hours, (given, at) => {
        const { alive, action } = judgePreflight(aSummary(given), after(at * HOUR));
        return alive === (action === null);
      }),
      { numRuns: 1_000 },
    );
  });

  it('no refresh is wanted of what a person must mend', () => {
    fc.assert(
      fc.property(changes, hours, (given, at) => {
        const hopeless = /^revoked|needsUser|degraded|misconfigured|authorizing/.test(given.state ?? '');
        const refused = given.failure === REFUSED || given.refreshable === false;
        return !(hopeless || refused) || !wantsRefresh(aSummary(given), after(at * HOUR));
      }),
      { numRuns: 2_000 },
    );
  });
});
