import { MOST_USERS, type CountedUses } from '../../src/storage/ledger.ts';
import type { RecordStore } from '../../src/storage/record-store.ts';
import { aRecord, NOW, secondsAfter } from '../support/record.ts';

const WORKFLOW = { kind: 'n8nWorkflow', id: 'w1' };

export function aCount(credentialId: string, seconds: number, overrides: Partial<CountedUses> = {}): CountedUses {
  const lastUsedAt = secondsAfter(NOW, seconds);
  return { credentialId, uses: 2, lastUsedAt, users: [{ usedBy: WORKFLOW, uses: 2, lastUsedAt }], ...overrides };
}

/** What every store must do with the uses that are counted: part of `recordStoreConformance`. */
export function usageConformance(store: () => RecordStore): void {
  describe('usage', () => {
    beforeEach(async () => {
      for (const id of ['cr_1', 'cr_2', 'cr_3']) await store().insert(aRecord({ id }), []);
    });

    it('knows nothing of what nobody used', async () => {
      await store().addUses([]);
      expect(await store().getUsage([])).toEqual([]);
      expect(await store().getUsage(['cr_1', 'cr_9'])).toEqual([]);
    });

    it('adds what was counted, whichever was counted later', async () => {
      await store().addUses([aCount('cr_1', 60), aCount('cr_2', 0, { users: [] })]);
      await store().addUses([aCount('cr_1', 30)]);
      expect(await store().getUsage(['cr_1'])).toEqual([
        {
          ...aCount('cr_1', 60, { uses: 4 }),
          users: [{ usedBy: WORKFLOW, uses: 4, lastUsedAt: secondsAfter(NOW, 60) }],
        },
      ]);
      const all = await store().getUsage(['cr_2', 'cr_1', 'cr_3']);
      expect(all.map(({ credentialId }) => credentialId).sort()).toEqual(['cr_1', 'cr_2']);
    });

    it('keeps users apart, also one that nobody named, the last first', async () => {
      const users = [
        { usedBy: null, uses: 1, lastUsedAt: NOW },
        { usedBy: { kind: 'n8n', id: `O'Neil "\u{1F511}"` }, uses: 1, lastUsedAt: secondsAfter(NOW, 5) },
      ];
      await store().addUses([aCount('cr_1', 5, { users })]);
      await store().addUses([
        aCount('cr_1', 3, { users: [{ usedBy: null, uses: 2, lastUsedAt: secondsAfter(NOW, 3) }] }),
      ]);
      const [usage] = await store().getUsage(['cr_1']);
      expect(usage?.users).toEqual([users[1], { usedBy: null, uses: 3, lastUsedAt: secondsAfter(NOW, 3) }]);
    });

    it('forgets the user who was there longest ago when there are too many, and keeps his uses in the sum', async () => {
      const counts = Array.from({ length: MOST_USERS + 5 }, (_, index) => {
        const lastUsedAt = secondsAfter(NOW, index);
        return aCount('cr_1', index, {
          uses: 1,
          users: [{ usedBy: { kind: 'w', id: String(index) }, uses: 1, lastUsedAt }],
        });
      });
      for (const count of counts) await store().addUses([count]);
      const [usage] = await store().getUsage(['cr_1']);
      expect(usage?.uses).toBe(MOST_USERS + 5);
      expect(usage?.users.map(({ usedBy }) => usedBy?.id)).toEqual(
        Array.from({ length: MOST_USERS }, (_, index) => String(MOST_USERS + 4 - index)),
      );
    });

    it('takes names that no text column would', async () => {
      const users = [{ usedBy: { kind: 'a\0b', id: `\ud800${'x'.repeat(5_000)}` }, uses: 1, lastUsedAt: NOW }];
      await store().addUses([aCount('cr_1', 0, { users })]);
      const [usage] = await store().getUsage(['cr_1']);
      expect(usage?.users[0]?.usedBy).toEqual({ kind: 'a\uFFFDb', id: `\uFFFD${'x'.repeat(255)}` });
    });

    it('loses none of what many add at one time', async () => {
      const add = (): Promise<void> => store().addUses([aCount('cr_2', 0), aCount('cr_1', 0)]);
      await Promise.all(Array.from({ length: 10 }, add));
      expect((await store().getUsage(['cr_1', 'cr_2'])).map(({ uses }) => uses)).toEqual([20, 20]);
    });

    it('drops counts of what is not there, and what it knew goes with the record', async () => {
      await store().addUses([aCount('cr_1', 0), aCount('cr_9', 0)]);
      expect(await store().getUsage(['cr_9'])).toEqual([]);
      expect(await store().delete('cr_1', 1)).toBe(true);
      expect(await store().getUsage(['cr_1'])).toEqual([]);
      await store().addUses([aCount('cr_1', 1)]);
      expect(await store().getUsage(['cr_1'])).toEqual([]);
    });
  });
}
