import { join } from 'node:path';
import { systemRandom } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { HARD_LIMIT } from '../../src/vault/encryption-budget.ts';
import { ROTATION_POLICY } from '../../src/vault/key-ring.ts';
import { TestClock } from '../support/clock.ts';
import { rejectionOf } from '../support/codes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { openTestVault, RAW_KEY, type TestVault } from '../support/vault.ts';

const DAY_MS = 86_400_000;
const NEXT_KEY = Buffer.alloc(32, 9);

// Every write waits for the disk.
jest.setTimeout(60_000);

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
let clock: TestClock;
const open: TestVault[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, 'c.db');
  clock = new TestClock();
});
afterEach(async () => {
  for (const vault of open.splice(0)) await vault.close();
  folder.dispose();
});

/** One process on the store: opening twice gives two. */
async function aProcess(options: Parameters<typeof openTestVault>[0] = {}): Promise<TestVault> {
  const vault = await openTestVault({ path, clock, ...options });
  open.push(vault);
  return vault;
}

async function keyIdOf(vault: TestVault, id: string): Promise<string | null | undefined> {
  const [value] = await vault.vault.values(id);
  return value?.keyId;
}

async function encryptions(vault: TestVault, keyId: string): Promise<number> {
  return vault.stores.records.reserveEncryptions(keyId, 0);
}

describe('rotation of the data key', () => {
  it('seals under the new key at once and still opens what was sealed before', async () => {
    const one = await aProcess();
    await one.register('before');
    const { keyId } = await one.keys.rotate();
    await one.register('after');
    expect(await keyIdOf(one, 'after')).toBe(keyId);
    expect(await keyIdOf(one, 'before')).not.toBe(keyId);
    expect(await one.read('before')).toEqual([{ clientSecret: 'secret of before' }]);
  });

  it('is noticed by a process that was running: it reads new values and seals under the new key', async () => {
    const [one, other] = [await aProcess(), await aProcess()];
    const { keyId } = await one.keys.rotate();
    await one.register('by one');
    expect(await other.read('by one')).toEqual([{ clientSecret: 'secret of by one' }]);
    await other.register('by other');
    expect(await keyIdOf(other, 'by other')).toBe(keyId);
  });

  it('reads the ring again once for a key that nobody knows, and tries no other key', async () => {
    const one = await aProcess();
    const record = await one.register('a');
    const reads = jest.spyOn(one.stores.records, 'getKeyRing');
    const envelope = await one.stores.secrets.get({ credentialId: 'a', ...record.registered });
    const forged = Buffer.from(envelope ?? []);
    systemRandom.bytes(16).copy(forged, 2);
    const name = { ...record.registered, attemptId: 'forged' };
    await one.stores.secrets.putIfAbsent({ credentialId: 'a', ...name }, forged);
    await expect(one.vault.get(record, name)).rejects.toMatchObject({ code: 'ERR_KEYRING_KEY_UNKNOWN' });
    expect(reads).toHaveBeenCalledTimes(1);
  });

  it('keeps every key when two processes rotate together', async () => {
    const [one, other] = [await aProcess(), await aProcess()];
    await Promise.all([one.keys.rotate(), other.keys.rotate(), one.keys.rotate(), other.keys.rotate()]);
    const { keys } = await one.keys.status();
    expect(keys).toHaveLength(5);
    expect(keys.filter(({ state }) => state === 'active')).toHaveLength(1);
    expect(keys.every(({ state, retiredAt }) => (state === 'active') === (retiredAt === null))).toBe(true);
  });
});

describe('the rotation policy', () => {
  it('is 90 days or 1,000,000 encryptions, with the three newest retired keys kept', () => {
    expect(ROTATION_POLICY).toMatchObject({ maxAgeMs: 90 * DAY_MS, maxEncryptions: 1_000_000, keepRetired: 3 });
  });

  it('replaces a key of 90 days at the next encryption, and not before', async () => {
    const one = await aProcess();
    const { activeKeyId } = await one.keys.status();
    clock.advance(90 * DAY_MS - 60_000);
    await one.register('young');
    expect(await keyIdOf(one, 'young')).toBe(activeKeyId);
    clock.advance(60_001);
    await one.register('old');
    expect(await keyIdOf(one, 'old')).not.toBe(activeKeyId);
  });

  it('replaces a key before it seals value 1,000,001', async () => {
    const one = await aProcess();
    const { activeKeyId } = await one.keys.status();
    await one.stores.records.reserveEncryptions(activeKeyId, 1_000_000 - 16);
    for (let count = 0; count < 16; count += 1) await one.register(`last ${String(count)}`);
    expect(await keyIdOf(one, 'last 15')).toBe(activeKeyId);
    await one.register('one more');
    expect(await keyIdOf(one, 'one more')).not.toBe(activeKeyId);
  });

  it('counts the encryptions of all processes together', async () => {
    const policy = { ...ROTATION_POLICY, maxEncryptions: 64 };
    const processes = await Promise.all([1, 2, 3, 4].map(() => aProcess({ policy })));
    for (let round = 0; round < 32; round += 1) {
      for (const [index, vault] of processes.entries()) await vault.register(`${String(index)}/${String(round)}`);
    }
    const sealed = new Map<string, number>();
    for (const { id } of (await processes[0]?.stores.records.list({ limit: 1000 }))?.records ?? []) {
      const keyId = String(await keyIdOf(processes[0] as TestVault, id));
      sealed.set(keyId, (sealed.get(keyId) ?? 0) + 1);
    }
    expect([...sealed.values()].reduce((sum, count) => sum + count)).toBe(128);
    expect(Math.max(...sealed.values())).toBeLessThanOrEqual(64);
  });

  it('when the key cannot be replaced, goes on under it up to 2^32 and not one further', async () => {
    const [one, other] = [await aProcess(), await aProcess()];
    const { activeKeyId } = await one.keys.status();
    await other.keys.changeMasterKey(NEXT_KEY);
    await one.stores.records.reserveEncryptions(activeKeyId, HARD_LIMIT - 64);
    await one.register('under the limit');
    expect(await keyIdOf(one, 'under the limit')).toBe(activeKeyId);
    await one.stores.records.reserveEncryptions(activeKeyId, 64);
    const failure = await rejectionOf(
      (async () => {
        for (let count = 0; count < 64; count += 1) await one.register(`beyond ${String(count)}`);
      })(),
    );
    expect(failure).toMatchObject({ code: 'ERR_KEYRING_KEY_EXHAUSTED' });
  });
});

describe('counts of encryptions', () => {
  it('are never fewer than what was sealed, whatever died in between', async () => {
    const { activeKeyId } = await (await aProcess()).keys.status();
    let sealed = 0;
    for (let death = 0; death < 20; death += 1) {
      const victim = await openTestVault({ path, clock });
      for (let count = 0; count < death; count += 1, sealed += 1)
        await victim.register(`${String(death)}/${String(count)}`);
      const before = await encryptions(victim, activeKeyId);
      expect(before).toBeGreaterThanOrEqual(sealed);
      await victim.stores.records.close();
    }
  });

  it('are wasted by at most one block per process', async () => {
    const one = await aProcess();
    await one.register('a');
    const { activeKeyId } = await one.keys.status();
    expect(await encryptions(one, activeKeyId)).toBe(16);
  });
});

describe('retired keys', () => {
  /** Rotates five times with a value under each key, then brings all values under the newest. */
  async function sixKeys(): Promise<TestVault> {
    const one = await aProcess();
    for (let index = 0; index < 6; index += 1) {
      await one.register(`c${String(index)}`);
      if (index < 5) await one.keys.rotate();
      clock.advance(1_000);
    }
    return one;
  }

  it('stay while anything refers to them', async () => {
    const one = await sixKeys();
    clock.advance(2 * DAY_MS);
    // A claim of somebody else keeps the oldest credential as it is.
    expect(await one.stores.records.claim('c0', 'somebody', 3_600_000)).not.toBeNull();
    const { removedKeys, left } = await one.keys.reEncrypt();
    expect(left).toEqual([{ credentialId: 'c0', reason: 'busy' }]);
    expect(removedKeys).toHaveLength(1);
    expect(await one.read('c0')).toEqual([{ clientSecret: 'secret of c0' }]);
  });

  it('go at zero references, but for the three newest', async () => {
    const one = await sixKeys();
    clock.advance(2 * DAY_MS);
    const before = await one.keys.status();
    const { removedKeys, left } = await one.keys.reEncrypt();
    expect(left).toEqual([]);
    expect(removedKeys.toSorted()).toEqual(
      before.keys
        .slice(0, 2)
        .map(({ keyId }) => keyId)
        .toSorted(),
    );
    const after = await one.keys.status();
    expect(after.keys.map(({ keyId }) => keyId)).toEqual(before.keys.slice(2).map(({ keyId }) => keyId));
    for (let index = 0; index < 6; index += 1) {
      expect(await one.read(`c${String(index)}`)).toEqual([{ clientSecret: `secret of c${String(index)}` }]);
    }
  });

  it('stay for a day, for a writer that began under them', async () => {
    const one = await sixKeys();
    expect((await one.keys.reEncrypt()).removedKeys).toEqual([]);
  });
});

describe('a change of the master key', () => {
  it.each([
    ['a raw key', NEXT_KEY],
    ['a passphrase', { passphrase: 'a new passphrase' }],
  ])('to %s: the new one opens, the old one does not, and no envelope was touched', async (_sentence, next) => {
    const one = await aProcess();
    const record = await one.register('a');
    await one.keys.rotate();
    const name = { credentialId: 'a', ...record.registered };
    const envelope = await one.stores.secrets.get(name);
    await one.keys.changeMasterKey(next);
    expect(await one.stores.secrets.get(name)).toEqual(envelope);
    expect(await (await aProcess({ masterKey: next })).read('a')).toEqual([{ clientSecret: 'secret of a' }]);
    await expect(openTestVault({ path, masterKey: RAW_KEY })).rejects.toMatchObject({
      code: 'ERR_KEYRING_MASTER_KEY_MISMATCH',
    });
  });

  it('leaves keyed hashes, and with them access keys and adopted ids, as they are', async () => {
    const one = await aProcess();
    const before = one.vault.keyedHash('p', 'x');
    await one.keys.changeMasterKey(NEXT_KEY);
    expect((await aProcess({ masterKey: NEXT_KEY })).vault.keyedHash('p', 'x')).toEqual(before);
  });

  it('lets running processes go on with their keys, and says what is wrong when they need a new one', async () => {
    const [one, other] = [await aProcess(), await aProcess()];
    await other.register('a');
    await one.keys.changeMasterKey(NEXT_KEY);
    await other.register('b');
    expect(await other.read('a')).toEqual([{ clientSecret: 'secret of a' }]);
    expect(await one.read('b')).toEqual([{ clientSecret: 'secret of b' }]);
    await one.keys.rotate();
    await one.register('c');
    await expect(other.read('c')).rejects.toMatchObject({ code: 'ERR_KEYRING_MASTER_KEY_MISMATCH' });
    await expect(other.keys.rotate()).rejects.toMatchObject({ code: 'ERR_KEYRING_MASTER_KEY_MISMATCH' });
    await expect(other.keys.changeMasterKey(RAW_KEY)).rejects.toMatchObject({
      code: 'ERR_KEYRING_MASTER_KEY_MISMATCH',
    });
  });

  it('names the way back when n8n has another encryption key than before', async () => {
    await aProcess();
    const failure = await rejectionOf(openTestVault({ path, masterKey: NEXT_KEY }));
    expect(failure).toMatchObject({
      name: 'KeyRingError',
      action: expect.stringMatching(/N8N_ENCRYPTION_KEY.*credlife key change-passphrase/),
    });
  });

  it('happens once when two processes change it together: one of the two new keys opens', async () => {
    const [one, other] = [await aProcess(), await aProcess()];
    await one.register('a');
    const third = Buffer.alloc(32, 11);
    const results = await Promise.allSettled([one.keys.changeMasterKey(NEXT_KEY), other.keys.changeMasterKey(third)]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const opens = results[0].status === 'fulfilled' ? NEXT_KEY : third;
    expect(await (await aProcess({ masterKey: opens })).read('a')).toEqual([{ clientSecret: 'secret of a' }]);
  });
});

describe('after its vault is closed', () => {
  it('nothing can be sealed or opened: the keys are zeros, and zeros seal nothing', async () => {
    const one = await openTestVault({ path, clock });
    const record = await one.register('a');
    const { vault } = one;
    await one.close();
    const again = await aProcess();
    const sealedAfter = vault.put({ ...record, id: 'b' }, record.registered, Secret.of({ token: 't' }));
    await expect(sealedAfter).rejects.toThrow();
    expect(await again.stores.secrets.list('b')).toEqual([]);
  });
});
