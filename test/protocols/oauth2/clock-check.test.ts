import { silentLogger, type Fetch } from '../../../src/ports.ts';
import { classify } from '../../../src/lifecycle/failure-classes.ts';
import { settleFailed } from '../../../src/lifecycle/policy.ts';
import { TransientError, type CredentialError } from '../../../src/errors.ts';
import { ClockSkew } from '../../../src/protocols/clock-skew.ts';
import { profileOf } from '../../../src/protocols/oauth2/profile.ts';
import { tokenEndpointFetch } from '../../../src/protocols/oauth2/token-endpoint.ts';
import { TestClock } from '../../support/clock.ts';
import { rejectionOf } from '../../support/codes.ts';
import { aValidRecord, NOW } from '../../support/record.ts';

const URL_ = 'https://as.example/token';

/** Asks a server twice whose clock is `aheadMs` ahead and which refuses every time. */
async function refusals(aheadMs: number, init: RequestInit, error = 'invalid_client'): Promise<CredentialError[]> {
  const clock = new TestClock();
  const clockSkew = new ClockSkew(clock);
  const server: Fetch = async () => {
    const date = new Date(clock.now().getTime() + aheadMs).toUTCString();
    return new Response(JSON.stringify({ error }), { status: 400, headers: { date } });
  };
  const fetch = tokenEndpointFetch(clockSkew.learning(server), {
    ...{ profile: profileOf(), clockSkew, logger: silentLogger },
    beforeSend: async () => () => undefined,
  });
  return [await rejectionOf(fetch(URL_, init)), await rejectionOf(fetch(URL_, init))] as CredentialError[];
}

const withAssertion = { body: new URLSearchParams({ client_assertion: 'a.b.c', grant_type: 'refresh_token' }) };

test.each<[string, RequestInit, string]>([
  ['a client assertion', withAssertion, 'invalid_client'],
  ['an assertion as grant', { body: new URLSearchParams({ assertion: 'a.b.c' }) }, 'invalid_grant'],
  ['a proof', { body: new URLSearchParams(), headers: { DPoP: 'a.b.c' } }, 'invalid_dpop_proof'],
])('F29 a refusal of %s by a clock that is wrong blames the clock, and once only', async (_, init, error) => {
  const [first, second] = await refusals(600_000, init, error);
  expect(first).toMatchObject({ code: 'ERR_CLOCK_SKEWED', name: 'TransientError' });
  expect(first?.message).toContain('The clock here is 10 minutes behind that of as.example.');
  // By then the skew is known and reckoned with: what is refused now is refused for another reason.
  expect(second?.code).not.toBe('ERR_CLOCK_SKEWED');
});

test.each<[string, number, RequestInit, string]>([
  ['a request that bears no time', 600_000, { body: new URLSearchParams({ refresh_token: 'r' }) }, 'invalid_grant'],
  ['a clock that is right', 2_000, withAssertion, 'invalid_client'],
  ['a refusal that no clock explains', 600_000, withAssertion, 'unauthorized_client'],
])('F29 blames no clock for %s', async (_, aheadMs, init, error) => {
  const [first] = await refusals(aheadMs, init, error);
  expect(first?.code).not.toBe('ERR_CLOCK_SKEWED');
});

test('F29 a clock that is wrong is a class of its own, tried again while the token lives', () => {
  const error = new TransientError('ERR_CLOCK_SKEWED', 'm');
  expect(classify(error)).toBe('clock');
  const attempt = {
    sent: true,
    singleUse: true,
    healing: false,
    inDoubt: false,
    rolledBack: false,
    spentAt: null,
    reuseGraceMs: 0,
    deadlineMs: 20_000,
  };
  const settlement = settleFailed(aValidRecord(3600), error, attempt, NOW);
  expect(settlement.state).toBe('valid.expiringSoon');
  expect(settlement.retryNotBefore?.getTime()).toBeGreaterThan(NOW.getTime());
});
