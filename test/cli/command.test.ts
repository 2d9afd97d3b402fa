import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { runCaptured } from './captured-context.ts';
import { documentOf, runCommand, type Finished } from './run-command.ts';

let server: AuthorizationServer;
let cwd: string;
const everything: Finished[] = [];

beforeAll(async () => {
  server = await startAuthorizationServer();
  cwd = await mkdtemp(join(tmpdir(), 'credlife-'));
});

afterAll(async () => {
  await server.stop();
  await rm(cwd, { recursive: true, force: true });
});

interface Surroundings {
  readonly input?: string;
  readonly env?: Record<string, string>;
}

/** In a process of its own, as a person runs it: one run of each verb at least. */
async function credlife(argv: readonly string[], surroundings: Surroundings = {}): Promise<Finished> {
  const finished = await runCommand(argv, { cwd, ...surroundings });
  everything.push(finished);
  return finished;
}

/** In this process: a verb's further answers. */
async function credlifeHere(argv: readonly string[], surroundings: Surroundings = {}): Promise<Finished> {
  const finished = await runCaptured(argv, { cwd, ...surroundings });
  everything.push(finished);
  return finished;
}

function machineFlags(): string[] {
  const { clientId } = server.clients.machine;
  return ['--issuer', server.issuer, '--client-id', clientId, '--scope', 'api', '--allow-insecure-transport'];
}

test('init makes a folder and a key that only their owner can read', async () => {
  const { exitCode, output } = await credlife(['init']);
  expect(exitCode).toBe(0);
  expect(output).toContain('.credlife/master.key');
  expect((await stat(join(cwd, '.credlife'))).mode & 0o777).toBe(0o700);
  expect((await stat(join(cwd, '.credlife/master.key'))).mode & 0o777).toBe(0o600);
});

test('init never overwrites a key', async () => {
  const before = await stat(join(cwd, '.credlife/master.key'));
  const { exitCode, output } = await credlifeHere(['init', '--json']);
  expect([exitCode, documentOf({ output })['created']]).toEqual([0, false]);
  expect((await stat(join(cwd, '.credlife/master.key'))).mtimeMs).toBe(before.mtimeMs);
});

test('an empty list says what to do next', async () => {
  const { exitCode, output } = await credlife(['list']);
  expect([exitCode, output]).toEqual([0, expect.stringContaining('credlife register')]);
});

test('register stores and tests; a good one ends with 0 and is valid', async () => {
  const { clientSecret } = server.clients.machine;
  const { exitCode, output } = await credlife(['register', '--name', 'Machine', ...machineFlags(), '--secret-stdin'], {
    input: `${clientSecret}\n`,
  });
  expect(exitCode).toBe(0);
  expect(output).toMatch(/^state +valid$/m);
  expect(output).toContain('Machine: test passed.');
});

test('register with a wrong secret ends with 3 and says why', async () => {
  const argv = ['register', '--name', 'Wrong', ...machineFlags(), '--secret-env', 'WRONG', '--json'];
  const { exitCode, output } = await credlifeHere(argv, { env: { WRONG: 'canary-wrong-secret' } });
  expect(exitCode).toBe(3);
  expect(documentOf({ output })).toMatchObject({
    state: 'pending.misconfigured',
    credential: { failure: { code: 'ERR_OAUTH2_INVALID_CLIENT' } },
  });
});

test('register takes configuration and secret from files', async () => {
  const { clientId, clientSecret } = server.clients.rotating;
  const config = {
    issuer: server.issuer,
    grantType: 'refresh_token',
    clientId,
    allowInsecureTransport: true,
    reuseGraceMs: 30_000,
  };
  await writeFile(join(cwd, 'config.json'), JSON.stringify(config));
  const refreshToken = await server.mintRefreshToken('rotating');
  await writeFile(join(cwd, 'secret.json'), JSON.stringify({ clientSecret, refreshToken }), { mode: 0o600 });
  const { exitCode } = await credlife([
    'register',
    '--name',
    'Rotating',
    '--config',
    'config.json',
    '--secret-file',
    'secret.json',
  ]);
  expect(exitCode).toBe(0);
});

test('list shows all of them to people and to programs', async () => {
  const { output } = await credlife(['list']);
  expect(output).toMatch(/^NAME +PROTOCOL +STATE +EXPIRES IN +NEXT ACTION +LAST EVENT +ID$/m);
  expect(output).toMatch(/^Machine +OAuth2 +valid /m);
  expect(output).toMatch(/^Wrong +OAuth2 +pending: fix setup /m);
  expect(output).toMatch(/^Wrong: .* \[ERR_OAUTH2_INVALID_CLIENT\]$/m);
  expect(output).not.toContain('\u001b');
  const { credentials } = documentOf(await credlifeHere(['list', '--json']));
  expect(credentials).toHaveLength(3);
  expect(credentials).toContainEqual(
    expect.objectContaining({ name: 'Rotating', expiresAt: expect.stringMatching(/^\d{4}-.*Z$/) }),
  );
});

test('show finds a credential by name and by the start of its id', async () => {
  const byName = documentOf(await credlife(['show', 'Machine', '--json']));
  expect(byName).toMatchObject({
    name: 'Machine',
    state: 'valid.fresh',
    endpoint: expect.stringContaining('127.0.0.1'),
  });
  const byStart = documentOf(await credlifeHere(['show', String(byName['id']).slice(0, 12), '--json']));
  expect(byStart['id']).toBe(byName['id']);
  expect((await credlifeHere(['show', 'Wrong'])).exitCode).toBe(3);
});

test('use says that it is usable and prints no material', async () => {
  const { exitCode, output } = await credlife(['use', 'Machine']);
  expect(exitCode).toBe(0);
  expect(output).toMatch(/^Machine: valid, expires at \d{4}-.*Z, generation 1$/m);
  expect(documentOf(await credlifeHere(['use', 'Machine', '--json']))).not.toHaveProperty('headers');
});

test('use --print-material prints headers that the resource accepts', async () => {
  // Not among the runs that are searched for secrets: this is the one that shows them.
  const finished = await runCommand(['use', 'Machine', '--print-material'], { cwd });
  const authorization = /^authorization: (.+)$/im.exec(finished.output)?.[1] ?? '';
  expect((await fetch(server.resourceUrl, { headers: { authorization } })).status).toBe(200);
});

test('test asks the other side', async () => {
  expect(await credlife(['test', 'Machine'])).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining('test passed'),
  });
  expect(await credlifeHere(['test', 'Wrong'])).toMatchObject({
    exitCode: 3,
    output: expect.stringContaining('test failed'),
  });
});

test('refresh gets the next generation with the next refresh token', async () => {
  const { exitCode, output } = await credlife(['refresh', 'Rotating', '--json']);
  expect([exitCode, documentOf({ output })['generation']]).toEqual([0, 2]);
  expect((await credlifeHere(['refresh', 'Rotating'])).exitCode).toBe(0);
  expect((await server.tokenRequests('rotating')).filter((request) => request.spentTokenPresented)).toEqual([]);
});

test('grant shows an access key once, alone on standard output', async () => {
  const { exitCode, output, errors } = await credlife(['grant', 'Machine', '--scopes', 'use']);
  expect([exitCode, output.trim().split('\n')]).toEqual([0, [expect.stringMatching(/^\S{20,}$/)]]);
  expect(errors).toContain('shown this once');
  expect((await credlifeHere(['grant', '--engine', '--scopes', 'list,test'])).exitCode).toBe(0);
  expect((await credlifeHere(['grant', '--engine', '--scopes', 'everything'])).exitCode).toBe(2);
  expect((await credlifeHere(['grant', '--scopes', 'use'])).exitCode).toBe(2);
});

test('revoke ends it here and at the server; using it then says so', async () => {
  expect(await credlife(['revoke', 'Rotating'])).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining('revoked by you'),
  });
  expect((await server.requests()).some(({ endpoint }) => endpoint === 'revocation')).toBe(true);
  const { exitCode, errors } = await credlifeHere(['use', 'Rotating']);
  expect([exitCode, errors]).toEqual([3, expect.stringContaining('[ERR_CREDENTIAL_REVOKED]')]);
});

test("--n8n works on the database of n8n's own engine, with the key that n8n has", async () => {
  const folder = join(cwd, 'user', '.n8n');
  await mkdir(join(folder, 'credential-lifecycle'), { recursive: true });
  await writeFile(join(folder, 'config'), JSON.stringify({ encryptionKey: 'canary-encryption-key' }), { mode: 0o600 });
  const argv = ['register', '--name', 'In n8n', ...machineFlags(), '--secret-env', 'S', '--n8n', './user'];
  expect((await credlifeHere(argv, { env: { S: server.clients.machine.clientSecret } })).exitCode).toBe(0);
  const env = { N8N_USER_FOLDER: join(cwd, 'user') };
  for (const run of [
    ['--n8n', 'list'],
    ['list', '--n8n'],
    ['--n8n=user', 'list'],
    ['show', '--n8n', 'In n8n'],
  ]) {
    expect(await credlifeHere(run, { env })).toMatchObject({ exitCode: 0, output: expect.stringContaining('In n8n') });
  }
  await writeFile(join(folder, 'config'), JSON.stringify({ encryptionKey: 'another key' }));
  expect(await credlife(['list', '--n8n'], { env })).toMatchObject({ exitCode: 5, output: '' });
});

test('has shown no secret in any of this', () => {
  const shown = everything.map(({ output, errors }) => output + errors).join('\n');
  const secrets = [...Object.values(server.clients).map(({ clientSecret }) => clientSecret), 'canary-', 'Bearer '];
  for (const secret of secrets) expect(shown).not.toContain(secret);
});
