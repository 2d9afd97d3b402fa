import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { CredentialEngine } from '../../src/engine.ts';
import { isCredentialError } from '../../src/errors.ts';
import { MASTER_KEY, openEngine, temporaryFolder } from '../support/engine.ts';
import { openDatabase } from './support/database.ts';
import { Endpoint, endpointEntry, tokens } from './support/endpoint.ts';

const CANARY = 'canary-7f3a-do-not-show';
const CANARY_KEY = Buffer.from(CANARY.padEnd(32, '!'));

let endpoint: Endpoint;
let folder: ReturnType<typeof temporaryFolder>;

beforeEach(async () => {
  folder = temporaryFolder();
  endpoint = await Endpoint.start(tokens());
});

afterEach(async () => {
  await endpoint.stop();
  folder.dispose();
});

/** The error, after judging that it is one of ours, in one clean line, with nothing secret anywhere in it. */
async function errorOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => new Error('It was accepted.'),
    (caught: unknown) => caught,
  );
  if (!isCredentialError(error)) throw error;
  expect(error.message).toMatch(/^[\x20-\x7e]{10,300}$/);
  const shown = [inspect(error, { depth: Infinity, showHidden: true }), JSON.stringify(error), error.describe()].join();
  expect(shown).not.toContain(CANARY);
  expect(shown).not.toContain(CANARY_KEY.toString('hex'));
  return error.code;
}

describe('the master key', () => {
  const KEYS = {
    raw: MASTER_KEY,
    'another raw key': CANARY_KEY,
    passphrase: { passphrase: 'correct horse' },
    'another passphrase': { passphrase: CANARY },
  };
  test.each([
    ['raw', 'another raw key'],
    ['raw', 'passphrase'],
    ['passphrase', 'another passphrase'],
    ['passphrase', 'raw'],
  ] as const)('a database of the key "%s" is closed to "%s", and unharmed', async (right, wrong) => {
    const engine = await openEngine(folder.path, { masterKey: KEYS[right] });
    const { id } = await engine.register(endpointEntry(endpoint));
    await engine.close();
    const before = readFileSync(join(folder.path, 'credentials.db'));
    expect(await errorOf(openEngine(folder.path, { masterKey: KEYS[wrong] }))).toBe('ERR_KEYRING_MASTER_KEY_MISMATCH');
    expect(readFileSync(join(folder.path, 'credentials.db')).equals(before)).toBe(true);
    const again = await openEngine(folder.path, { masterKey: KEYS[right] });
    expect((await again.use(id)).generation).toBe(1);
    await again.close();
  });
});

describe('the database', () => {
  const PLACES: [string, string, (path: string) => void][] = [
    ['in a folder that is missing', 'ERR_STORE_UNAVAILABLE', () => undefined],
    ['that is a folder', 'ERR_STORE_UNAVAILABLE', (path) => mkdirSync(path, { recursive: true })],
    ['that is text', 'ERR_STORE_CORRUPT', writeText],
    ['that is of a newer version', 'ERR_STORE_SCHEMA_TOO_NEW', writeNewer],
  ];
  test.each(PLACES)('one %s gives %s and stays as it is', async (_, code, prepare) => {
    const path = join(folder.path, 'sub', 'credentials.db');
    prepare(path);
    expect(await errorOf(CredentialEngine.open({ database: path, masterKey: MASTER_KEY }))).toBe(code);
  });

  function writeText(path: string): void {
    mkdirSync(join(path, '..'));
    writeFileSync(path, 'this is no database. '.repeat(500));
  }

  function writeNewer(path: string): void {
    mkdirSync(join(path, '..'));
    const database = openDatabase(join(path, '..'));
    database.execute('CREATE TABLE of_the_future (id)');
    database.execute('PRAGMA application_id = 0x63726c66');
    database.execute('PRAGMA user_version = 99');
    database.close();
  }

  test('a file with damaged pages gives an error with a code', async () => {
    const engine = await openEngine(folder.path);
    for (let count = 0; count < 20; count += 1) await engine.register({ ...endpointEntry(endpoint), test: false });
    await engine.close();
    const path = join(folder.path, 'credentials.db');
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xa5, 4096));
    expect(await errorOf(openEngine(folder.path).then((damaged) => damaged.list()))).toBe('ERR_STORE_CORRUPT');
  });

  test('is readable by its owner only', async () => {
    const engine = await openEngine(folder.path);
    const { mode } = statSync(join(folder.path, 'credentials.db'));
    expect(mode & 0o077).toBe(0);
    await engine.close();
  });
});

describe('one bad row', () => {
  test('F21 a credential whose sealed value was altered is unreadable alone', async () => {
    const engine = await openEngine(folder.path);
    const { id } = await engine.register(endpointEntry(endpoint));
    const { id: healthy } = await engine.register(endpointEntry(endpoint));
    const database = openDatabase(folder.path);
    database.execute(`UPDATE secrets SET envelope = zeroblob(200) WHERE credential_id = ?`, id);
    expect(await errorOf(engine.use(id))).toBe('ERR_KEYRING_ENVELOPE_MALFORMED');
    expect((await engine.use(healthy)).generation).toBe(1);
    expect((await engine.list()).credentials).toHaveLength(2);
    database.close();
    await engine.close();
  });

  test('F21 a sealed value of another credential does not open', async () => {
    const engine = await openEngine(folder.path);
    const { id } = await engine.register(endpointEntry(endpoint));
    const { id: other } = await engine.register(endpointEntry(endpoint));
    const database = openDatabase(folder.path);
    const stolen = `(SELECT envelope FROM secrets WHERE credential_id = ? AND field = 'grant')`;
    database.execute(`UPDATE secrets SET envelope = ${stolen} WHERE credential_id = ? AND field = 'grant'`, other, id);
    expect(await errorOf(engine.use(id))).toBe('ERR_KEYRING_AUTHENTICATION_FAILED');
    database.close();
    await engine.close();
  });

  test.each([
    ['a sealed value that does not open', `UPDATE secrets SET envelope = zeroblob(200)`],
    ['a record that is not valid', `UPDATE records SET record = '{}'`],
    [
      'a disk that takes no write',
      `CREATE TRIGGER full BEFORE UPDATE OF record ON records BEGIN SELECT RAISE(ABORT, 'full'); END`,
    ],
  ])('%s does not make a keeper spin', async (_, damage) => {
    endpoint.answer = tokens({ expires_in: 1 });
    const lines: string[] = [];
    const log = (fields: object, message: string): number => lines.push(`${JSON.stringify(fields)} ${message}`);
    const logger = { debug: log, info: log, warn: log, error: log };
    const engine = await openEngine(folder.path, { keeper: true, ports: { logger } });
    await engine.register(endpointEntry(endpoint));
    const requests = endpoint.requests.length;
    const database = openDatabase(folder.path);
    database.execute(damage);
    await new Promise((resolve) => setTimeout(resolve, 1_800));
    expect(lines.length).toBeLessThanOrEqual(3);
    expect(endpoint.requests.length - requests).toBeLessThanOrEqual(1);
    database.close();
    await engine.close();
  });
});

test.each(['unknown', '', '__proto__', 'constructor', `cr_${'x'.repeat(100_000)}`, "' OR 1=1 --", 'a\u0000b\n'])(
  'the unknown id %j gives one answer to every verb',
  async (id) => {
    const engine = await openEngine(folder.path);
    const verbs = [engine.use(id), engine.get(id), engine.test(id), engine.refresh(id), engine.revoke(id)];
    for (const verb of [...verbs, engine.reportRejected(id, 1), engine.grant(id, { scopes: ['use'] })]) {
      expect(await errorOf(verb)).toBe('ERR_CREDENTIAL_NOT_FOUND');
    }
    await engine.close();
  },
);
