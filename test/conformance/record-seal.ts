import type { RecordSeal, RecordStore } from '../../src/storage/record-store.ts';
import { aRecord } from '../support/record.ts';

/** A sealed value that is kept in step with the records: part of `recordStoreConformance`. */
export function recordSealConformance(open: () => RecordStore): void {
  describe('a seal', () => {
    let store: RecordStore;
    const calls: [string | null, number | null, number | null][] = [];
    const seal: RecordSeal = {
      concerns: () => true,
      next: (stored, before, after) => {
        calls.push([stored, before?.revision ?? null, after?.revision ?? null]);
        return after?.name === 'unsealed' ? null : `after ${after?.name ?? 'nothing'}`;
      },
    };
    beforeEach(() => {
      store = open();
      calls.length = 0;
      store.sealWith(seal);
    });

    it('is asked at each write that happens, with the record before and after, and kept', async () => {
      expect(await store.getSeal()).toBeNull();
      await store.insert(aRecord({ name: 'one' }), []);
      await store.compareAndSet({ record: aRecord({ name: 'two', revision: 2 }), expectedRevision: 1 });
      await store.compareAndSet({ record: aRecord({ name: 'late', revision: 2 }), expectedRevision: 1 });
      expect(calls).toEqual([
        [null, null, 1],
        ['after one', 1, 2],
      ]);
      expect(await store.getSeal()).toBe('after two');
    });

    it('is told of a deletion', async () => {
      await store.insert(aRecord({ name: 'one' }), []);
      expect(await store.delete(aRecord().id, 1)).toBe(true);
      expect(calls.at(-1)).toEqual(['after one', 1, null]);
      expect([await store.get(aRecord().id), await store.getSeal()]).toEqual([null, 'after nothing']);
    });

    it('stays as it is when it answers null', async () => {
      await store.insert(aRecord({ name: 'one' }), []);
      await store.compareAndSet({ record: aRecord({ name: 'unsealed', revision: 2 }), expectedRevision: 1 });
      expect(await store.getSeal()).toBe('after one');
    });

    it('takes the write with it when it throws', async () => {
      await store.insert(aRecord({ name: 'one' }), []);
      const fault = new Error('no seal');
      store.sealWith({
        concerns: () => true,
        next: () => {
          throw fault;
        },
      });
      const write = store.compareAndSet({ record: aRecord({ name: 'two', revision: 2 }), expectedRevision: 1 });
      await expect(write).rejects.toBe(fault);
      expect((await store.get(aRecord().id))?.name).toBe('one');
    });
  });
}
