import { hkdfSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { n8nDefaults } from '../../src/n8n/instance.ts';

let userFolder: string;

beforeEach(() => {
  userFolder = mkdtempSync(join(tmpdir(), 'credlife-instance-'));
  mkdirSync(join(userFolder, '.n8n'));
});
afterEach(() => {
  rmSync(userFolder, { recursive: true });
});

function writeSettings(text: string): void {
  writeFileSync(join(userFolder, '.n8n', 'config'), text);
}

function masterKey(env: Record<string, string>, folder?: string): string | null {
  return n8nDefaults(env, folder).masterKey()?.unwrap().toString('hex') ?? null;
}

function derived(encryptionKey: string): string {
  return Buffer.from(hkdfSync('sha256', encryptionKey, '', 'credential-lifecycle/master-key/v1', 32)).toString('hex');
}

describe("n8n's folder", () => {
  it('is .n8n in N8N_USER_FOLDER', () => {
    const { database } = n8nDefaults({ N8N_USER_FOLDER: '/data', HOME: '/home/node' });
    expect(database).toBe(join('/data', '.n8n', 'credential-lifecycle', 'credentials.db'));
  });

  it('is .n8n in the home folder otherwise', () => {
    const { database } = n8nDefaults({ HOME: '/home/node', USERPROFILE: '/home/node' });
    expect(database).toBe(join('/home/node', '.n8n', 'credential-lifecycle', 'credentials.db'));
  });

  it('may be named by itself or by its parent', () => {
    const expected = join(userFolder, '.n8n', 'credential-lifecycle', 'credentials.db');
    expect(n8nDefaults({}, userFolder).database).toBe(expected);
    expect(n8nDefaults({}, join(userFolder, '.n8n')).database).toBe(expected);
  });
});

describe('the master key', () => {
  it('has a known value for a known encryption key, which no later version may change', () => {
    writeSettings('{"encryptionKey":"an encryption key of n8n"}');
    expect(masterKey({}, userFolder)).toBe('240c5463137fe6765836426cf41c3f81336f4d7efdaf12e53e0827e76c285068');
  });

  it("comes from n8n's settings file, also when the environment belongs to another instance", () => {
    writeSettings('{"encryptionKey":"of this instance"}');
    expect(masterKey({ N8N_ENCRYPTION_KEY: 'of another one' }, userFolder)).toBe(derived('of this instance'));
  });

  it.each([
    ['as it is', 'key from env', 'key from env'],
    ['without the spaces and quotes that n8n takes away', ' "key from env"\n', 'key from env'],
  ])('comes from N8N_ENCRYPTION_KEY %s when there is no settings file', (_how, value, key) => {
    expect(masterKey({ N8N_ENCRYPTION_KEY: value }, userFolder)).toBe(derived(key));
  });

  it('comes from N8N_ENCRYPTION_KEY_FILE otherwise', () => {
    const file = join(userFolder, 'key');
    writeFileSync(file, 'key from file\n');
    expect(masterKey({ N8N_ENCRYPTION_KEY_FILE: file }, userFolder)).toBe(derived('key from file'));
  });

  it('is unknown when n8n has none', () => {
    expect(masterKey({}, userFolder)).toBeNull();
    writeSettings('{}');
    expect(masterKey({}, userFolder)).toBeNull();
  });

  it.each(['{"encryptionKey":', ''])(
    'cannot come from a damaged settings file (%p), and the error does not quote it',
    (text) => {
      writeSettings(text);
      expect(() => masterKey({}, userFolder)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_FILE_UNREADABLE' }));
    },
  );

  it('cannot come from a key file that is not there', () => {
    const env = { N8N_ENCRYPTION_KEY_FILE: join(userFolder, 'missing') };
    expect(() => masterKey(env, userFolder)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_FILE_UNREADABLE' }));
  });
});
