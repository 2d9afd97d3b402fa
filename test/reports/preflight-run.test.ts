import type { CredentialSummary } from '../../src/client.ts';
import { AccessError, ConfigurationError, StorageError, TransientError } from '../../src/errors.ts';
import { runPreflight, type PreflightVerbs } from '../../src/reports/preflight-run.ts';
import { after, aSummary, HOUR, NOW } from './summary.ts';

const until = after(2 * HOUR);

/** Credentials by id, and the verbs that were called. */
function engineOf(summaries: readonly CredentialSummary[]) {
  const byId = new Map(summaries.map((summary) => [summary.id, summary]));
  const calls: string[] = [];
  const failures = new Map<string, Error>();
  let underWay = 0;
  let most = 0;
  const called = async (verb: string, id: string): Promise<CredentialSummary> => {
    calls.push(`${verb} ${id}`);
    most = Math.max(most, (underWay += 1));
    await Promise.resolve();
    underWay -= 1;
    const failure = failures.get(`${verb} ${id}`);
    if (failure) throw failure;
    const found = byId.get(id);
    if (found) return found;
    throw new ConfigurationError('ERR_CREDENTIAL_NOT_FOUND', 'There is no credential with this id.');
  };
  const verbs: PreflightVerbs = {
    get: (id) => called('get', id),
    refresh: async (id) => {
      const renewed = { ...(await called('refresh', id)), expiresAt: after(9 * HOUR), state: 'valid.fresh' } as const;
      byId.set(id, renewed);
      return renewed;
    },
    test: async (id) => {
      await called('test', id);
      const details = { latencyMs: 1, endpoint: 'as.example', permissionsVerified: [], metadata: {} };
      return { success: id !== 'bad', message: id === 'bad' ? 'It is refused.' : 'It works.', details, testedAt: NOW };
    },
  };
  return { verbs, calls, failures, most: () => most };
}

it('answers for each once, in the order asked for, also for one that is not there', async () => {
  const { verbs, calls } = engineOf([aSummary({ id: 'b' }), aSummary({ id: 'a', state: 'expired.needsUser' })]);
  const result = await runPreflight(verbs, ['b', 'nowhere', 'a', 'b'], { until });
  expect(result).toMatchObject({
    alive: false,
    until,
    credentials: [
      { id: 'b', alive: true },
      { id: 'nowhere', name: null, alive: false, reason: 'notFound', code: 'ERR_CREDENTIAL_NOT_FOUND' },
      { id: 'a', alive: false, reason: 'needsUser' },
    ],
  });
  expect(calls.sort()).toEqual(['get a', 'get b', 'get nowhere']);
});

it('refreshes nothing and tests nothing unless told to', async () => {
  const { verbs, calls } = engineOf([aSummary({ id: 'a' })]);
  await runPreflight(verbs, ['a'], { until });
  expect(calls).toEqual(['get a']);
});

it('refreshes those that end, and no others', async () => {
  const { verbs, calls } = engineOf([
    aSummary({ id: 'ends', pausedAt: NOW }),
    aSummary({ id: 'lasts', expiresAt: after(5 * HOUR) }),
    aSummary({ id: 'dead', state: 'expired.needsUser' }),
    aSummary({ id: 'untried', state: 'pending.unverified' }),
  ]);
  const result = await runPreflight(verbs, ['ends', 'lasts', 'dead', 'untried'], { until, refresh: true });
  expect(result.credentials.map(({ alive }) => alive)).toEqual([true, true, false, true]);
  expect(calls.filter((call) => call.startsWith('refresh')).sort()).toEqual(['refresh ends', 'refresh untried']);
});

it('says why a refresh failed', async () => {
  const { verbs, failures } = engineOf([aSummary({ id: 'a' })]);
  failures.set('refresh a', new TransientError('ERR_ENDPOINT_UNREACHABLE', 'Away.'));
  const { credentials } = await runPreflight(verbs, ['a'], { until, refresh: true });
  expect(credentials).toMatchObject([
    { alive: false, reason: 'refreshFailing', code: 'ERR_ENDPOINT_UNREACHABLE', detail: 'Away.' },
  ]);
});

it('tests once what looks alive, and what failed its test before', async () => {
  const { verbs, calls } = engineOf([
    aSummary({ id: 'good' }),
    aSummary({ id: 'bad' }),
    aSummary({ id: 'failed', health: 'failing' }),
    aSummary({ id: 'dead', state: 'revoked.byUser' }),
  ]);
  const { credentials } = await runPreflight(verbs, ['good', 'bad', 'failed', 'dead'], { until, test: true });
  expect(credentials).toMatchObject([
    { alive: true },
    { alive: false, reason: 'testFailing', detail: 'It is refused.' },
    { alive: false, reason: 'testFailing' },
    { alive: false, reason: 'revoked' },
  ]);
  expect(calls.filter((call) => call.startsWith('test')).sort()).toEqual(['test bad', 'test failed', 'test good']);
});

it.each<[string, Error]>([
  ['a scope that the key lacks', new AccessError('ERR_ACCESS_SCOPE_MISSING', 'No scope.')],
  ['a store that is away', new StorageError('ERR_STORE_UNAVAILABLE', 'Away.')],
])('%s ends all of it', async (_what, failure) => {
  const { verbs, failures } = engineOf([aSummary({ id: 'a' })]);
  failures.set('get a', failure);
  await expect(runPreflight(verbs, ['a'], { until })).rejects.toBe(failure);
});

it('looks at a few at a time only', async () => {
  const ids = Array.from({ length: 100 }, (_, index) => `c${index}`);
  const { verbs, most } = engineOf(ids.map((id) => aSummary({ id })));
  expect((await runPreflight(verbs, ids, { until })).credentials).toHaveLength(100);
  expect(most()).toBeLessThanOrEqual(5);
});

it('ends when it is cancelled', async () => {
  const { verbs } = engineOf([aSummary({ id: 'a' })]);
  await expect(runPreflight(verbs, ['a'], { until, signal: AbortSignal.abort(new Error('over')) })).rejects.toThrow(
    'over',
  );
});
