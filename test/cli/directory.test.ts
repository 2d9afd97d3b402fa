import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { slapdEntry } from '../protocols/ldap/support.ts';
import { PasswordService } from '../servers/password-service.ts';
import { servicePassword, SlapdServer } from '../servers/slapd.ts';
import { runCaptured } from './captured-context.ts';
import { documentOf, runCommand, type Finished } from './run-command.ts';

let server: SlapdServer;
let service: PasswordService;
let cwd: string;
const everything: Finished[] = [];

beforeAll(async () => {
  server = await SlapdServer.start();
  service = await PasswordService.start();
  cwd = await mkdtemp(join(tmpdir(), 'credlife-'));
  await credlife(['init']);
  await writeFile(join(cwd, 'directory.json'), JSON.stringify(slapdEntry(server).config));
  const { url, username } = service;
  const legacy = { username, testUrl: `${url}/`, allowInsecureTransport: true };
  await writeFile(join(cwd, 'legacy.json'), JSON.stringify(legacy));
});
afterAll(async () => {
  await server.stop();
  await service.stop();
  await rm(cwd, { recursive: true, force: true });
});

async function credlife(argv: readonly string[], input = '', run: typeof runCommand = runCaptured): Promise<Finished> {
  const finished = await run(argv, { cwd, input });
  everything.push(finished);
  return finished;
}

const DIRECTORY = ['register', '--protocol', 'ldap', '--config', 'directory.json', '--secret-stdin'];

test('register stores a directory, tests it and ends with 0', async () => {
  const { exitCode, output } = await credlife(
    [...DIRECTORY, '--name', 'Directory'],
    `${servicePassword('service')}\n`,
    runCommand,
  );
  expect(exitCode).toBe(0);
  expect(output).toContain('test passed');
  expect(output).toContain('LDAP');
});

test('register of a directory with a wrong password ends with 3 and says what to do', async () => {
  const { exitCode, output } = await credlife([...DIRECTORY, '--name', 'Wrong'], 'wrong-password\n');
  expect(exitCode).toBe(3);
  expect(output).toContain('ERR_LDAP_INVALID_CREDENTIALS');
});

test('test, use and show know a directory', async () => {
  expect((await credlife(['test', 'Directory'])).exitCode).toBe(0);
  const used = await credlife(['use', 'Directory', '--json']);
  expect(documentOf(used)).toMatchObject({ state: 'valid.fresh', expiresAt: null, generation: 1 });
  expect((await credlife(['show', 'Directory'])).output).toContain(server.url);
});

test('register stores a Basic credential, tests it and ends with 0', async () => {
  const argv = ['register', '--protocol', 'basic', '--name', 'Legacy', '--config', 'legacy.json', '--secret-stdin'];
  const { exitCode, output } = await credlife(argv, `${service.password}\n`, runCommand);
  expect([exitCode, output]).toEqual([0, expect.stringContaining('test passed')]);
  const { exitCode: wrong } = await credlife([...argv.slice(0, 4), 'Other', ...argv.slice(5)], 'wrong\n');
  expect(wrong).toBe(3);
});

test('an argument that belongs to another protocol is malformed, and nothing is stored', async () => {
  const { exitCode, errors } = await credlife([...DIRECTORY, '--name', 'Odd', '--client-id', 'x'], 'password\n');
  expect([exitCode, errors]).toEqual([2, expect.stringContaining('clientId')]);
  expect((await credlife(['list'])).output).not.toContain('Odd');
});

test('no password was printed by any of it', () => {
  for (const { output, errors } of everything) {
    for (const secret of [servicePassword('service'), service.password, 'wrong-password']) {
      expect(`${output}${errors}`).not.toContain(secret);
    }
  }
});
