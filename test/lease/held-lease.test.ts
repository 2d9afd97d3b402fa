import { StorageError } from '../../src/errors.ts';
import { HeldLease } from '../../src/lease/held-lease.ts';
import type { Lease, LeaseStore } from '../../src/lease/lease.ts';
import { MemoryLeases } from '../../src/lease/memory.ts';
import { silentLogger, systemRandom } from '../../src/ports.ts';
import { SteppedClock } from '../support/stepped-clock.ts';

const TTL_MS = 30_000;

let clock: SteppedClock;
let leases: MemoryLeases;
let lost: Lease[];
beforeEach(() => {
  clock = new SteppedClock();
  leases = new MemoryLeases({ clock, random: systemRandom });
  lost = [];
});

async function hold(store: LeaseStore = leases, onLost = (lease: Lease): unknown => lost.push(lease)) {
  const options = { ttlMs: TTL_MS, onLost };
  const held = await HeldLease.acquire(store, 'work', options, { clock, logger: silentLogger });
  if (!held) throw new Error('not free');
  return held;
}

/** The memory store, with another way to renew. */
function renewing(renew: LeaseStore['renew']): LeaseStore {
  return {
    acquire: (name, ttlMs) => leases.acquire(name, ttlMs),
    renew,
    release: (lease) => leases.release(lease),
    close: () => leases.close(),
  };
}

it('is renewed at a third of its time for as long as it is held', async () => {
  const held = await hold();
  await clock.advance(10 * TTL_MS);
  expect(held.holds()).toBe(true);
  expect(await leases.acquire('work', TTL_MS)).toBeNull();
  expect(lost).toEqual([]);
});

it('asks the store three times in its time and no more', async () => {
  let renewals = 0;
  await hold(
    renewing(async (lease, ttlMs) => {
      renewals += 1;
      return leases.renew(lease, ttlMs);
    }),
  );
  await clock.advance(TTL_MS);
  expect(renewals).toBe(3);
});

it('is not given to a second holder', async () => {
  await hold();
  await expect(hold()).rejects.toThrow('not free');
});

it('says once that it is lost, and stops the work under it', async () => {
  const held = await hold();
  await leases.release(held.lease);
  await leases.acquire('work', TTL_MS);
  await clock.advance(10 * TTL_MS);
  expect(lost).toEqual([held.lease]);
  expect(held.signal.reason).toMatchObject({ code: 'ERR_STORE_CONFLICT' });
  expect(held.holds()).toBe(false);
  await held.release();
  expect(await leases.acquire('work', 1)).not.toBeNull();
});

it('outlives a store that is away for less than its time', async () => {
  let away = true;
  const held = await hold(
    renewing(async (lease, ttlMs) => {
      if (away) throw new StorageError('ERR_STORE_UNAVAILABLE', 'away');
      return leases.renew(lease, ttlMs);
    }),
  );
  await clock.advance(TTL_MS / 2);
  away = false;
  await clock.advance(10 * TTL_MS);
  expect(held.holds()).toBe(true);
});

it.each<[string, LeaseStore['renew']]>([
  ['stays away', async () => Promise.reject(new StorageError('ERR_STORE_UNAVAILABLE', 'away'))],
  ['does not answer at all', () => new Promise<boolean>(() => undefined)],
])('is lost at the end of its time when the store %s', async (_sentence, renew) => {
  const held = await hold(renewing(renew));
  await clock.advance(TTL_MS - 1);
  expect(held.holds()).toBe(true);
  await clock.advance(1);
  expect(held.signal.aborted).toBe(true);
  expect(lost).toHaveLength(1);
});

it('knows whether enough of it is left for an effect', async () => {
  const held = await hold(renewing(() => new Promise<boolean>(() => undefined)));
  await clock.advance(TTL_MS - 1_000);
  expect(held.holds(999)).toBe(true);
  expect(held.holds(1_000)).toBe(false);
});

it('ends with its release and is not renewed again', async () => {
  const held = await hold();
  await held.release();
  await held.release();
  await clock.advance(10 * TTL_MS);
  expect(held.holds()).toBe(false);
  expect(lost).toEqual([]);
  expect(await leases.acquire('work', TTL_MS)).not.toBeNull();
});

it('survives a listener that throws', async () => {
  const held = await hold(
    renewing(async () => false),
    () => {
      throw new Error('listener');
    },
  );
  await clock.advance(TTL_MS);
  expect(held.signal.aborted).toBe(true);
});
