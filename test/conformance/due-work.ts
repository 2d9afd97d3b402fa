import type { RecordStore } from '../../src/storage/record-store.ts';
import { aRecord, NOW, secondsAfter } from '../support/record.ts';

const LEASE_MS = 60_000;

/** What every record store says of work that is due, and how it gives it out. */
export function describeDueWork(storeOf: () => RecordStore): void {
  describe('work that is due', () => {
    const ends = (seconds: number) => ({
      state: 'valid.fresh' as const,
      refreshDueAt: secondsAfter(NOW, -10),
      expiresAt: secondsAfter(NOW, seconds),
    });
    const listed = async (exceptEndpoints: readonly string[] = [], limit = 10) =>
      (await storeOf().listDue({ now: NOW, limit, exceptEndpoints })).map(({ credentialId }) => credentialId);

    it('is listed in the order of need: who dies within a minute, who is dead, who lives on', async () => {
      await storeOf().insert(aRecord({ id: 'in 10 min', ...ends(600) }), []);
      await storeOf().insert(aRecord({ id: 'in 5 min', ...ends(300) }), []);
      await storeOf().insert(aRecord({ id: 'dead', ...ends(-5) }), []);
      await storeOf().insert(aRecord({ id: 'dead longer', ...ends(-50), state: 'expired.retrying' }), []);
      await storeOf().insert(aRecord({ id: 'without end', refreshDueAt: secondsAfter(NOW, -20) }), []);
      await storeOf().insert(aRecord({ id: 'in 5 s', ...ends(5), refreshDueAt: NOW }), []);
      await storeOf().insert(aRecord({ id: 'in 60 s', ...ends(60) }), []);
      await storeOf().insert(aRecord({ id: 'not due', ...ends(5), refreshDueAt: secondsAfter(NOW, 1) }), []);
      await storeOf().insert(aRecord({ id: 'never due' }), []);
      const order = ['in 5 s', 'in 60 s', 'dead longer', 'without end', 'dead', 'in 5 min', 'in 10 min'];
      expect(await listed()).toEqual(order);
      expect(await listed([], 2)).toEqual(order.slice(0, 2));
    });

    it('leaves out what would ask an excepted endpoint, but for an end that has to be told', async () => {
      const endpoint = "x' OR 1=1/token";
      const degraded = { ...ends(-5), state: 'valid.degraded' } as const;
      const test = { ...ends(300), refreshDueAt: secondsAfter(NOW, 100), testDueAt: NOW };
      await storeOf().insert(aRecord({ id: 'asks', ...ends(300), endpoint }), []);
      await storeOf().insert(aRecord({ id: 'asks, dead', ...ends(-5), state: 'expired.retrying', endpoint }), []);
      await storeOf().insert(aRecord({ id: 'just died', ...ends(-5), endpoint }), []);
      await storeOf().insert(aRecord({ id: 'other', ...ends(300), endpoint: 'other/token' }), []);
      await storeOf().insert(aRecord({ id: 'unknown', ...ends(301), endpoint: null }), []);
      await storeOf().insert(aRecord({ id: 'ends', ...degraded, endpoint }), []);
      await storeOf().insert(aRecord({ id: 'is tested', ...test, endpoint }), []);
      expect(await listed([endpoint, 'third/token'])).toEqual(['ends', 'just died', 'is tested', 'other', 'unknown']);
      expect(
        (await storeOf().listDue({ now: NOW, limit: 10, exceptEndpoints: [] })).map((due) => due.endpoint),
      ).toEqual([...[endpoint, null, endpoint, endpoint, null, 'other/token', null]]);
      expect(await storeOf().countAtEndpoint(endpoint)).toBe(3);
      expect(await storeOf().countAtEndpoint('nobody/token')).toBe(0);
    });

    it('lists an interrupted refresh first when it is free, whatever its endpoint', async () => {
      const interrupted = { ...ends(600), state: 'refreshing.sent', endpoint: 'shut' } as const;
      await storeOf().insert(aRecord({ id: 'in 5 s', ...ends(5) }), []);
      await storeOf().insert(aRecord({ id: 'under way', ...interrupted }), []);
      await storeOf().insert(aRecord({ id: 'interrupted', ...interrupted }), []);
      await storeOf().claim('under way', 'other', LEASE_MS);
      expect(await storeOf().listDue({ now: NOW, limit: 10, exceptEndpoints: ['shut'] })).toEqual([
        { credentialId: 'interrupted', endpoint: null, isInterrupted: true },
        { credentialId: 'in 5 s', endpoint: 'as.example/', isInterrupted: false },
      ]);
    });

    it('is claimed among given ids only, in their order, when it is still due and free', async () => {
      for (const id of ['a', 'b', 'c', 'd']) await storeOf().insert(aRecord({ id, refreshDueAt: NOW }), []);
      await storeOf().insert(aRecord({ id: 'later', refreshDueAt: secondsAfter(NOW, 1) }), []);
      await storeOf().claim('c', 'other', LEASE_MS);
      const options = { owner: 'a', leaseMs: LEASE_MS, now: NOW, among: ['d', 'c', 'later', 'gone', 'b', 'a'] };
      const claims = await storeOf().claimDue({ ...options, limit: 2 });
      expect(claims.map(({ credentialId }) => credentialId)).toEqual(['d', 'b']);
      const others = await storeOf().claimDue({ ...options, limit: 9, except: ['a'] });
      expect(others).toEqual([]);
      expect(await storeOf().claimDue({ ...options, limit: 9, among: [] })).toEqual([]);
    });

    it('is next at the earliest due time, or the earliest after an instant', async () => {
      expect(await storeOf().nextDueAt(NOW)).toBeNull();
      for (const seconds of [-5, 0, 5, 10]) {
        await storeOf().insert(aRecord({ id: String(seconds), refreshDueAt: secondsAfter(NOW, seconds) }), []);
      }
      expect(await storeOf().nextDueAt()).toEqual(secondsAfter(NOW, -5));
      expect(await storeOf().nextDueAt(NOW)).toEqual(secondsAfter(NOW, 5));
      expect(await storeOf().nextDueAt(secondsAfter(NOW, 10))).toBeNull();
    });
  });
}
