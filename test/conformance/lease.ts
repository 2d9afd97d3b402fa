import type { LeaseStore } from '../../src/lease/lease.ts';
import { openMemory } from '../../src/storage/memory.ts';
import { aRecord } from '../support/record.ts';
import { StillClock } from '../support/still-clock.ts';
import { HOSTILE_TEXTS, UNSTORABLE_TEXTS } from './hostile-texts.ts';

export interface LeaseStoreSubject {
  readonly leases: LeaseStore;
  /** Lets time pass for the leases of this store. */
  readonly advance: (ms: number) => unknown;
  readonly dispose: () => Promise<void>;
}

const TTL_MS = 60_000;
/** Real time that may pass meanwhile where the store's clock is a real one. */
const MARGIN_MS = 30_000;

/** What every lease store must do. */
export function leaseConformance(driver: string, open: () => Promise<LeaseStoreSubject>): void {
  describe(`leases: ${driver}`, () => {
    let subject: LeaseStoreSubject;
    let leases: LeaseStore;
    beforeEach(async () => {
      subject = await open();
      leases = subject.leases;
    });
    afterEach(() => subject.dispose());

    it('are given to one of many who ask at once', async () => {
      const asked = await Promise.all(Array.from({ length: 20 }, () => leases.acquire('work', TTL_MS)));
      expect(asked.filter((lease) => lease !== null)).toHaveLength(1);
      expect(await leases.acquire('other work', TTL_MS)).not.toBeNull();
    });

    it('pass on when their time is over, with a fence that grows', async () => {
      const first = await acquired('work');
      expect(await leases.acquire('work', TTL_MS)).toBeNull();
      await subject.advance(TTL_MS);
      const second = await acquired('work');
      expect(second.fence).toBeGreaterThan(first.fence);
      expect(second.owner).not.toBe(first.owner);
    });

    it('are prolonged by their holder from now on', async () => {
      const lease = await acquired('work');
      await subject.advance(TTL_MS - MARGIN_MS);
      expect(await leases.renew(lease, TTL_MS)).toBe(true);
      await subject.advance(TTL_MS - MARGIN_MS);
      expect(await leases.acquire('work', TTL_MS)).toBeNull();
      await subject.advance(MARGIN_MS);
      expect(await leases.acquire('work', TTL_MS)).not.toBeNull();
    });

    it('are lost once they have run out, taken or not', async () => {
      const lease = await acquired('work');
      await subject.advance(TTL_MS);
      expect(await leases.renew(lease, TTL_MS)).toBe(false);
    });

    it('are neither prolonged nor ended by a holder who lost them', async () => {
      const first = await acquired('work');
      await subject.advance(TTL_MS);
      const second = await acquired('work');
      expect(await leases.renew(first, TTL_MS)).toBe(false);
      expect(await leases.release(first)).toBe(false);
      expect(await leases.acquire('work', TTL_MS)).toBeNull();
      expect(await leases.renew(second, TTL_MS)).toBe(true);
    });

    it('end when they are released, once', async () => {
      const first = await acquired('work');
      expect(await leases.release(first)).toBe(true);
      expect(await leases.release(first)).toBe(false);
      expect(await leases.renew(first, TTL_MS)).toBe(false);
      expect((await acquired('work')).fence).toBeGreaterThan(first.fence);
    });

    it('spare work and decide nothing: the late write of a holder who stalled is refused by his fence', async () => {
      const clock = new StillClock();
      const { records } = openMemory(clock);
      await records.insert(aRecord(), []);
      const { id } = aRecord();
      const stalledLease = await acquired(id);
      const stalled = await records.claim(id, 'stalled', TTL_MS);
      // He sleeps through the end of his lease and his claim, and wakes without knowing it.
      await subject.advance(TTL_MS);
      clock.advance(TTL_MS);
      await acquired(id);
      const successor = await records.claim(id, 'successor', TTL_MS);
      if (!stalled || !successor) throw new Error('no claim');
      const write = (name: string, claim: typeof stalled, revision: number) =>
        records.compareAndSet({ record: aRecord({ name, revision }), expectedRevision: revision - 1, claim });
      expect(await write('late', stalled, 2)).toBe(false);
      expect(await write('in time', successor, 2)).toBe(true);
      expect(await write('late again', stalled, 3)).toBe(false);
      expect((await records.get(id))?.name).toBe('in time');
      expect(await leases.renew(stalledLease, TTL_MS)).toBe(false);
    });

    it.each(HOSTILE_TEXTS)('may have any name: %j', async (name) => {
      const lease = await acquired(name);
      expect(await leases.acquire(name, TTL_MS)).toBeNull();
      expect(await leases.release(lease)).toBe(true);
    });

    it.each([...UNSTORABLE_TEXTS, ['an empty name', ''], ['too long a name', 'x'.repeat(513)]])(
      'refuse %s',
      async (_sentence, name) => {
        await expect(leases.acquire(name, TTL_MS)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
      },
    );

    it.each([0, -1, 1.5, Number.NaN, Infinity])('refuse a time of %s ms as misuse', async (ttlMs) => {
      await expect(leases.acquire('work', ttlMs)).rejects.toThrow(TypeError);
    });

    async function acquired(name: string) {
      const lease = await leases.acquire(name, TTL_MS);
      if (!lease) throw new Error(`The lease "${name}" is not free.`);
      return lease;
    }
  });
}
