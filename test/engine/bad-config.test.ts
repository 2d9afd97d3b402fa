import { inspect } from 'node:util';
import type { CredentialEngine } from '../../src/engine.ts';
import { isCredentialError } from '../../src/errors.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { openDatabase, type SeenDatabase } from './support/database.ts';

const CANARY = 'canary-7f3a-do-not-show';
const folder = temporaryFolder();
let engine: CredentialEngine;
let database: SeenDatabase;

beforeAll(async () => {
  engine = await openEngine(folder.path);
  database = openDatabase(folder.path);
});

afterEach(() => {
  for (const table of ['records', 'secrets', 'events', 'tags']) database.execute(`DELETE FROM ${table}`);
});

afterAll(async () => {
  await engine.close();
  database.close();
  folder.dispose();
});

const config = (change: object) => ({
  issuer: 'https://issuer.example',
  grantType: 'client_credentials',
  clientId: 'client',
  ...change,
});
const entry = (change: object) => ({
  protocol: 'oauth2',
  name: 'Name',
  config: config({}),
  secret: { clientSecret: CANARY },
  test: false,
  ...change,
});
const withConfig = (change: object) => entry({ config: config(change) });
const withSecret = (secret: unknown) => entry({ secret });

/** What is wrong, the input, and the field that the message names. */
const MALFORMED: [string, object, string][] = [
  ['no config', entry({ config: undefined }), 'config'],
  ['a config that is a list', entry({ config: [] }), 'config'],
  ['a config that is text', entry({ config: CANARY }), 'config'],
  ['neither issuer nor token endpoint', withConfig({ issuer: undefined }), 'config.issuer'],
  ['an issuer that is no URL', withConfig({ issuer: `not a url ${CANARY}` }), 'config.issuer'],
  ['an issuer without a scheme', withConfig({ issuer: 'issuer.example' }), 'config.issuer'],
  ['an issuer with a script', withConfig({ issuer: 'javascript:alert(1)' }), 'config.issuer'],
  ['an issuer that is a file', withConfig({ issuer: 'file:///etc/passwd' }), 'config.issuer'],
  ['an issuer with a password', withConfig({ issuer: `https://user:${CANARY}@issuer.example` }), 'config.issuer'],
  ['an issuer with a fragment', withConfig({ issuer: 'https://issuer.example/#x' }), 'config.issuer'],
  ['an issuer in the clear', withConfig({ issuer: 'http://issuer.example' }), 'config.issuer'],
  ['an issuer in the clear, in capitals', withConfig({ issuer: 'HTTP://issuer.example' }), 'config.issuer'],
  ['a test URL in the clear', withConfig({ testUrl: 'http://api.example' }), 'config.testUrl'],
  ['a test URL in the clear, in capitals', withConfig({ testUrl: 'HtTp://api.example' }), 'config.testUrl'],
  ['a URL with a tab in its scheme', withConfig({ testUrl: 'ht\ttp://a.example' }), 'config.testUrl'],
  ['an unknown grant type', withConfig({ grantType: 'password' }), 'config.grantType'],
  ['an unknown way of authentication', withConfig({ clientAuthentication: 'digest' }), 'config.clientAuthentication'],
  ['no client id', withConfig({ clientId: undefined }), 'config.clientId'],
  ['an empty client id', withConfig({ clientId: '' }), 'config.clientId'],
  ['a client id that is a number', withConfig({ clientId: 7 }), 'config.clientId'],
  ['a client id with a line break', withConfig({ clientId: 'a\nb' }), 'config.clientId'],
  ['a client id with an escape sequence', withConfig({ clientId: 'a\u001b[31m' }), 'config.clientId'],
  ['a scope with two spaces', withConfig({ scope: 'a  b' }), 'config.scope'],
  ['a scope with a quote', withConfig({ scope: 'a"b' }), 'config.scope'],
  ['a switch that is text', withConfig({ allowInsecureTransport: 'false' }), 'config.allowInsecureTransport'],
  ['a negative grace window', withConfig({ reuseGraceMs: -1 }), 'config.reuseGraceMs'],
  ['a grace window that is no number', withConfig({ reuseGraceMs: Number.NaN }), 'config.reuseGraceMs'],
  ['a grace window of a day', withConfig({ reuseGraceMs: 86_400_000 }), 'config.reuseGraceMs'],
  ['an unknown member', withConfig({ clientSecret: CANARY }), 'clientSecret'],
  ['a member with an escape sequence as name', withConfig({ '\u001b[2J\n': 1 }), 'config'],
  [
    'a polluting member',
    entry({ config: JSON.parse('{"__proto__": {"issuer": "https://a.example"}}') as object }),
    'config',
  ],
  ['no secret', withSecret(undefined), 'secret'],
  ['an empty client secret', withSecret({ clientSecret: '' }), 'secret.clientSecret'],
  ['a client secret that is a list', withSecret({ clientSecret: [CANARY] }), 'secret.clientSecret'],
  ['a secret under a wrong name', withSecret({ clientSecret: 'x', [CANARY]: 'x' }), 'secret'],
  ['a secret that is bare text', withSecret(CANARY), 'secret'],
  ['no refresh token for its grant', withConfig({ grantType: 'refresh_token' }), 'secret.refreshToken'],
  ['no name', entry({ name: '' }), 'name'],
  ['a name with a line break', entry({ name: 'a\nb' }), 'name'],
  ['a name with an escape sequence', entry({ name: '\u001b]0;owned\u0007' }), 'name'],
  ['a name with a line separator', entry({ name: 'a\u2028b' }), 'name'],
  ['a name of a megabyte', entry({ name: 'x'.repeat(1_000_000) }), 'name'],
  ['an owner with a zero byte', entry({ ownerId: 'a\u0000' }), 'ownerId'],
  ['a tag with a carriage return', entry({ tags: ['a\rb'] }), 'tags'],
  ['too many tags', entry({ tags: Array.from({ length: 101 }, String) }), 'tags'],
];

test.each(MALFORMED)('%s is refused in one clean line, and nothing is stored', async (_, input, field) => {
  const error: unknown = await engine.register(input as Parameters<CredentialEngine['register']>[0]).then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!isCredentialError(error)) throw new Error(`Expected an error of the catalogue: ${inspect(error)}`);
  expect([error.code, error.name]).toEqual(['ERR_CONFIG_MALFORMED', 'ConfigurationError']);
  expect(error.message).toContain(field);
  expect(error.message).toMatch(/^[\x20-\x7e]{10,200}$/);
  expect(inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error)).not.toContain(CANARY);
  expect([database.count('records'), database.count('secrets'), database.count('events')]).toEqual([0, 0, 0]);
});

test.each(['oauth', '', '__proto__', 'toString'])('the protocol %j is refused by name', async (protocol) => {
  await expect(engine.register({ ...entry({}), protocol, name: 'x' })).rejects.toMatchObject({
    code: 'ERR_CONFIG_UNKNOWN_PROTOCOL',
    message: 'The protocol is not one of: oauth2, ldap, basic, n8n.',
  });
});

test('scopes that look like addresses are scopes', async () => {
  const scope = 'http://www.google.com/m8/feeds https://graph.example/.default';
  const { id } = await engine.register({ ...entry({}), protocol: 'oauth2', name: 'x', config: config({ scope }) });
  expect((await engine.revoke(id)).state).toBe('revoked.byUser');
  expect({}).not.toHaveProperty('issuer');
});

test('addresses are kept in their plain form', async () => {
  const issuer = 'HTTPS://issuer.example/a\u001b[2J\n/b';
  const { credential } = await engine.register({
    ...entry({}),
    protocol: 'oauth2',
    name: 'x',
    config: config({ issuer }),
  });
  expect(credential.endpoint).toBe('https://issuer.example/a%1B[2J/b');
});

test.each([
  ['no number', { limit: Number.NaN }],
  ['zero', { limit: 0 }],
  ['too many', { limit: 1_001 }],
  ['a cursor of its own', { cursor: 'not a cursor!' }],
])('a list that asks for %s is refused', async (_, filter) => {
  await expect(engine.list(filter)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
});
