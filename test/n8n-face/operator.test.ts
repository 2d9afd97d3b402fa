import { describe, expect, it } from '@jest/globals';
import type { CredentialSummary, OperatorHandle } from '../../src/client.ts';
import { IDLE_SUMMARY } from '../../src/lifecycle/rotation/progress.ts';
import { filterFrom, listUpTo, nextChoices } from '../../src/n8n/operator.ts';
import { credentialItem } from '../../src/n8n/output.ts';
import type { RecordFilter } from '../../src/storage/record-store.ts';

const AT = new Date('2026-01-02T03:04:05.000Z');

function summary(id: string, name = id): CredentialSummary {
  return {
    id,
    name,
    protocol: 'oauth2',
    ownerId: null,
    scopeId: null,
    tags: ['billing'],
    origin: 'adopted',
    state: 'valid.degraded',
    stateChangedAt: AT,
    reason: 'grantRefused',
    health: 'unknown',
    healthChangedAt: null,
    generation: 3,
    issuedAt: AT,
    expiresAt: null,
    refreshable: true,
    dueAt: null,
    grantExpiresAt: null,
    idleExpiresAt: null,
    secretExpiresAt: null,
    rotationPolicy: null,
    rotation: IDLE_SUMMARY,
    rotateBy: null,
    failure: { class: 'permanent', code: 'ERR_OAUTH2_INVALID_GRANT', message: 'The grant was refused.', at: AT },
    lastRefreshedAt: AT,
    createdAt: AT,
    pausedAt: null,
    paused: false,
    testEveryMs: null,
    toldEnds: [],
    endpoint: 'https://auth.example.com/token',
  };
}

/** Pages of at most `pageSize`, whatever was asked for. */
function listing(ids: readonly string[], pageSize: number) {
  const asked: RecordFilter[] = [];
  const list: OperatorHandle['list'] = async (filter = {}) => {
    asked.push(filter);
    const from = Number(filter.cursor ?? 0);
    const to = from + Math.min(pageSize, filter.limit ?? 100);
    const credentials = ids.slice(from, to).map((id) => summary(id));
    return { credentials, unreadable: [], nextCursor: to < ids.length ? String(to) : null };
  };
  const unused = () => Promise.reject(new Error('not asked for'));
  const reading = { list, get: unused, use: unused, test: unused } as const;
  const writing = { refresh: unused, revoke: unused, pause: unused, resume: unused, update: unused, delete: unused };
  const following = { follow: unused, newestEvent: unused };
  const rotating = { rotate: unused, rollback: unused };
  const others = { usage: unused, authorize: unused, awaitAuthorization: unused };
  const operator: OperatorHandle = { ...reading, ...writing, ...rotating, ...following, ...others };
  return { operator, asked };
}

const ids = Array.from({ length: 2_500 }, (_, index) => `id-${String(index).padStart(4, '0')}`);

describe('a list of credentials', () => {
  it('ends at the limit, asking for no more than that', async () => {
    const { operator, asked } = listing(ids, 1_000);
    expect(await listUpTo(operator, {}, 50)).toHaveLength(50);
    expect(asked).toEqual([{ limit: 50 }]);
  });

  it('goes over all pages, each credential once', async () => {
    const { operator, asked } = listing(ids, 1_000);
    const found = await listUpTo(operator, { protocol: 'oauth2' }, Number.POSITIVE_INFINITY);
    expect(found.map(({ id }) => id)).toEqual(ids);
    expect(asked.map(({ limit, protocol }) => ({ limit, protocol }))).toEqual(
      Array.from({ length: 3 }, () => ({ limit: 1_000, protocol: 'oauth2' })),
    );
  });
});

describe('the filters', () => {
  it('are passed on when they are filled in', () => {
    const entered = { ownerId: 'me', protocol: 'oauth2', state: 'expired', tags: ' billing , ,production ' };
    expect(filterFrom(entered)).toEqual({
      ownerId: 'me',
      protocol: 'oauth2',
      state: 'expired',
      tags: ['billing', 'production'],
    });
  });

  it.each([{}, { ownerId: '', tags: ' , ', state: 'nonsense', protocol: 7 }])('%p filter nothing', (entered) => {
    expect(filterFrom(entered)).toEqual({});
  });
});

describe('the credential picker', () => {
  it('looks on until something fits', async () => {
    const { operator, asked } = listing(ids, 1_000);
    const { results, paginationToken } = await nextChoices(operator, 'id-1500', null);
    expect(results).toEqual([{ name: 'id-1500 (valid.degraded)', value: 'id-1500' }]);
    expect(paginationToken).toBe('2000');
    expect(asked).toHaveLength(2);
  });

  it('ends with an empty page when nothing does', async () => {
    const { operator } = listing(ids, 1_000);
    await expect(nextChoices(operator, 'no such name', null)).resolves.toEqual({ results: [] });
  });
});

it('shows a credential with instants as texts and nothing that is not in the summary', () => {
  expect(credentialItem(summary('id-1', 'Billing'))).toEqual({
    ...JSON.parse(JSON.stringify(summary('id-1', 'Billing'))),
  });
  expect(credentialItem({ ...summary('id-1'), ...{ later: 'a field that nobody looked at' } })).not.toHaveProperty(
    'later',
  );
});
