import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Secret } from '../src/secret.ts';

const CANARY = 'hunter2-canary';
const secret = Secret.of(CANARY);
// What careless code takes it for.
const mistaken = secret as unknown as string;

it.each<[string, (value: string) => string]>([
  ['a template', (value) => `<${value}>`],
  ['String()', String],
  ['concatenation', (value) => '<' + value],
  ['JSON', (value) => JSON.stringify({ value })],
  ['inspect to any depth', (value) => inspect({ deep: { value } }, { depth: Infinity, showHidden: true })],
  [
    'own properties',
    (value) => JSON.stringify(Object.getOwnPropertyNames(value)) + JSON.stringify(Object.assign({}, value)),
  ],
  ['an error message', (value) => new Error(`bad ${value}`).stack ?? ''],
])('does not show its value in %s', (_sentence, print) => {
  expect(print(mistaken)).not.toContain(CANARY);
});

it('gives its value to unwrap alone', () => {
  expect(secret.unwrap()).toBe(CANARY);
  expect(() => structuredClone(secret).unwrap()).toThrow();
});

it('cannot be given another value', () => {
  expect(Object.isFrozen(secret)).toBe(true);
});

describe('a released secret', () => {
  it('has overwritten its bytes and gives nothing more', () => {
    const bytes = Buffer.from(CANARY);
    const held = Secret.of(bytes);
    held.release();
    held.release();
    expect([...bytes].every((byte) => byte === 0)).toBe(true);
    expect(() => held.unwrap()).toThrow(TypeError);
    expect(inspect(held)).toBe('[redacted]');
  });

  it('is released at the end of its block by "using"', () => {
    const bytes = Buffer.from(CANARY);
    {
      using held = Secret.of(bytes);
      expect(held.unwrap().toString()).toBe(CANARY);
    }
    expect(bytes.toString()).not.toContain(CANARY);
  });
});

describe('unwrap()', () => {
  /** Every file that may take a secret out of its holder, and what for. */
  const ALLOWED: Readonly<Record<string, string>> = {
    'cli/commands/authorize.ts': 'the address that a person pasted',
    'cli/commands/edit.ts': 'a new secret, on its way into an update',
    'cli/commands/key.ts': 'two entries of a new passphrase, compared',
    'cli/commands/register.ts': 'registration',
    'cli/secret-input.ts': 'what a person typed or piped in',
    'engine-options.ts': 'length of a master key, emptiness of a passphrase',
    'inspection/address.ts': 'addresses that a person or a process opens the inspector with',
    'inspection/gate.ts': 'digest that the token of a request is compared with',
    'inspection/publisher.ts': 'the header of the connection to the relay',
    'lifecycle/authorization.ts': 'what a sign-in has begun with, sealed and opened; the hash of its state',
    'lifecycle/refresh.ts': 'fingerprint of a single-use token',
    'lifecycle/sealed-grant.ts': 'encoding of a grant before it is sealed and after it was opened',
    'protocols/basic/driver.ts': 'requests and material',
    'protocols/basic/rotation.ts': 'what a webhook is told, new passwords',
    'protocols/ldap/driver.ts': 'logins, the key of a pool, material',
    'protocols/ldap/ldap-directory.ts': 'a password that a person typed, at its bind',
    'protocols/ldap/rotation.ts': 'old and new passwords of an account',
    'protocols/n8n/driver.ts': 'the shape of a stored grant, which holds no secret',
    'protocols/n8n/request.ts': 'the API key on its way into the header of one request',
    'protocols/oauth2/authorization.ts': 'what completing a sign-in takes',
    'protocols/oauth2/driver.ts': 'requests and material',
    'protocols/oauth2/opened.ts': 'the parts of a credential for one call',
    'resilience/endpoint-gate.ts': 'keyed hash that an app is known by',
    'sessions/tokens.ts': 'hashes that tokens are found by',
    'vault/envelope.ts': 'data keys and the key of the keyed hashes at work',
    'vault/kdf.ts': 'derivation from a passphrase',
    'vault/key-encryption-key.ts': 'derivation and use of the key that wraps keys',
    'vault/vault.ts': 'sealing',
    'verbs/update.ts': 'the secret as it is, parsed with settings that were changed',
    'webhooks/signature.ts': 'signing, and the one time that a key is shown',
  };

  it('is called in the listed files only', () => {
    const calling = sourceFiles().filter((file) => readFileSync(join(SOURCES, file), 'utf8').includes('.unwrap('));
    expect(calling).toEqual(Object.keys(ALLOWED));
  });
});

const SOURCES = join(__dirname, '../src');

function sourceFiles(): string[] {
  return readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts'))
    .sort();
}
