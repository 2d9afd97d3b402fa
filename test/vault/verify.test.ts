import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { FileAnchor } from '../../src/vault/anchor.ts';
import { rejectionOf } from '../support/codes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { openTestVault, type TestVault } from '../support/vault.ts';

// Every write waits for the disk.
jest.setTimeout(60_000);

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
let one: TestVault;

beforeEach(async () => {
  folder = temporaryFolder();
  path = join(folder.path, 'c.db');
  one = await openTestVault({ path });
});
afterEach(async () => {
  await one.close();
  folder.dispose();
});

/** What somebody does who can write to the file but has no key. */
function tamper(sql: string, ...parameters: unknown[]): void {
  const db = new Database(path);
  db.prepare(sql).run(...parameters);
  db.close();
}

function rowsOf(table: string, where: string): Record<string, unknown>[] {
  const db = new Database(path);
  const rows = db.prepare<[], Record<string, unknown>>(`SELECT * FROM ${table} WHERE ${where}`).all();
  db.close();
  return rows;
}

function putBack(table: string, rows: Record<string, unknown>[]): void {
  for (const row of rows) {
    const columns = Object.keys(row);
    const values = columns.map(() => '?').join(', ');
    tamper(`INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${values})`, ...Object.values(row));
  }
}

describe('a ciphertext that was exchanged', () => {
  const swap = (column: string, first: string, second: string): void => {
    const db = new Database(path);
    const read = db.prepare<[], Buffer>(`SELECT envelope FROM secrets WHERE ${column} = '${first}'`).pluck();
    const [one_, two] = [
      read.get(),
      db.prepare<[], Buffer>(`SELECT envelope FROM secrets WHERE ${column} = '${second}'`).pluck().get(),
    ];
    db.prepare(`UPDATE secrets SET envelope = ? WHERE ${column} = '${first}'`).run(two);
    db.prepare(`UPDATE secrets SET envelope = ? WHERE ${column} = '${second}'`).run(one_);
    db.close();
  };
  const refused = { code: 'ERR_KEYRING_AUTHENTICATION_FAILED' };

  it('between two records is refused by both', async () => {
    await one.register('a');
    await one.register('b');
    swap('credential_id', 'a', 'b');
    await expect(one.read('a')).rejects.toMatchObject(refused);
    await expect(one.read('b')).rejects.toMatchObject(refused);
    expect((await one.keys.verify()).unreadable.map(({ credentialId }) => credentialId)).toEqual(['a', 'b']);
  });

  it('between two owners is refused, even when the owner of the record is changed with it', async () => {
    await one.register('a', { clientSecret: 'x' }, 'alice');
    tamper(`UPDATE records SET record = json_set(record, '$.ownerId', 'mallory'), owner_id = 'mallory'`);
    await expect(one.read('a')).rejects.toMatchObject(refused);
    expect((await one.keys.verify()).seal).toBe('rolledBack');
  });

  it('between two fields of one record is refused by both', async () => {
    await one.register('a');
    await one.commitGrant('a', 'token');
    swap('field', 'registered', 'grant');
    expect((await one.keys.verify()).unreadable.map(({ field }) => field)).toEqual(['grant', 'registered']);
  });

  it('between two generations is refused by both', async () => {
    await one.register('a');
    await one.commitGrant('a', 'first');
    await one.commitGrant('a', 'second');
    swap('generation', '1', '2');
    expect((await one.keys.verify()).unreadable.map(({ generation }) => generation)).toEqual([1, 2]);
  });
});

describe('a roll-back', () => {
  beforeEach(async () => {
    for (const id of ['a', 'b', 'c']) await one.register(id);
    await one.commitGrant('a', 'first');
  });

  it('of a secret row alone is refused at once', async () => {
    const [old] = rowsOf('secrets', `credential_id = 'a' AND generation = 1`);
    const { grant } = await one.commitGrant('a', 'second');
    tamper(`UPDATE secrets SET envelope = ? WHERE generation = 2`, old?.['envelope']);
    expect(grant?.generation).toBe(2);
    await expect(one.read('a')).rejects.toMatchObject({ code: 'ERR_KEYRING_AUTHENTICATION_FAILED' });
  });

  it('of record and secrets together opens, and is found by the seal of the store', async () => {
    const [records, secrets] = [rowsOf('records', `id = 'a'`), rowsOf('secrets', `credential_id = 'a'`)];
    await one.commitGrant('a', 'second');
    expect((await one.keys.verify()).seal).toBe('intact');
    tamper(`DELETE FROM secrets WHERE credential_id = 'a'`);
    putBack('records', records);
    putBack('secrets', secrets);
    expect(await one.read('a')).toMatchObject([{}, { grant: { accessToken: 'first' } }]);
    expect(await one.keys.verify()).toMatchObject({ unreadable: [], seal: 'rolledBack' });
  });

  it.each<[string, () => void]>([
    [
      'a record that was taken out',
      () => {
        tamper(`DELETE FROM records WHERE id = 'b'`);
      },
    ],
    [
      'a record that was put in',
      () => {
        const [row] = rowsOf('records', `id = 'b'`);
        putBack('records', [{ ...row, id: 'd', record: String(row?.['record']).replace('"id":"b"', '"id":"d"') }]);
      },
    ],
    [
      'a seal that was removed',
      () => {
        tamper(`DELETE FROM meta WHERE name = 'seal'`);
      },
    ],
    [
      'a seal that was altered',
      () => {
        tamper(`UPDATE meta SET value = substr(value, 1, 40) || 'AAAA' || substr(value, 45) WHERE name = 'seal'`);
      },
    ],
  ])('finds %s', async (_sentence, attack) => {
    attack();
    expect((await one.keys.verify()).seal).toBe('rolledBack');
    // Writes that follow do not cover it up.
    await one.commitGrant('c', 'later');
    expect((await one.keys.verify()).seal).toBe('rolledBack');
  });

  it('of a revocation is found: the state of being revoked is sealed as well', async () => {
    const rows = rowsOf('records', `id = 'b'`);
    const record = await one.record('b');
    const next = { ...record, state: 'revoked.byUser', revision: record.revision + 1 } as const;
    expect(await one.stores.records.compareAndSet({ record: next, expectedRevision: record.revision })).toBe(true);
    expect((await one.keys.verify()).seal).toBe('intact');
    putBack('records', rows);
    expect((await one.keys.verify()).seal).toBe('rolledBack');
  });

  it('of the seal, with the records as they are, is found', async () => {
    const seal = rowsOf('meta', `name = 'seal'`);
    await one.commitGrant('b', 'token');
    putBack('meta', seal);
    expect((await one.keys.verify()).seal).toBe('rolledBack');
  });

  it('of the whole file looks intact to the file itself, and is refused by an anchor', async () => {
    const anchor = new FileAnchor(join(folder.path, 'elsewhere'));
    await one.close();
    copyFileSync(path, join(folder.path, 'old'));
    one = await openTestVault({ path, anchor });
    await one.commitGrant('a', 'second');
    await one.close();
    copyFileSync(join(folder.path, 'old'), path);
    one = await openTestVault({ path });
    expect((await one.keys.verify()).seal).toBe('intact');
    await expect(openTestVault({ path, anchor })).rejects.toMatchObject({ code: 'ERR_STORE_ROLLED_BACK' });
    const accepted = await openTestVault({ path, anchor, acceptOlderStore: true });
    await accepted.close();
    await (await openTestVault({ path, anchor })).close();
  });
});

describe('an anchor', () => {
  it('lets the store grow, by several processes, and never goes back', async () => {
    const anchor = new FileAnchor(join(folder.path, 'elsewhere'));
    const [first, second] = [await openTestVault({ path, anchor }), await openTestVault({ path, anchor })];
    await first.register('a');
    await second.register('b');
    await second.keys.anchor();
    await first.keys.anchor();
    await Promise.all([first.close(), second.close()]);
    await (await openTestVault({ path, anchor })).close();
    expect((await one.keys.status()).sealSequence).toBe(2);
  });

  it.each([
    ['nonsense', 'nonsense'],
    ['a smaller number', '{"ringId":"RING","sequence":0,"mac":"00"}'],
  ])('that holds %s is refused, not believed', async (_sentence, text) => {
    const anchor = new FileAnchor(join(folder.path, 'elsewhere'));
    await one.register('a');
    await anchor.write(text.replace('RING', (await one.keys.status()).ringId));
    await expect(openTestVault({ path, anchor })).rejects.toMatchObject({ code: 'ERR_STORE_ROLLED_BACK' });
  });

  it('of another store refuses this one', async () => {
    const anchor = new FileAnchor(join(folder.path, 'elsewhere'));
    const stranger = await openTestVault({ anchor });
    await stranger.register('a');
    await stranger.close();
    await expect(openTestVault({ path, anchor })).rejects.toMatchObject({ code: 'ERR_STORE_ROLLED_BACK' });
  });

  it('that cannot be read is one clear error', async () => {
    const failure = await rejectionOf(openTestVault({ path, anchor: new FileAnchor(folder.path) }));
    expect(failure).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  });
});

it('lists what is missing or damaged by id and opens everything else', async () => {
  for (const id of ['a', 'b', 'c', 'd']) await one.register(id);
  await one.commitGrant('d', 'token');
  tamper(`DELETE FROM secrets WHERE credential_id = 'b'`);
  tamper(`UPDATE secrets SET envelope = substr(envelope, 1, 70) WHERE credential_id = 'c'`);
  const { activeKeyId } = await one.keys.status();
  expect(await one.keys.verify()).toMatchObject({
    records: 4,
    values: 4,
    unreadable: [
      { credentialId: 'b', code: 'ERR_CREDENTIAL_UNREADABLE', referenced: true },
      { credentialId: 'c', code: 'ERR_KEYRING_ENVELOPE_MALFORMED', referenced: true },
    ],
    valuesByKey: { [activeKeyId]: 3 },
    suspects: [],
  });
});

it('names a record that cannot be read and goes on to the others, and so does re-encryption', async () => {
  for (const id of ['a', 'b', 'c']) await one.register(id);
  tamper(`UPDATE records SET record = '{' WHERE id = 'b'`);
  const verification = await one.keys.verify();
  expect(verification).toMatchObject({ records: 3, values: 2, seal: 'rolledBack' });
  expect(verification.unreadable).toEqual([
    { credentialId: 'b', field: 'record', generation: null, code: 'ERR_STORE_RECORD_INVALID', referenced: true },
  ]);
  await one.keys.rotate();
  expect(await one.keys.reEncrypt()).toMatchObject({
    reEncrypted: 2,
    left: [{ credentialId: 'b', reason: 'unreadable' }],
  });
});
