import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseMasterKey, readSettings } from '../src/settings.ts';
import { codeOf } from './support/codes.ts';
import { temporaryFolder } from './support/engine.ts';

const HEX = 'ab'.repeat(32);
const BASE64 = Buffer.alloc(32, 3).toString('base64');
const folder = temporaryFolder();
const database = join(folder.path, 'credentials.db');
afterAll(() => {
  folder.dispose();
});

function fileWith(name: string, text: string, mode = 0o600): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

function keyOf(env: Record<string, string>, masterKey?: () => Buffer | null): unknown {
  const key = readSettings(env, { database, ...(masterKey && { masterKey }) }).masterKey;
  if (Buffer.isBuffer(key)) return key.toString('hex');
  if ('passphrase' in key)
    return `passphrase ${typeof key.passphrase === 'string' ? key.passphrase : key.passphrase.unwrap()}`;
  return key.unwrap().toString('hex');
}

it.each<[string, () => unknown, string]>([
  ['hexadecimal text', () => keyOf({ CREDLIFE_MASTER_KEY: HEX }), HEX],
  ['base64 text', () => keyOf({ CREDLIFE_MASTER_KEY: BASE64 }), '03'.repeat(32)],
  ['a file', () => keyOf({ CREDLIFE_MASTER_KEY_FILE: fileWith('key', `${HEX}\n`) }), HEX],
  [
    'a passphrase file',
    () => keyOf({ CREDLIFE_PASSPHRASE_FILE: fileWith('pass', 'correct horse\n') }),
    'passphrase correct horse',
  ],
  ["the host's own key", () => keyOf({}, () => Buffer.alloc(32, 9)), '09'.repeat(32)],
  ['the variable before all others', () => keyOf({ CREDLIFE_MASTER_KEY: HEX }, () => Buffer.alloc(32, 9)), HEX],
])('takes the master key from %s', (_sentence, read, expected) => {
  expect(read()).toBe(expected);
});

it('takes budgets from a list, and refuses what is none', () => {
  const env = { CREDLIFE_MASTER_KEY: HEX };
  const read = (budgets: object) => readSettings({ ...env, ...budgets }, { database: 'x' }).engineOptions.budgets;
  expect(read({})).toBeUndefined();
  const budgets = [{ endpoint: 'accounts.zoho.com', requests: 5, perMs: 60_000 }];
  expect(read({ CREDLIFE_BUDGETS: 'accounts.zoho.com=5/60' })).toEqual(budgets);
  expect(codeOf(() => read({ CREDLIFE_BUDGETS: 'five' }))).toBe('ERR_CONFIG_MALFORMED');
});

it.each<[string, string, () => unknown]>([
  ['no key anywhere', 'ERR_CONFIG_MASTER_KEY_MISSING', () => keyOf({})],
  ['a host without a key', 'ERR_CONFIG_MASTER_KEY_MISSING', () => keyOf({}, () => null)],
  ['a short key', 'ERR_CONFIG_MASTER_KEY_MALFORMED', () => keyOf({ CREDLIFE_MASTER_KEY: 'abcd' })],
  [
    'a passphrase in the place of a key',
    'ERR_CONFIG_MASTER_KEY_MALFORMED',
    () => keyOf({ CREDLIFE_MASTER_KEY: 'correct horse battery' }),
  ],
  [
    'an empty passphrase',
    'ERR_CONFIG_MASTER_KEY_MALFORMED',
    () => keyOf({ CREDLIFE_PASSPHRASE_FILE: fileWith('empty', ' \n') }),
  ],
  [
    'a missing file',
    'ERR_CONFIG_FILE_UNREADABLE',
    () => keyOf({ CREDLIFE_MASTER_KEY_FILE: join(folder.path, 'none') }),
  ],
  [
    'a key file for everybody',
    'ERR_CONFIG_FILE_UNREADABLE',
    () => keyOf({ CREDLIFE_MASTER_KEY_FILE: fileWith('open', HEX, 0o644) }),
  ],
  ['an unknown keeper', 'ERR_CONFIG_MALFORMED', () => keyOf({ CREDLIFE_MASTER_KEY: HEX, CREDLIFE_KEEPER: 'yes' })],
  [
    'an unknown log level',
    'ERR_CONFIG_MALFORMED',
    () => keyOf({ CREDLIFE_MASTER_KEY: HEX, CREDLIFE_LOG_LEVEL: 'loud' }),
  ],
])('refuses %s', (_sentence, code, read) => {
  expect(codeOf(read)).toBe(code);
});

it('finds master.key beside the database last', () => {
  fileWith('master.key', BASE64);
  expect(keyOf({})).toBe('03'.repeat(32));
});

it('takes the database from the environment before the default', () => {
  expect(readSettings({ CREDLIFE_MASTER_KEY: HEX }, { database }).database).toBe(database);
  expect(readSettings({ CREDLIFE_MASTER_KEY: HEX, CREDLIFE_DATABASE: 'memory' }, { database }).database).toBe('memory');
});

it('never quotes a malformed key', () => {
  expect(() => parseMasterKey('canary-key', 'CREDLIFE_MASTER_KEY')).toThrow(/^(?!.*canary).*CREDLIFE_MASTER_KEY/);
});

it('never quotes the password of a database URL', () => {
  const database = 'postgres://app:canary-password@db.example:5432/app';
  const read = (): unknown => readSettings({ CREDLIFE_DATABASE: database }, { database: 'unused' });
  expect(read).toThrow('db.example:5432/app');
  expect(read).not.toThrow('canary-password');
});

it('takes an empty variable for none, but never an empty key for the next one', () => {
  const names = ['DATABASE', 'KEEPER', 'LOG_LEVEL', 'ANCHOR_FILE', 'BUDGETS', 'INSPECT'];
  const empty = Object.fromEntries(names.map((name) => [`CREDLIFE_${name}`, '']));
  const settings = readSettings({ ...empty, CREDLIFE_MASTER_KEY: HEX }, { database });
  expect(settings).toMatchObject({ database, keeper: 'auto', logLevel: 'error', inspect: null });
  expect(Object.keys(settings.engineOptions).sort()).toEqual(['database', 'masterKey']);
  const own = { database, masterKey: () => Buffer.alloc(32, 9) };
  for (const name of ['CREDLIFE_MASTER_KEY', 'CREDLIFE_MASTER_KEY_FILE', 'CREDLIFE_PASSPHRASE_FILE']) {
    expect(codeOf(() => readSettings({ [name]: '' }, own))).toMatch(/^ERR_CONFIG_/);
  }
});

describe('the n8n that is watched', () => {
  const base = { CREDLIFE_MASTER_KEY: HEX };
  const both = { CREDLIFE_N8N_URL: 'https://n8n.example/', CREDLIFE_N8N_API_KEY_FILE: '/nowhere/key' };

  it('is none where nothing is set', () => {
    expect(readSettings(base, { database }).engineOptions.n8n).toBeUndefined();
  });

  it('has an address without a slash, and a key that is read when it is needed', () => {
    const { n8n } = readSettings({ ...base, ...both }, { database }).engineOptions;
    expect(n8n?.url).toBe('https://n8n.example');
    expect(codeOf(() => n8n?.apiKey())).toBe('ERR_CONFIG_FILE_UNREADABLE');
  });

  it.each([
    { CREDLIFE_N8N_URL: both.CREDLIFE_N8N_URL },
    { CREDLIFE_N8N_API_KEY_FILE: both.CREDLIFE_N8N_API_KEY_FILE },
    { ...both, CREDLIFE_N8N_URL: 'http://n8n.example' },
    { ...both, CREDLIFE_N8N_URL: 'https://user:password@n8n.example' },
    { ...both, CREDLIFE_N8N_URL: 'n8n.example' },
    { ...both, CREDLIFE_N8N_ALLOW_INSECURE_TRANSPORT: 'yes' },
  ])('is refused as %j', (env) => {
    expect(codeOf(() => readSettings({ ...base, ...env }, { database }))).toBe('ERR_CONFIG_MALFORMED');
  });

  it('may be at http:// on another machine when that is said', () => {
    const env = {
      ...base,
      ...both,
      CREDLIFE_N8N_URL: 'http://n8n:5678',
      CREDLIFE_N8N_ALLOW_INSECURE_TRANSPORT: 'true',
    };
    expect(readSettings(env, { database }).engineOptions.n8n?.url).toBe('http://n8n:5678');
  });

  it.each(['', 'short', 'two words of a key', 'with-a-control\u0007-character'])('has no key %j', (key) => {
    const file = fileWith('n8n-key', key);
    const { n8n } = readSettings({ ...base, ...both, CREDLIFE_N8N_API_KEY_FILE: file }, { database }).engineOptions;
    expect(codeOf(() => n8n?.apiKey())).toBe('ERR_CONFIG_MALFORMED');
  });
});
