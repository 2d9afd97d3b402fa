import { join } from 'node:path';
import { inspect } from 'node:util';
import { CredentialEngine } from '../../src/engine.ts';
import type { Fetch, Logger } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { restoreBackup } from '../../src/storage/restore.ts';
import { FileAnchor } from '../../src/vault/anchor.ts';
import { disguisesOf, filesBelow, findCanaries, newCanary } from '../support/canaries.ts';
import { temporaryFolder } from '../support/folder.ts';

jest.setTimeout(60_000);

const CREDENTIALS = 6;
const folder = temporaryFolder();
const database = join(folder.path, 'credentials.db');
const canaries: string[] = [];
const logged: string[] = [];
/** Every file of the folder, as it was after each step: what a step removes again was on the disk too. */
const seen = new Map<string, Buffer>();

afterAll(() => {
  folder.dispose();
});

function plant(): string {
  const canary = newCanary();
  canaries.push(canary);
  return canary;
}

const log = (fields: object, message: string): void => {
  logged.push(inspect([fields, message], { depth: Infinity }));
};
const logger: Logger = { debug: log, info: log, warn: log, error: log };
/** A token endpoint each of whose tokens is a canary. */
const fetch: Fetch = async () =>
  Response.json({ access_token: plant(), refresh_token: plant(), token_type: 'Bearer', expires_in: 3600 });

function open(masterKey: { passphrase: Secret<string> }): Promise<CredentialEngine> {
  const anchor = new FileAnchor(join(folder.path, 'anchor'));
  return CredentialEngine.open({ database, masterKey, anchor, ports: { fetch, logger } });
}

function look(step: string): void {
  for (const [name, bytes] of filesBelow(folder.path)) seen.set(`${name} after ${step}`, bytes);
}

function entryWith(name: string) {
  return {
    protocol: 'oauth2',
    name,
    config: {
      tokenEndpoint: 'https://as.example/token',
      grantType: 'refresh_token',
      clientId: 'c',
    },
    secret: { clientSecret: plant(), refreshToken: plant() },
    test: false,
  };
}

it('finds a canary in every disguise, or the search below would show nothing', () => {
  const canary = newCanary();
  for (const [disguise, needle] of disguisesOf(canary)) {
    const haystack = Buffer.concat([Buffer.from('before'), needle, Buffer.from('after')]);
    expect(findCanaries([canary], new Map([[disguise, haystack]]))).not.toEqual([]);
  }
});

it('lets no secret reach a file or a log through the whole life of a store', async () => {
  const [first, second] = [Secret.of(plant()), Secret.of(plant())];
  let engine = await open({ passphrase: first });
  const ids: string[] = [];
  for (let index = 0; index < CREDENTIALS; index += 1) {
    ids.push((await engine.register(entryWith(`Credential ${String(index)}`))).id);
  }
  look('registration');
  for (const id of ids) await engine.refresh(id);
  look('a refresh');
  await engine.keys.rotate();
  await engine.keys.reEncrypt({
    onProgress: () => {
      look('a part of re-encryption');
    },
  });
  look('re-encryption');
  await engine.backup(join(folder.path, 'backup.db'));
  look('a backup');
  await engine.keys.changeMasterKey({ passphrase: second });
  expect((await engine.keys.verify()).unreadable).toEqual([]);
  canaries.push((await engine.grant(null, { scopes: ['use'] })).accessKey);
  await engine.close();
  look('the end');
  await expect(open({ passphrase: first })).rejects.toMatchObject({ code: 'ERR_KEYRING_MASTER_KEY_MISMATCH' });
  restoreBackup({ from: join(folder.path, 'backup.db'), to: database, force: true });
  look('a restore');
  const anchor = new FileAnchor(join(folder.path, 'anchor'));
  engine = await CredentialEngine.open({
    database,
    masterKey: { passphrase: first },
    anchor,
    acceptOlderStore: true,
    ports: { fetch, logger },
  });
  for (const id of ids) await engine.use(id);
  await engine.close();
  look('use of what was restored');

  expect(canaries.length).toBeGreaterThanOrEqual(20);
  // The anchor is written under a name of its own and then put in place: a look may fall in between.
  const places = [...seen.keys()].map((place) =>
    place
      .replace(/ after .*/, '')
      .replace(/^anchor\.\d+$/, 'anchor')
      .replace(/-holder-[0-9a-f]{16}$/, '-holder'),
  );
  expect(new Set(places)).toEqual(
    new Set([
      'anchor',
      'backup.db',
      'credentials.db',
      'credentials.db-holder',
      'credentials.db-shm',
      'credentials.db-wal',
      'credentials.db.replaced',
    ]),
  );
  expect(findCanaries(canaries, seen)).toEqual([]);
  expect(findCanaries(canaries, new Map([['log', Buffer.from(logged.join('\n'))]]))).toEqual([]);
});
