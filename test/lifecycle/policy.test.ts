import fc from 'fast-check';
import {
  ConfigurationError,
  ProtocolError,
  ReauthorizationRequiredError,
  TransientError,
  type CredentialError,
} from '../../src/errors.ts';
import type { CredentialRecord } from '../../src/lifecycle/credential.ts';
import {
  decideDue,
  decideUnconfirmedRejection,
  decideUse,
  healAt,
  marginMs,
  recordedFailure,
  plannedRefreshAt,
  settleExpired,
  settleFailed,
  servedUntilMs,
  settleRefreshed,
  stableFraction,
  type FailedAttempt,
} from '../../src/lifecycle/policy.ts';
import { aRecord, aValidRecord, NOW, secondsAfter } from '../support/record.ts';

const HOUR = 3600;
const failure = { class: 'transient', code: 'ERR_ENDPOINT_UNAVAILABLE', message: 'down', at: NOW } as const;
const attempt: FailedAttempt = {
  sent: true,
  singleUse: false,
  healing: false,
  inDoubt: false,
  spentAt: null,
  rolledBack: false,
  reuseGraceMs: 0,
  deadlineMs: 20_000,
};
const invalidGrant = new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'refused');
const invalidClient = new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', 'refused');
const unavailable = new TransientError('ERR_ENDPOINT_UNAVAILABLE', 'down');
const timeout = new TransientError('ERR_ENDPOINT_TIMEOUT', 'late');

describe('the refresh margin', () => {
  it.each([
    ['a third of an hour is capped at 15 minutes', HOUR, 15 * 60],
    ['a third of 10 minutes', 600, 200],
    ['30 s for a 75 s token', 75, 30],
    ['half of a 40 s token', 40, 20],
  ])('is %s', (_sentence, lifeSeconds, expectedSeconds) => {
    expect(marginMs(lifeSeconds * 1000)).toBe(expectedSeconds * 1000);
  });

  it('never exceeds half a life, and a due time never lies after the expiry or before the issue', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1000, max: 10 ** 11 }), (id, lifeMs) => {
        const expiresAt = new Date(NOW.getTime() + lifeMs);
        const due = plannedRefreshAt(id, { issuedAt: NOW, expiresAt });
        expect(marginMs(lifeMs)).toBeLessThanOrEqual(lifeMs / 2);
        expect(due.getTime()).toBeLessThan(expiresAt.getTime());
        expect(due.getTime()).toBeGreaterThanOrEqual(NOW.getTime());
      }),
    );
  });

  it('has a jitter that is stable per credential, spreads, and only makes it earlier', () => {
    const life = { issuedAt: NOW, expiresAt: secondsAfter(NOW, HOUR) };
    const dues = Array.from({ length: 200 }, (_, index) => plannedRefreshAt(`cr_${String(index)}`, life).getTime());
    const latest = life.expiresAt.getTime() - 15 * 60_000;
    expect(plannedRefreshAt('cr_1', life)).toEqual(plannedRefreshAt('cr_1', life));
    expect(Math.max(...dues)).toBeLessThanOrEqual(latest);
    expect(Math.min(...dues)).toBeGreaterThanOrEqual(latest - 90_000);
    expect(new Set(dues).size).toBeGreaterThan(190);
    expect(stableFraction('x')).toBeLessThan(1);
  });
});

describe('use', () => {
  const valid = aValidRecord(HOUR);
  it.each<[string, CredentialRecord, number, string]>([
    ['serves a fresh token', valid, 60, 'serve'],
    ['serves and refreshes behind inside the margin', valid, HOUR - 600, 'serveAndRefresh'],
    ['waits for the refresh in the last ten seconds', valid, HOUR - 5, 'refreshFirst'],
    ['waits when it has expired', valid, HOUR + 1, 'refreshFirst'],
    ['waits for the first grant', aRecord(), 0, 'refreshFirst'],
    ['serves a token of unknown life', aValidRecord(HOUR, { expiresAt: null }), 10 * HOUR, 'serve'],
    [
      'serves a degraded token while it lives',
      aValidRecord(HOUR, { state: 'valid.degraded', failure }),
      HOUR - 5,
      'serve',
    ],
    [
      'refuses a degraded token after its end',
      aValidRecord(HOUR, { state: 'valid.degraded', failure }),
      HOUR,
      'refuse',
    ],
    ['refuses after a revocation', aValidRecord(HOUR, { state: 'revoked.byUser' }), 60, 'refuse'],
    ['refuses when a person is needed', aValidRecord(1, { state: 'expired.needsUser' }), 60, 'refuse'],
    ['refuses a misconfigured one without asking again', aRecord({ state: 'pending.misconfigured' }), 60, 'refuse'],
    [
      'refuses an expired one while it backs off',
      aValidRecord(1, { state: 'expired.retrying', failure, retryNotBefore: secondsAfter(NOW, 90) }),
      60,
      'refuse',
    ],
    [
      'serves a living one while it backs off',
      aValidRecord(HOUR, { failure, retryNotBefore: secondsAfter(NOW, HOUR - 1) }),
      HOUR - 4,
      'serve',
    ],
    ['serves while another holder refreshes', aValidRecord(HOUR, { state: 'refreshing.sent' }), 60, 'serve'],
    ['refuses an expired one that cannot be refreshed', aValidRecord(1, { refreshable: false }), 60, 'refuse'],
  ])('%s', (_sentence, record, secondsLater, decision) => {
    expect(decideUse(record, secondsAfter(NOW, secondsLater)).decision).toBe(decision);
  });

  it('never becomes possible again by waiting, once a token has ended', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.nat(100_000), fc.nat(100_000), (life, first, more) => {
        const record = aValidRecord(life);
        const servesAt = (seconds: number): boolean =>
          decideUse(record, secondsAfter(NOW, seconds)).decision.startsWith('serve');
        if (!servesAt(first)) expect(servesAt(first + more)).toBe(false);
      }),
    );
  });
});

describe('how long a record is served without asking again', () => {
  const records = fc.record({
    id: fc.string(),
    life: fc.integer({ min: 1, max: 10_000 }),
    refreshable: fc.boolean(),
    endless: fc.boolean(),
    retryAfter: fc.option(fc.integer({ min: 0, max: 10_000 })),
    state: fc.constantFrom('valid.fresh', 'valid.degraded', 'refreshing.sent', 'expired.retrying', 'revoked.byUser'),
  });
  const recordOf = ({
    id,
    life,
    refreshable,
    endless,
    retryAfter,
    state,
  }: Parameters<Parameters<typeof records.map>[0]>[0]) =>
    aValidRecord(life, {
      id,
      refreshable,
      state: state as CredentialRecord['state'],
      ...(endless && { expiresAt: null }),
      retryNotBefore: retryAfter === null ? null : secondsAfter(NOW, retryAfter),
    });

  it('is never longer than the policy serves it, at any instant in between', () => {
    fc.assert(
      fc.property(records, fc.nat(11_000_000), fc.double({ min: 0, max: 1, noNaN: true }), (facts, atMs, share) => {
        const record = recordOf(facts);
        const now = new Date(NOW.getTime() + atMs);
        const untilMs = servedUntilMs(record, now);
        const span = Math.min(untilMs, NOW.getTime() + 20_000_000) - now.getTime();
        for (const later of [0, Math.floor(span * share), span - 1]) {
          if (later < 0 || later >= span) continue;
          expect(decideUse(record, new Date(now.getTime() + later)).decision).toBe('serve');
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('is not at all where the policy does not serve it', () => {
    fc.assert(
      fc.property(records, fc.nat(11_000_000), (facts, atMs) => {
        const record = recordOf(facts);
        const now = new Date(NOW.getTime() + atMs);
        const isServed = decideUse(record, now).decision === 'serve';
        expect(servedUntilMs(record, now) > now.getTime()).toBe(isServed);
      }),
    );
  });

  it.each<[string, CredentialRecord, number]>([
    ['until a refresh may be due', aValidRecord(HOUR), HOUR - 16.5 * 60],
    ['until it ends, when nothing can renew it', aValidRecord(HOUR, { refreshable: false }), HOUR],
    ['for good, when it never ends', aValidRecord(HOUR, { expiresAt: null }), Infinity],
  ])('is %s', (_sentence, record, seconds) => {
    const untilMs = servedUntilMs(record, NOW);
    expect((untilMs - NOW.getTime()) / 1_000).toBeCloseTo(seconds, 2);
  });
});

describe('a failed refresh', () => {
  const alive = aValidRecord(HOUR);
  const dead = aValidRecord(1);
  const later = secondsAfter(NOW, 60);
  const singleUse = { ...attempt, singleUse: true };
  it.each<[string, CredentialRecord, CredentialError, FailedAttempt, string, string]>([
    [
      'leaves a living token degraded when the grant is refused',
      alive,
      invalidGrant,
      attempt,
      'valid.degraded',
      'grantRefused',
    ],
    [
      'needs the user when the grant is refused and the token has ended',
      dead,
      invalidGrant,
      attempt,
      'expired.needsUser',
      'grantRefused',
    ],
    [
      'says that a healing attempt was refused',
      dead,
      invalidGrant,
      { ...singleUse, healing: true, inDoubt: true },
      'expired.needsUser',
      'ambiguousRefresh',
    ],
    [
      'is misconfigured when the client is refused',
      aRecord(),
      invalidClient,
      attempt,
      'pending.misconfigured',
      'configurationFailure',
    ],
    [
      'keeps a living token usable when the client is refused',
      alive,
      invalidClient,
      attempt,
      'valid.degraded',
      'configurationFailure',
    ],
    ['retries a blip while the token lives', alive, unavailable, attempt, 'valid.expiringSoon', 'transientFailure'],
    ['retries a blip after the token ended', dead, unavailable, attempt, 'expired.retrying', 'transientFailure'],
    [
      'retries a blip before the first grant',
      aRecord(),
      unavailable,
      attempt,
      'pending.unverified',
      'transientFailure',
    ],
    ['is ambiguous when a spent token got no answer', alive, timeout, singleUse, 'refreshing.ambiguous', 'answerLost'],
    [
      'is a blip when the token never left',
      alive,
      timeout,
      { ...singleUse, sent: false },
      'valid.expiringSoon',
      'transientFailure',
    ],
    [
      'stays ambiguous when healing was turned away and the grace goes on',
      alive,
      unavailable,
      { ...singleUse, healing: true, inDoubt: true, spentAt: later, reuseGraceMs: 10_000 },
      'refreshing.ambiguous',
      'transientFailure',
    ],
    [
      'is a blip when healing was turned away and the grace ends before the next try',
      alive,
      unavailable,
      { ...singleUse, healing: true, inDoubt: true, spentAt: later, reuseGraceMs: 500 },
      'valid.expiringSoon',
      'transientFailure',
    ],
    ['is a blip when nothing single-use was sent', alive, timeout, attempt, 'valid.expiringSoon', 'transientFailure'],
    [
      'is ambiguous when a spent token got an unreadable answer',
      alive,
      new ProtocolError('ERR_OAUTH2_RESPONSE_INVALID', 'html'),
      singleUse,
      'refreshing.ambiguous',
      'answerLost',
    ],
  ])('%s', (_sentence, record, error, how, state, reason) => {
    expect(settleFailed(record, error, how, later)).toMatchObject({ state, reason });
  });

  it('is looked at again when a degraded token ends, and then expires', () => {
    const settlement = settleFailed(alive, invalidGrant, attempt, later);
    expect(settlement.refreshDueAt).toEqual(alive.expiresAt);
    const degraded = { ...alive, ...settlement };
    expect(decideDue(degraded, secondsAfter(NOW, HOUR)).decision).toBe('expire');
    expect(settleExpired(degraded, secondsAfter(NOW, HOUR))).toMatchObject({
      state: 'expired.needsUser',
      reason: 'grantRefused',
    });
  });

  it('ends as misconfigured, not as expired, when the client was refused', () => {
    const misconfigured = { ...failure, class: 'configuration' as const };
    expect(settleExpired(aValidRecord(1, { state: 'valid.degraded', failure: misconfigured }), later).state).toBe(
      'pending.misconfigured',
    );
  });

  it('says that the token ended, even while the endpoint wants to be left alone for longer', () => {
    const limited = new TransientError('ERR_ENDPOINT_RATE_LIMITED', 'slow', { retryAfterMs: 2 * HOUR * 1000 });
    const settlement = settleFailed(alive, limited, attempt, later);
    expect(settlement).toMatchObject({ state: 'valid.expiringSoon', refreshDueAt: alive.expiresAt });
    const waiting = { ...alive, ...settlement };
    const end = secondsAfter(NOW, HOUR);
    expect(decideDue(waiting, end).decision).toBe('expire');
    expect(settleExpired(waiting, end)).toMatchObject({
      state: 'expired.retrying',
      refreshDueAt: settlement.retryNotBefore,
    });
    expect(decideUse({ ...waiting, ...settleExpired(waiting, end) }, end).decision).toBe('refuse');
  });

  it('backs off longer each time, up to five minutes, and never earlier than the endpoint asks', () => {
    const delay = (failedAttempts: number, retryAfterMs = 0): number => {
      const error = new TransientError('ERR_ENDPOINT_RATE_LIMITED', 'slow', { retryAfterMs });
      const due = settleFailed({ ...dead, failedAttempts }, error, attempt, later).refreshDueAt;
      return (due?.getTime() ?? 0) - later.getTime();
    };
    expect(delay(1)).toBeGreaterThan(delay(0));
    expect(delay(50)).toBeLessThanOrEqual(300_000);
    expect(delay(0)).toBeGreaterThanOrEqual(1_500);
    expect(delay(0, 120_000)).toBe(120_000);
  });

  it('repeats a spent token at once inside a grace window, and after the deadline without one', () => {
    const first = { spentAt: null, sentAt: NOW };
    const late = secondsAfter(NOW, 29);
    expect(healAt({ reuseGraceMs: 30_000, deadlineMs: 20_000 }, first, late)).toEqual(NOW);
    expect(healAt({ reuseGraceMs: 0, deadlineMs: 20_000 }, first, NOW)).toEqual(secondsAfter(NOW, 25));
  });

  it('counts the grace window from the first request that may have spent the token', () => {
    const traits = { reuseGraceMs: 10_000, deadlineMs: 20_000 };
    const sentAt = secondsAfter(NOW, 8);
    const at = (seconds: number) => healAt(traits, { spentAt: NOW, sentAt }, secondsAfter(NOW, seconds));
    expect(at(9)).toEqual(sentAt);
    expect(at(10)).toEqual(secondsAfter(sentAt, 25));
    const lost = settleFailed(
      aValidRecord(HOUR),
      timeout,
      { ...singleUse, ...traits, spentAt: NOW },
      secondsAfter(NOW, 11),
    );
    expect(lost.refreshDueAt).toEqual(secondsAfter(NOW, 36));
  });

  it('tries several times inside the grace window after a failure of the server that may have spent the token', () => {
    const tries: number[] = [];
    let [record, now] = [aValidRecord(HOUR), NOW];
    const doubt = { ...singleUse, inDoubt: true, spentAt: NOW, reuseGraceMs: 10_000 };
    while (now < secondsAfter(NOW, 60)) {
      now = settleFailed(record, unavailable, doubt, now).refreshDueAt ?? now;
      record = { ...record, failedAttempts: record.failedAttempts + 1 };
      tries.push(now.getTime() - NOW.getTime());
    }
    expect(tries.filter((ms) => ms < 10_000).length).toBeGreaterThanOrEqual(3);
    expect(tries.length).toBeLessThan(12);
  });

  it('never sleeps past the point at which callers would begin to wait, nor past the end of the token', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: HOUR * 1000 - 1 }), fc.nat(20), fc.string(), (ms, failedAttempts, id) => {
        const now = new Date(NOW.getTime() + ms);
        const record = { ...alive, id, failedAttempts };
        const { refreshDueAt } = settleFailed(record, unavailable, attempt, now);
        const callersWaitAt = secondsAfter(NOW, HOUR - 10);
        expect(refreshDueAt?.getTime()).toBeGreaterThan(now.getTime());
        expect(refreshDueAt?.getTime()).toBeLessThanOrEqual(
          (now < callersWaitAt ? callersWaitAt : secondsAfter(NOW, HOUR)).getTime(),
        );
      }),
    );
  });

  it('tries no more than twice more because of that', () => {
    const tries: Date[] = [];
    let record: CredentialRecord = { ...alive, failedAttempts: 10 };
    for (let now = NOW; now < secondsAfter(NOW, HOUR) && tries.length < 100;) {
      now = settleFailed(record, unavailable, attempt, now).refreshDueAt ?? now;
      record = { ...record, failedAttempts: record.failedAttempts + 1 };
      tries.push(now);
    }
    // Every five minutes at most (225 s at least), and at the two points.
    expect(tries.length).toBeLessThanOrEqual(HOUR / 225 + 3);
  });

  it('is recorded with its class, and with its own code when the answer was lost', () => {
    const settlement = settleFailed(dead, invalidGrant, { ...singleUse, healing: true, inDoubt: true }, later);
    expect(recordedFailure(invalidGrant, settlement, later)).toMatchObject({
      class: 'permanent',
      code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH',
    });
    expect(recordedFailure(unavailable, settleFailed(dead, unavailable, attempt, later), later).class).toBe(
      'transient',
    );
  });
});

describe('what is due', () => {
  it.each<[string, CredentialRecord, number, string]>([
    ['refreshes a valid one', aValidRecord(HOUR, { refreshDueAt: secondsAfter(NOW, 10) }), 10, 'refresh'],
    ['does nothing before the time', aValidRecord(HOUR, { refreshDueAt: secondsAfter(NOW, 10) }), 9, 'none'],
    ['recovers an open attempt', aValidRecord(HOUR, { state: 'refreshing.sent', refreshDueAt: NOW }), 0, 'refresh'],
    ['does nothing for a revoked one', aValidRecord(HOUR, { state: 'revoked.byUser', refreshDueAt: NOW }), 0, 'none'],
    [
      'expires one that cannot be refreshed',
      aValidRecord(10, { refreshable: false, refreshDueAt: secondsAfter(NOW, 10) }),
      10,
      'expire',
    ],
  ])('%s', (_sentence, record, secondsLater, decision) => {
    expect(decideDue(record, secondsAfter(NOW, secondsLater)).decision).toBe(decision);
  });

  it('comes from the expiry when the other side named one, and never without', () => {
    const issued = { issuedAt: NOW, expiresAt: secondsAfter(NOW, HOUR), refreshable: true };
    expect(settleRefreshed('cr_1', issued).refreshDueAt).toEqual(plannedRefreshAt('cr_1', issued));
    expect(settleRefreshed('cr_1', { ...issued, refreshable: false }).refreshDueAt).toEqual(issued.expiresAt);
    expect(settleRefreshed('cr_1', { ...issued, expiresAt: null }).refreshDueAt).toBeNull();
  });
});

describe('a rejection that nothing confirms', () => {
  const unconfirmed = aValidRecord(HOUR, { generationReason: 'rejectedByApi' });
  it.each<[string, CredentialRecord, number, string]>([
    ['refreshes once', aValidRecord(HOUR), 60, 'refresh'],
    ['does not refresh again while the new token is young', unconfirmed, 60, 'keep'],
    ['may refresh again in the second half of the life', unconfirmed, HOUR / 2, 'refresh'],
    ['does not refresh a token of unknown life twice', { ...unconfirmed, expiresAt: null }, 10 * HOUR, 'keep'],
  ])('%s', (_sentence, record, secondsLater, decision) => {
    expect(decideUnconfirmedRejection(record, secondsAfter(NOW, secondsLater)).decision).toBe(decision);
  });
});

describe('a crowd at an endpoint with a budget', () => {
  const life = { issuedAt: NOW, expiresAt: secondsAfter(NOW, HOUR) };
  const dues = (crowdMs: number) =>
    Array.from({ length: 400 }, (_, index) => plannedRefreshAt(`cr_${String(index)}`, life, crowdMs).getTime());

  it('is spread over as much time as the budget takes for it', () => {
    const planned = dues(600_000);
    expect(Math.max(...planned) - Math.min(...planned)).toBeGreaterThan(0.95 * 600_000);
    expect(Math.max(...planned)).toBeLessThanOrEqual(life.expiresAt.getTime() - 15 * 60_000);
  });

  it('is never refreshed in the first half of a life, however large it is', () => {
    expect(Math.min(...dues(10 ** 9))).toBeGreaterThanOrEqual(NOW.getTime() + (HOUR * 1_000) / 2);
    const short = { issuedAt: NOW, expiresAt: secondsAfter(NOW, 20) };
    expect(plannedRefreshAt('cr_1', short, 10 ** 9)).toEqual(plannedRefreshAt('cr_1', short));
  });

  it('changes nothing when it is small', () => {
    expect(dues(1_000)).toEqual(dues(0));
  });
});

describe('a request that was kept back', () => {
  const until = { retryAfterMs: 30_000 };
  const budget = new TransientError('ERR_ENDPOINT_BUDGET_SPENT', 'spent', until);
  const circuit = new TransientError('ERR_ENDPOINT_CIRCUIT_OPEN', 'open', until);
  const valid = aValidRecord(HOUR, { failedAttempts: 7 });
  const dead = aValidRecord(HOUR, { expiresAt: secondsAfter(NOW, -1) });
  it.each<[string, CredentialRecord, CredentialError, string]>([
    ['a living token that only waits for its turn is as fresh as before', valid, budget, 'valid.fresh'],
    ['a living token behind a failing endpoint is expiring', valid, circuit, 'valid.expiringSoon'],
    ['a living token that had failed before stays so', { ...valid, failure }, budget, 'valid.expiringSoon'],
    ['a dead token is retried', dead, circuit, 'expired.retrying'],
    ['a credential without a grant stays unverified', aRecord(), budget, 'pending.unverified'],
  ])('%s', (_, record, error, state) => {
    const kept = { ...attempt, sent: false, singleUse: true, healing: true, inDoubt: true };
    const settlement = settleFailed(record, error, kept, NOW);
    expect(settlement).toMatchObject({ state, retryNotBefore: secondsAfter(NOW, 30) });
  });

  it('looks again at the end of a life that comes first', () => {
    const dying = aValidRecord(HOUR, { expiresAt: secondsAfter(NOW, 5) });
    expect(settleFailed(dying, circuit, attempt, NOW).refreshDueAt).toEqual(dying.expiresAt);
  });
});
