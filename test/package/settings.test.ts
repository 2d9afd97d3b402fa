import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CredentialEngine } from '../../src/engine.ts';
import { PackageHost, type Step } from './package-host.ts';

const COMMANDS = ['start', 'worker', 'webhook', 'execute'] as const;
type Command = (typeof COMMANDS)[number];

const KEY = 'ab'.repeat(32);
/** Nobody listens there: the credential is adopted all the same, and stays pending. */
const VALUES = {
  grantType: 'client_credentials',
  endpointSource: 'tokenEndpoint',
  tokenEndpoint: 'http://127.0.0.1:9/token',
  clientId: 'a-client',
  clientSecret: 'its secret',
  clientAuthentication: 'client_secret_basic',
  advanced: true,
  allowInsecureTransport: true,
  generationMarker: '',
};
const USE: Step = { do: 'requests', type: 'lifecycleOAuth2Api', values: VALUES, count: 1 };

// n8n's loader alone takes seconds on a busy machine.
jest.setTimeout(60_000);

let host: PackageHost;
let database: string;

beforeEach(() => {
  host = new PackageHost();
  database = join(host.userFolder, 'elsewhere.db');
});
afterEach(() => {
  host.remove();
});

async function use(command: Command, env: Record<string, string>) {
  const ended = await host.run([USE, { do: 'exit' }], undefined, { command, env });
  return { failure: JSON.stringify(ended.results) };
}

describe.each(COMMANDS)('settings in the process "n8n %s"', (command) => {
  it('say which database under which key', async () => {
    await use(command, { CREDLIFE_DATABASE: database, CREDLIFE_MASTER_KEY: KEY });
    expect(existsSync(host.engineFolder)).toBe(false);
    const engine = await CredentialEngine.open({ database, masterKey: Buffer.from(KEY, 'hex') });
    const { credentials } = await engine.list();
    await engine.close();
    expect(credentials).toMatchObject([{ origin: 'adopted', state: 'pending.unverified' }]);
  });

  it('are refused by name when one is wrong, and nothing is stored', async () => {
    await expectRefusal(command, 'CREDLIFE_KEEPER', 'sometimes', 'ERR_CONFIG_MALFORMED');
  });
});

it.each([
  ['CREDLIFE_LOG_LEVEL', 'loud', 'ERR_CONFIG_MALFORMED'],
  ['CREDLIFE_BUDGETS', 'five', 'ERR_CONFIG_MALFORMED'],
  ['CREDLIFE_INSPECT', 'nowhere', 'ERR_CONFIG_MALFORMED'],
  ['CREDLIFE_MASTER_KEY', '', 'ERR_CONFIG_MASTER_KEY_MALFORMED'],
  ['CREDLIFE_MASTER_KEY_FILE', '/nowhere/key', 'ERR_CONFIG_FILE_UNREADABLE'],
] as const)('%s=%s is refused with %s', async (name, value, code) => {
  await expectRefusal('worker', name, value, code);
});

async function expectRefusal(command: Command, name: string, value: string, code: string) {
  const { failure } = await use(command, { CREDLIFE_DATABASE: database, [name]: value });
  expect(failure).toContain(code);
  // The file is named instead of its variable.
  expect(failure).toContain(value.startsWith('/') ? value : name);
  expect(existsSync(database)).toBe(false);
}

it("of n8n's own: without any, the database is in n8n's folder", async () => {
  await use('start', { CREDLIFE_DATABASE: '' });
  expect(existsSync(join(host.engineFolder, 'credentials.db'))).toBe(true);
});
