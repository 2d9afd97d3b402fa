import type {
  DeliveryState,
  EndpointState,
  FollowerState,
  LedgerStore,
  PendingRevocation,
  StoredWebhook,
} from '../../src/storage/ledger.ts';
import type { TestResult } from '../../src/protocols/protocol.ts';
import { NOW, secondsAfter } from '../support/record.ts';

export function aTestResult(): TestResult {
  return {
    success: true,
    message: 'It works.',
    details: { latencyMs: 12.5, endpoint: 'as.example', permissionsVerified: ['api'], metadata: { __proto__x: '1' } },
    testedAt: NOW,
  };
}

/** What every ledger must do: part of `recordStoreConformance`. */
export function ledgerConformance(store: () => LedgerStore): void {
  describe('ledger', () => {
    it('lets one of many consume a key', async () => {
      const wins = await Promise.all(
        Array.from({ length: 20 }, () => store().consumeOnce('jti-1', secondsAfter(NOW, 60))),
      );
      expect(wins.filter(Boolean)).toHaveLength(1);
      expect(await store().consumeOnce('jti-2', NOW)).toBe(true);
    });

    it('keeps a consumed key until its time and forgets it then', async () => {
      await store().consumeOnce('old', NOW);
      await store().consumeOnce('young', secondsAfter(NOW, 1));
      expect(await store().forgetConsumed(NOW)).toBe(1);
      expect(await store().consumeOnce('old', NOW)).toBe(true);
      expect(await store().consumeOnce('young', NOW)).toBe(false);
    });

    it('writes the state of an endpoint by compare-and-set', async () => {
      const first: EndpointState = {
        ...{ endpoint: 'as.example/token', revision: 1, retryAfterAt: secondsAfter(NOW, 30), updatedAt: NOW },
        ...{ breaker: { state: 'open', since: 1 }, budget: null },
      };
      expect(await store().getEndpointState(first.endpoint)).toBeNull();
      expect(await store().compareAndSetEndpointState(first, 0)).toBe(true);
      expect(await store().compareAndSetEndpointState({ ...first, retryAfterAt: null }, 0)).toBe(false);
      expect(await store().compareAndSetEndpointState({ ...first, revision: 3 }, 2)).toBe(false);
      expect(await store().getEndpointState(first.endpoint)).toEqual(first);
      const second: EndpointState = { ...first, revision: 2, breaker: null, budget: { left: 3 } };
      expect(await store().compareAndSetEndpointState(second, 1)).toBe(true);
      expect(await store().getEndpointState(first.endpoint)).toEqual(second);
      await expect(store().compareAndSetEndpointState(first, 4)).rejects.toThrow(TypeError);
    });

    it('keeps pending revocations until they are removed, most urgent first', async () => {
      const pending = (revocationId: string, seconds: number): PendingRevocation => ({
        ...{ revocationId, credentialId: 'cr_1', tries: 0, dueAt: secondsAfter(NOW, seconds), createdAt: NOW },
        value: { field: 'grant', generation: 1, attemptId: 'a' },
      });
      for (const entry of [pending('b', 0), pending('a', -5), pending('c', 5)])
        await store().putPendingRevocation(entry);
      const due = (): Promise<readonly PendingRevocation[]> => store().listPendingRevocations({ now: NOW, limit: 10 });
      expect(await due()).toEqual([pending('a', -5), pending('b', 0)]);
      expect(await store().listPendingRevocations({ now: NOW, limit: 1 })).toEqual([pending('a', -5)]);
      await store().putPendingRevocation({ ...pending('a', 60), tries: 1 });
      await store().removePendingRevocation('b');
      await store().removePendingRevocation('b');
      expect(await due()).toEqual([]);
      expect(await store().listPendingRevocations({ now: secondsAfter(NOW, 60), limit: 10 })).toEqual([
        pending('c', 5),
        { ...pending('a', 60), tries: 1 },
      ]);
    });

    it('opens one notice per episode', async () => {
      const episode = { credentialId: 'cr_1', kind: 'expiringSoon', eventId: 'e1', openedAt: NOW };
      expect(await store().openNotice(episode)).toBe(true);
      expect(await store().openNotice({ ...episode, eventId: 'e2' })).toBe(false);
      expect(await store().openNotice({ ...episode, kind: 'degraded' })).toBe(true);
      expect((await store().listNotices('cr_1')).map(({ kind }) => kind)).toEqual(['degraded', 'expiringSoon']);
      expect(await store().listNotices('cr_2')).toEqual([]);
      expect(await store().closeNotice('cr_1', 'expiringSoon')).toBe(true);
      expect(await store().closeNotice('cr_1', 'expiringSoon')).toBe(false);
      expect(await store().openNotice({ ...episode, eventId: 'e3' })).toBe(true);
    });

    it('keeps the last test of a credential', async () => {
      const test = { credentialId: 'cr_1', generation: 1, configVersion: 'v1', result: aTestResult() };
      expect(await store().getTest('cr_1')).toBeNull();
      await store().putTest(test);
      await store().putTest({ ...test, generation: 2 });
      expect(await store().getTest('cr_1')).toEqual({ ...test, generation: 2 });
    });

    it('keeps how far a follower of the events got, by compare-and-set, until he is forgotten', async () => {
      const follower: FollowerState = {
        ...{ followerId: 'n8n/one', revision: 1, cursor: 7, ahead: ['ev_9'], prunedThrough: 3, missed: true },
        forgetAt: secondsAfter(NOW, 60),
      };
      expect(await store().getFollower('n8n/one')).toBeNull();
      expect(await store().compareAndSetFollower(follower, 0)).toBe(true);
      expect(await store().compareAndSetFollower(follower, 0)).toBe(false);
      expect(await store().compareAndSetFollower({ ...follower, revision: 3 }, 2)).toBe(false);
      const next = { ...follower, revision: 2, cursor: 9, ahead: [], forgetAt: secondsAfter(NOW, 90) };
      expect(await store().compareAndSetFollower(next, 1)).toBe(true);
      expect(await store().compareAndSetFollower({ ...follower, followerId: 'n8n/two' }, 0)).toBe(true);
      expect(await store().forgetFollowers(secondsAfter(NOW, 59))).toBe(0);
      expect(await store().forgetFollowers(secondsAfter(NOW, 60))).toBe(1);
      expect(await store().getFollower('n8n/two')).toBeNull();
      expect(await store().getFollower('n8n/one')).toEqual(next);
      await expect(store().compareAndSetFollower(next, 4)).rejects.toThrow(TypeError);
      await expect(store().compareAndSetFollower({ ...follower, followerId: '' }, 0)).rejects.toMatchObject({
        code: 'ERR_CONFIG_MALFORMED',
      });
    });

    it('keeps webhooks, and how far each was served by compare-and-set', async () => {
      const webhook: StoredWebhook = {
        ...{ webhookId: 'wh_b', url: 'https://receiver.example/', types: ['credential.needsUser'], ownerId: null },
        ...{ allowInsecureTransport: false, keyGeneration: 1, previousKeyUntil: null, createdAt: NOW },
      };
      expect(await store().getWebhook('wh_b')).toBeNull();
      await store().putWebhook(webhook);
      await store().putWebhook({ ...webhook, webhookId: 'wh_a', ownerId: 'alice' });
      await store().putWebhook({ ...webhook, keyGeneration: 2, previousKeyUntil: secondsAfter(NOW, 60) });
      expect((await store().listWebhooks()).map(({ webhookId }) => webhookId)).toEqual(['wh_a', 'wh_b']);
      expect(await store().getWebhook('wh_b')).toMatchObject({ keyGeneration: 2 });
      const delivery: DeliveryState = {
        ...{ webhookId: 'wh_b', revision: 1, cursor: 7, tries: 2, retryNotBefore: secondsAfter(NOW, 5) },
        ...{ delivered: 6, leftOut: 1, missed: 0, lastDeliveredAt: NOW, failure: 'It is away. [ERR_ENDPOINT_TIMEOUT]' },
      };
      expect(await store().compareAndSetDelivery(delivery, 0)).toBe(true);
      expect(await store().compareAndSetDelivery(delivery, 0)).toBe(false);
      expect(await store().compareAndSetDelivery({ ...delivery, revision: 3 }, 2)).toBe(false);
      expect(await store().compareAndSetDelivery({ ...delivery, revision: 2, cursor: 8 }, 1)).toBe(true);
      expect(await store().getDelivery('wh_b')).toEqual({ ...delivery, revision: 2, cursor: 8 });
      await expect(store().compareAndSetDelivery(delivery, 4)).rejects.toThrow(TypeError);
      expect(await store().removeWebhook('wh_b')).toBe(true);
      expect(await store().removeWebhook('wh_b')).toBe(false);
      expect(await store().getDelivery('wh_b')).toBeNull();
    });
  });
}
