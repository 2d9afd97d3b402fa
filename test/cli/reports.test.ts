import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { temporaryFolder } from '../support/engine.ts';
import { runCaptured, type Captured } from './captured-context.ts';
import { documentOf, runCommand } from './run-command.ts';

// Several processes for each test, on a machine that may be busy.
jest.setTimeout(60_000);

const folder = temporaryFolder();
let server: AuthorizationServer;

const credlife = (argv: readonly string[], input?: string): Promise<Captured> =>
  runCaptured(argv, { cwd: folder.path, ...(input !== undefined && { input }) });

async function register(name: string, secret: string, more: readonly string[] = []): Promise<string> {
  const { clientId } = server.clients.machine;
  const where = ['--issuer', server.issuer, '--client-id', clientId, '--scope', 'api', '--allow-insecure-transport'];
  const argv = ['register', '--name', name, ...where, ...more, '--secret-stdin', '--json'];
  return String(documentOf(await credlife(argv, secret))['id']);
}

beforeAll(async () => {
  server = await startAuthorizationServer({ accessTokenTtlMs: 3_600_000 });
  await credlife(['init']);
  await register('Good', server.clients.machine.clientSecret, ['--tag', 'nightly']);
  await register('Bad', 'wrong');
});
afterAll(async () => {
  await server.stop();
  folder.dispose();
});

const rowsOf = (finished: Captured): unknown => documentOf(finished)['rows'];

it('lists what nobody used, and who used the others last, in another process', async () => {
  await runCommand(['use', 'Good'], { cwd: folder.path });
  const rows = rowsOf(await credlife(['list', '--unused', '0m', '--json']));
  expect(rows).toMatchObject([
    { name: 'Bad', lastUsedAt: null, uses: 0 },
    { name: 'Good', uses: 1, lastUsedBy: { kind: 'command', id: 'use' } },
  ]);
  expect(rowsOf(await credlife(['list', '--unused', '30d', '--json']))).toEqual([]);
  const { exitCode, output } = await credlife(['list', '--unused', '0m']);
  expect([exitCode, /never, for/.test(output), /command use/.test(output)]).toEqual([0, true, true]);
});

it.each([
  [['--failing'], 'Bad', /misconfigured[\s\S]*Check client id/],
  [['--ages', 'secret'], 'Good', /SECRET/],
  [['--expiring', '7d'], 'Nothing ends', /Nothing ends/],
])('list %j tells people', async (flags, name, pattern) => {
  const { exitCode, output } = await credlife(['list', ...flags]);
  expect([exitCode, output]).toEqual([0, expect.stringContaining(name)]);
  expect(output).toMatch(pattern);
});

it.each([
  [['list', '--unused', 'soon'], 'ERR_CONFIG_MALFORMED'],
  [['list', '--unused', '1d', '--failing'], 'ERR_USAGE'],
  [['list', '--ages', 'nothing'], 'ERR_USAGE'],
  [['preflight'], 'ERR_USAGE'],
  [['preflight', '--for', '-1h'], 'ERR_CONFIG_MALFORMED'],
  [['preflight', 'Good', '--tag', 'x', '--for', '1h'], 'ERR_CONFIG_MALFORMED'],
  [['preflight', '--tag', 'nobody', '--for', '1h'], 'ERR_CONFIG_MALFORMED'],
])('%j is refused', async (argv, code) => {
  const { exitCode, errors } = await credlife(argv);
  expect([exitCode, errors]).toEqual([2, expect.stringContaining(code)]);
});

it('ends a pre-flight with 0 when all are alive, and with 3 and the list otherwise', async () => {
  const good = await credlife(['preflight', 'Good', '--for', '30m', '--test', '--json']);
  expect([good.exitCode, documentOf(good)['alive']]).toEqual([0, true]);
  expect((await credlife(['preflight', '--tag', 'nightly', '--for', '2h', '--refresh'])).exitCode).toBe(0);
  const all = await runCommand(['preflight', '--for', '2h'], { cwd: folder.path });
  expect([all.exitCode, all.output]).toEqual([3, expect.stringMatching(/Bad +not alive +misconfigured/)]);
  expect((await credlife(['preflight', 'nowhere', '--for', '2h'])).exitCode).toBe(4);
});
