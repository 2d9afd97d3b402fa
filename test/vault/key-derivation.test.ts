import type crypto from 'node:crypto';
import { systemClock, systemRandom } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { openSqlite, type Stores } from '../../src/storage/sqlite.ts';
import { KeyRing, type MasterKey } from '../../src/vault/key-ring.ts';
import { rejectionOf } from '../support/codes.ts';

const ports = { clock: systemClock, random: systemRandom };
/** How often Argon2id ran: it is what a time is made of. */
let derivations = 0;
jest.mock('node:crypto', () => {
  const real = jest.requireActual<typeof crypto>('node:crypto');
  return {
    ...real,
    argon2: (...input: Parameters<typeof real.argon2>) => {
      derivations += 1;
      real.argon2(...input);
    },
  };
});

let stores: Stores;
beforeEach(async () => {
  stores = openSqlite('memory', systemClock);
  await KeyRing.open(stores.records, { passphrase: 'right' }, ports);
  derivations = 0;
});
afterEach(() => stores.records.close());

async function openWith(masterKey: MasterKey, alter: (text: string) => string = (text) => text): Promise<unknown> {
  const text = (await stores.records.getKeyRing()) ?? '';
  await stores.records.compareAndSetKeyRing(alter(text), text);
  return rejectionOf(KeyRing.open(stores.records, masterKey, ports));
}

it.each<[string, string, (text: string) => string]>([
  ['a wrong passphrase', 'wrong', (text) => text],
  ['another salt', 'right', (text) => text.replace(/"salt":"../, '"salt":"zz')],
  ['another key id', 'right', (text) => text.replace(/"keyId":"../, '"keyId":"00')],
  ['another date of creation', 'right', (text) => text.replace(/"createdAt":"2/, '"createdAt":"1')],
  ['another ring id', 'right', (text) => text.replace(/"ringId":"../, '"ringId":"zz')],
  ['another seal', 'right', (text) => text.replace(/"seal":"../, '"seal":"zz')],
  ['a field that is missing', 'right', (text) => text.replace('"activeKey"', '"other"')],
  ['a ring that is no JSON', 'right', () => 'x'],
  ['parameters for a raw key', 'right', (text) => text.replace(/"kdf":\{[^}]*\}/, '"kdf":{"algorithm":"raw"}')],
])('%s ends in the same error after the same work', async (_sentence, passphrase, alter) => {
  const failure = await openWith({ passphrase }, alter);
  expect(failure).toMatchObject({
    code: 'ERR_KEYRING_MASTER_KEY_MISMATCH',
    message: 'The master key does not open the key ring of this database.',
  });
  expect(derivations).toBe(1);
});

it.each([
  ['a memory bomb', '"memoryKiB":19456', '"memoryKiB":4194304'],
  ['2^32 passes', '"passes":2', '"passes":4294967296'],
  ['2^24 lanes', '"parallelism":1', '"parallelism":16777216'],
  ['a downgrade of memory', '"memoryKiB":19456', '"memoryKiB":8'],
  ['a downgrade of passes', '"passes":2', '"passes":1'],
])('%s in the file is refused before anything is derived', async (_sentence, from, to) => {
  const failure = await openWith({ passphrase: 'right' }, (text) => text.replace(from, to));
  expect(failure).toMatchObject({ code: 'ERR_KEYRING_PARAMETERS_REFUSED' });
  expect(derivations).toBe(0);
});

it('an unknown algorithm in the file is refused without a guess', async () => {
  const failure = await openWith({ passphrase: 'right' }, (text) => text.replace('argon2id', 'argon2d'));
  expect(failure).toMatchObject({ code: 'ERR_KEYRING_MASTER_KEY_MISMATCH' });
});

it('a key ring of a newer version is refused as such', async () => {
  const failure = await openWith({ passphrase: 'right' }, (text) =>
    text.replace('"schemaVersion":1', '"schemaVersion":2'),
  );
  expect(failure).toMatchObject({ code: 'ERR_STORE_SCHEMA_TOO_NEW' });
});

it('a passphrase is the same in every form of Unicode', async () => {
  const other = openSqlite('memory', systemClock);
  await KeyRing.open(other.records, { passphrase: 'cafe\u0301 \ufb01' }, ports);
  await expect(KeyRing.open(other.records, { passphrase: Secret.of('caf\u00e9 fi') }, ports)).resolves.toBeInstanceOf(
    KeyRing,
  );
  await other.records.close();
});

it('a rotation and an unknown key id cost no derivation: the wrapping key is at hand', async () => {
  const ring = await KeyRing.open(stores.records, { passphrase: 'right' }, ports);
  derivations = 0;
  await ring.rotate();
  await ring.findKey(Buffer.alloc(16)).catch(() => undefined);
  expect(derivations).toBe(0);
});
