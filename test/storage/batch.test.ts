import { StorageError } from '../../src/errors.ts';
import { getSecrets } from '../../src/storage/batch.ts';
import { openMemory } from '../../src/storage/memory.ts';
import type { SecretKey, SecretStore } from '../../src/storage/secret-store.ts';
import { StillClock } from '../support/still-clock.ts';

const keys = Array.from({ length: 12 }, (_, generation): SecretKey => ({
  credentialId: 'c',
  field: 'grant',
  generation,
  attemptId: 'a',
}));

/** A store whose reads wait for one another, and which counts how many are under way. */
function slowStore(): { store: SecretStore; most: () => number } {
  const { secrets } = openMemory(new StillClock());
  let underWay = 0;
  let most = 0;
  const get = async (key: SecretKey): Promise<Buffer | null> => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    if (key.generation === 5) throw new StorageError('ERR_STORE_UNAVAILABLE', 'away');
    return Buffer.from('v');
  };
  const store = Object.create(secrets, { get: { value: get } }) as SecretStore;
  return { store, most: () => most };
}

it('has no more calls under way than it may, and uses what it may', async () => {
  const { store, most } = slowStore();
  await getSecrets(store, keys, { concurrency: 3 });
  expect(most()).toBe(3);
});

it('tells the failure of one item beside the values of the others', async () => {
  const results = await getSecrets(slowStore().store, keys);
  expect(results.map((result) => result.ok)).toEqual(keys.map(({ generation }) => generation !== 5));
  expect(results[5]).toMatchObject({ ok: false, key: keys[5], error: { code: 'ERR_STORE_UNAVAILABLE' } });
});

it('starts nothing more once it is aborted', async () => {
  const { store, most } = slowStore();
  const results = await getSecrets(store, keys, { signal: AbortSignal.abort() });
  expect(results.every((result) => !result.ok)).toBe(true);
  expect(most()).toBe(0);
});

it.each([0, 1.5, Number.NaN])('refuses a concurrency of %s as misuse', async (concurrency) => {
  await expect(getSecrets(slowStore().store, keys, { concurrency })).rejects.toThrow(TypeError);
});
