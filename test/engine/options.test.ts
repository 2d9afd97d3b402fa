import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import Database from 'better-sqlite3';
import { CredentialEngine, type EngineOptions } from '../../src/engine.ts';
import type { Ports } from '../../src/ports.ts';
import { OAuth2Driver } from '../../src/protocols/oauth2/driver.ts';
import { Secret } from '../../src/secret.ts';
import { rejectionOf } from '../support/codes.ts';
import { MASTER_KEY, openEngine, temporaryFolder } from '../support/engine.ts';

const folder = temporaryFolder();
const database = join(folder.path, 'never.db');
afterAll(() => {
  folder.dispose();
});

it.each<[string, object]>([
  ['an option that it does not know', { keper: true }],
  ['a text for a switch', { keeper: 'false' }],
  ['an empty path', { database: '' }],
  ['a list for drivers', { drivers: [] }],
  ['drivers that are no list', { drivers: () => 'oauth3' }],
  ['a driver that lacks a method', { drivers: () => [{ protocol: 'half' }] }],
  ['a driver without a name', { drivers: () => [{ protocol: 'No Word' }] }],
  ['a second driver for one protocol', { drivers: (ports: Ports) => [new OAuth2Driver(ports)] }],
  ['an outbound switch that is a text', { outbound: { allowPrivateNetworks: 'false' } }],
  ['budgets that are no list', { budgets: { endpoint: 'host', requests: 1, perMs: 1 } }],
  ['a budget of no requests', { budgets: [{ endpoint: 'host', requests: 0, perMs: 1 }] }],
  ["SQLite's own name for memory", { database: ':memory:' }],
])('refuses %s as misuse and touches no file', async (_sentence, change) => {
  const options = { database, masterKey: MASTER_KEY, ...change } as EngineOptions;
  await expect(CredentialEngine.open(options)).rejects.toThrow(TypeError);
  expect(existsSync(database)).toBe(false);
});

it.each<[string, EngineOptions['masterKey']]>([
  ['a short key', Buffer.alloc(31)],
  ['a short key in a holder', Secret.of(Buffer.alloc(31))],
  ['an empty passphrase', { passphrase: ' ' }],
])('refuses %s before it makes a file', async (_sentence, masterKey) => {
  await expect(CredentialEngine.open({ database, masterKey })).rejects.toMatchObject({
    code: 'ERR_CONFIG_MASTER_KEY_MALFORMED',
  });
  expect(existsSync(database)).toBe(false);
});

it.each<[string, unknown]>([
  ['text', 'canary-master-key-of-somebody-12'],
  ['a number', 42],
  ['nothing', undefined],
  ['null', null],
  ['another kind of bytes', new Uint8Array(32)],
])('refuses %s as a key without quoting it', async (_sentence, masterKey) => {
  const opening = CredentialEngine.open({ database, masterKey: masterKey as Buffer });
  const error = await rejectionOf(opening);
  expect(error).toMatchObject({ code: 'ERR_CONFIG_MASTER_KEY_MALFORMED' });
  expect(inspect(error, { depth: Infinity })).not.toContain('canary');
});

it.each<[string, object]>([
  ['a member that it does not know', { onwerId: 'me' }],
  ['a missing name', { name: undefined }],
  ['a text for tags', { tags: 'a' }],
])('refuses a registration with %s and stores nothing', async (_sentence, change) => {
  const engine = await openEngine(folder.path);
  const input = { protocol: 'oauth2', name: 'x', config: {}, secret: {}, ...change };
  await expect(engine.register(input as Parameters<CredentialEngine['register']>[0])).rejects.toMatchObject({
    code: 'ERR_CONFIG_MALFORMED',
  });
  expect((await engine.list()).credentials).toEqual([]);
  await engine.close();
});

it("leaves another program's database as it is", async () => {
  const path = join(folder.path, 'foreign.db');
  const foreign = new Database(path);
  foreign.exec('CREATE TABLE users (id INTEGER)');
  foreign.close();
  await expect(CredentialEngine.open({ database: path, masterKey: MASTER_KEY })).rejects.toMatchObject({
    code: 'ERR_STORE_FOREIGN',
  });
  const after = new Database(path);
  const tables = after.prepare('SELECT name FROM sqlite_schema').pluck().all();
  expect([tables, after.pragma('journal_mode', { simple: true })]).toEqual([['users'], 'delete']);
  after.close();
});
