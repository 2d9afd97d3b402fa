import { join } from 'node:path';
import { pointersOf, type SecretPointer } from '../../src/lifecycle/credential.ts';
import { openRecord, type Surroundings } from '../../src/lifecycle/effects.ts';
import { Behind } from '../../src/lifecycle/behind.ts';
import { UnsavedAnswers } from '../../src/lifecycle/spool.ts';
import { encodeSealedGrant } from '../../src/lifecycle/sealed-grant.ts';
import { silentLogger, systemFetch, systemRandom } from '../../src/ports.ts';
import { OAuth2Driver } from '../../src/protocols/oauth2/driver.ts';
import { ProtocolRegistry } from '../../src/protocols/protocol.ts';
import { Budgets } from '../../src/resilience/budgets.ts';
import { EndpointGate } from '../../src/resilience/endpoint-gate.ts';
import { Secret } from '../../src/secret.ts';
import type { KeyProgress } from '../../src/vault/key-work.ts';
import { TestClock } from '../support/clock.ts';
import { temporaryFolder } from '../support/folder.ts';
import { openTestVault, type TestVault } from '../support/vault.ts';

// Every write waits for the disk.
jest.setTimeout(60_000);

const clock = new TestClock();
let folder: ReturnType<typeof temporaryFolder>;
let one: TestVault;
let other: TestVault;

beforeEach(async () => {
  folder = temporaryFolder();
  const path = join(folder.path, 'c.db');
  one = await openTestVault({ path, clock });
  other = await openTestVault({ path, clock });
});
afterEach(async () => {
  await one.close();
  await other.close();
  folder.dispose();
});

async function registerMany(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, index) => `c${String(index).padStart(4, '0')}`);
  for (const id of ids) await one.register(id);
  return ids;
}

/** Ids of the data keys that the stored values of these credentials name. */
async function keysOf(ids: readonly string[]): Promise<Set<string | null>> {
  const values = await Promise.all(ids.map(async (id) => one.vault.values(id)));
  return new Set(values.flat().map(({ keyId }) => keyId));
}

it('brings every value under the active key, leaves none of the old ones and changes no generation', async () => {
  const ids = await registerMany(120);
  for (const id of ids.slice(0, 30)) await one.commitGrant(id, `token of ${id}`);
  const { keyId } = await one.keys.rotate();
  const result = await one.keys.reEncrypt();
  expect(result).toMatchObject({ records: 120, reEncrypted: 150, left: [] });
  expect(await keysOf(ids)).toEqual(new Set([keyId]));
  for (const id of ids) expect(await one.vault.values(id)).toHaveLength(id < 'c0030' ? 2 : 1);
  expect(await one.read('c0000')).toMatchObject([
    { clientSecret: 'secret of c0000' },
    { grant: { accessToken: 'token of c0000' } },
  ]);
  expect((await one.record('c0000')).generation).toBe(1);
  expect(await one.keys.verify()).toMatchObject({ records: 120, values: 150, unreadable: [], seal: 'intact' });
});

it('keeps its values from a refresh that was stopped before it deleted what it replaced', async () => {
  await registerMany(1);
  await one.commitGrant('c0000', 'token 1');
  const committed = await one.commitGrant('c0000', 'token 2');
  await other.keys.rotate();
  await other.keys.reEncrypt();
  await one.vault.collect(committed, pointersOf(committed), committed.generation);
  expect(await one.read('c0000')).toMatchObject([{}, { grant: { accessToken: 'token 2' } }]);
  expect((await one.vault.values('c0000')).map(({ pointer }) => [pointer.field, pointer.generation])).toEqual([
    ['grant', 2],
    ['registered', 0],
  ]);
});

it('has nothing to do the second time', async () => {
  await registerMany(20);
  await one.keys.rotate();
  await one.keys.reEncrypt();
  const { revision } = await one.record('c0003');
  expect(await one.keys.reEncrypt()).toMatchObject({ records: 20, reEncrypted: 0, collected: 0, left: [] });
  expect((await one.record('c0003')).revision).toBe(revision);
});

it('tells how far it is, and goes on later where a signal ended it', async () => {
  const ids = await registerMany(100);
  await one.keys.rotate();
  const seen: KeyProgress[] = [];
  const controller = new AbortController();
  const onProgress = (progress: KeyProgress): void => {
    seen.push(progress);
    if (progress.done >= 40) controller.abort();
  };
  await expect(one.keys.reEncrypt({ onProgress, signal: controller.signal })).rejects.toThrow();
  expect(seen.map(({ done }) => done)).toEqual([8, 16, 24, 32, 40]);
  expect(seen.every(({ total }) => total === 100)).toBe(true);
  const { reEncrypted, left } = await other.keys.reEncrypt();
  expect({ reEncrypted, left }).toEqual({ reEncrypted: 60, left: [] });
  expect(await keysOf(ids)).toEqual(new Set([(await one.keys.status()).activeKeyId]));
});

it('runs beside writers and loses nothing of theirs', async () => {
  const ids = await registerMany(60);
  await one.keys.rotate();
  const writing = new AbortController();
  const written = new Map<string, number>();
  const writer = (async () => {
    for (let turn = 0; !writing.signal.aborted; turn += 1) {
      const id = ids[turn % ids.length] ?? '';
      const claim = await other.stores.records.claim(id, 'writer', 4_000);
      if (claim) {
        written.set(id, (await other.commitGrant(id, `turn ${String(turn)}`)).generation);
        await other.stores.records.releaseClaim(claim);
      }
      await new Promise(setImmediate);
    }
  })();
  const { left } = await one.keys.reEncrypt();
  writing.abort();
  await writer;
  expect(left.filter(({ reason }) => reason !== 'busy')).toEqual([]);
  await one.keys.reEncrypt();
  expect(written.size).toBeGreaterThan(0);
  for (const [id, generation] of written) expect((await one.record(id)).generation).toBe(generation);
  expect(await one.keys.verify()).toMatchObject({ unreadable: [], seal: 'intact' });
  expect(await keysOf(ids)).toEqual(new Set([(await one.keys.status()).activeKeyId]));
});

it('two passes at once do the work once', async () => {
  const ids = await registerMany(80);
  await one.keys.rotate();
  const [first, second] = await Promise.all([one.keys.reEncrypt(), other.keys.reEncrypt()]);
  expect(first.reEncrypted + second.reEncrypted).toBe(80);
  expect(await keysOf(ids)).toEqual(new Set([(await one.keys.status()).activeKeyId]));
  expect((await one.keys.verify()).unreadable).toEqual([]);
});

it('leaves a credential alone that a refresh holds, and says so', async () => {
  await registerMany(3);
  await one.keys.rotate();
  expect(await other.stores.records.claim('c0001', 'refresher', 60_000)).not.toBeNull();
  const result = await one.keys.reEncrypt();
  expect(result).toMatchObject({ reEncrypted: 2, left: [{ credentialId: 'c0001', reason: 'busy' }] });
});

it('keeps the sealed answer of a refresh that nothing points at yet', async () => {
  await registerMany(1);
  const record = await one.record('c0000');
  const answer: SecretPointer = { field: 'grant', generation: 1, attemptId: 'attempt' };
  const issued = { grant: Secret.of({ accessToken: 'new' }), issuedAt: new Date(), expiresAt: null, refreshable: true };
  await one.vault.put(record, answer, encodeSealedGrant(issued));
  await one.keys.rotate();
  expect((await one.keys.reEncrypt()).left).toEqual([{ credentialId: 'c0000', reason: 'inFlight' }]);
  expect(await one.vault.find(record, answer)).not.toBeNull();
});

it('keeps an entered secret that nothing points at yet, but not what a killed pass has left', async () => {
  await registerMany(1);
  const record = await one.record('c0000');
  const update: SecretPointer = { ...record.registered, attemptId: 'update under way' };
  await one.vault.put(record, update, Secret.of({ clientSecret: 'new' }));
  const leftBehind = await one.vault.reseal(record, record.registered, 'left behind');
  await one.keys.rotate();
  expect((await one.keys.reEncrypt()).left).toEqual([{ credentialId: 'c0000', reason: 'inFlight' }]);
  expect(await one.vault.find(record, update)).not.toBeNull();
  expect(await one.vault.find(record, leftBehind)).toBeNull();
});

it('goes on past a value that does not open, names it and leaves its bytes', async () => {
  await registerMany(5);
  const { registered } = await one.record('c0002');
  const name = { credentialId: 'c0002', ...registered };
  const envelope = (await one.stores.secrets.get(name)) ?? Buffer.alloc(0);
  envelope.writeUInt8((envelope.at(-1) ?? 0) ^ 1, envelope.length - 1);
  await one.stores.secrets.delete(name);
  await one.stores.secrets.putIfAbsent(name, envelope);
  await one.keys.rotate();
  expect(await one.keys.reEncrypt()).toMatchObject({
    reEncrypted: 4,
    left: [{ credentialId: 'c0002', reason: 'unreadable' }],
  });
  expect(await one.stores.secrets.get(name)).toEqual(envelope);
  expect((await one.keys.verify()).unreadable).toEqual([
    {
      credentialId: 'c0002',
      field: 'registered',
      generation: 0,
      code: 'ERR_KEYRING_AUTHENTICATION_FAILED',
      referenced: true,
    },
  ]);
});

it('gives a reader that holds the record of before the value of now (F54)', async () => {
  await registerMany(1);
  const before = await one.commitGrant('c0000', 'the token');
  await one.keys.rotate();
  await other.keys.reEncrypt();
  const ports = { clock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  const drivers = new ProtocolRegistry([new OAuth2Driver(ports)]);
  const { records } = one.stores;
  const gate = new EndpointGate({ ports, records, vault: one.vault, budgets: new Budgets([]) });
  const planHealth = (): { testDueAt: null; noticeDueAt: null } => ({ testDueAt: null, noticeDueAt: null });
  const surroundings: Surroundings = {
    ...{ ports, records, vault: one.vault, drivers, gate, owner: 'reader', planHealth },
    ...{ spool: null, unsaved: new UnsavedAnswers(), behind: new Behind() },
  };
  const opened = await openRecord(surroundings, before);
  expect(opened.grant?.unwrap()).toEqual({ accessToken: 'the token' });
  expect(opened.record.revision).toBe(before.revision + 1);
});
