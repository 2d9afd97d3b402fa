import { argon2Sync } from 'node:crypto';
import { systemClock, systemRandom } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { openSqlite, type Stores } from '../../src/storage/sqlite.ts';
import { deriveFromPassphrase, newArgon2idParameters } from '../../src/vault/kdf.ts';
import { KeyRing, type MasterKey } from '../../src/vault/key-ring.ts';
import { Vault } from '../../src/vault/vault.ts';

const ports = { clock: systemClock, random: systemRandom };
const owner = { id: 'cr_1', ownerId: null };
const pointer = { field: 'grant', generation: 1, attemptId: 'a' } as const;
const RAW = Buffer.alloc(32, 5);

let stores: Stores;
beforeEach(() => {
  stores = openSqlite('memory', systemClock);
});
afterEach(() => stores.records.close());

async function vaultWith(masterKey: MasterKey): Promise<Vault> {
  return new Vault(await KeyRing.open(stores.records, masterKey, ports), stores.secrets, systemRandom);
}

it.each<[string, MasterKey]>([
  ['raw bytes', RAW],
  ['a secret holder', Secret.of(RAW)],
  ['a passphrase', { passphrase: 'correct horse battery staple' }],
])('opens again with the same %s', async (_sentence, masterKey) => {
  await (await vaultWith(masterKey)).put(owner, pointer, Secret.of({ token: 't' }));
  const value = await (await vaultWith(masterKey)).get(owner, pointer);
  expect(value.unwrap()).toEqual({ token: 't' });
});

it.each<[string, MasterKey, MasterKey]>([
  ['another raw key', RAW, Buffer.alloc(32, 6)],
  ['another passphrase', { passphrase: 'one' }, { passphrase: 'two' }],
  ['a passphrase for a raw key', RAW, { passphrase: 'one' }],
  ['a raw key for a passphrase', { passphrase: 'one' }, RAW],
])('refuses %s with one code and changes nothing', async (_sentence, right, wrong) => {
  await vaultWith(right);
  const before = await stores.records.getKeyRing();
  await expect(vaultWith(wrong)).rejects.toMatchObject({ code: 'ERR_KEYRING_MASTER_KEY_MISMATCH' });
  expect(await stores.records.getKeyRing()).toBe(before);
});

it('gives an altered key ring the same answer as a wrong key', async () => {
  await vaultWith(RAW);
  const text = (await stores.records.getKeyRing()) ?? '';
  for (const altered of [
    text.replace(/"ringId":"./, '"ringId":"z'),
    text.replace(/"wrapped":"./, '"wrapped":"/'),
    '{}',
    'x',
  ]) {
    const current = await stores.records.getKeyRing();
    expect(await stores.records.compareAndSetKeyRing(altered, current)).toBe(true);
    await expect(vaultWith(RAW)).rejects.toMatchObject({ code: 'ERR_KEYRING_MASTER_KEY_MISMATCH' });
  }
});

it('refuses a raw key of the wrong length as misuse', async () => {
  await expect(vaultWith(Buffer.alloc(16))).rejects.toThrow(TypeError);
});

it('is founded once when two open a new store together', async () => {
  const [first, second] = await Promise.all([vaultWith(RAW), vaultWith(RAW)]);
  await first.put(owner, pointer, Secret.of({ token: 't' }));
  expect((await second.get(owner, pointer)).unwrap()).toEqual({ token: 't' });
  expect(first.keyedHash('p', 'x')).toEqual(second.keyedHash('p', 'x'));
});

it('keeps the uses of keyed hashes apart', async () => {
  const vault = await vaultWith(RAW);
  expect(vault.keyedHash('a', 'x')).not.toEqual(vault.keyedHash('b', 'x'));
});

describe('key derivation', () => {
  const salt = Buffer.alloc(16, 1);

  it('is Argon2id with the recommended parameters', async () => {
    const parameters = newArgon2idParameters(salt);
    expect(parameters).toMatchObject({ memoryKiB: 19_456, passes: 2, parallelism: 1 });
    const expected = argon2Sync('argon2id', {
      message: Buffer.from('pass'),
      nonce: salt,
      memory: 19_456,
      passes: 2,
      parallelism: 1,
      tagLength: 32,
    });
    expect((await deriveFromPassphrase(Secret.of('pass'), parameters)).unwrap()).toEqual(expected);
  });

  it.each([
    ['a memory bomb', { memoryKiB: 4 * 1024 * 1024 }],
    ['too many passes', { passes: 2 ** 31 }],
    ['too many lanes', { parallelism: 2 ** 24 - 1 }],
    ['a downgrade of memory', { memoryKiB: 8 }],
    ['a downgrade of passes', { passes: 1 }],
    ['a short salt', { salt: 'AAAA' }],
  ])('refuses %s before it takes memory', async (_sentence, change) => {
    const before = process.memoryUsage().rss;
    await expect(
      deriveFromPassphrase(Secret.of('pass'), { ...newArgon2idParameters(salt), ...change }),
    ).rejects.toMatchObject({
      code: 'ERR_KEYRING_PARAMETERS_REFUSED',
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});
