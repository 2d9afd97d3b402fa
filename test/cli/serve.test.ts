import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FACTS_FILE, serverFactsSchema } from '../../src/sandbox/server-facts.ts';
import { SandboxAdministration } from '../../src/sandbox/administration-client.ts';
import { runCaptured } from './captured-context.ts';
import { documentOf, runCommand, startCommand, type Running } from './run-command.ts';

let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'credlife-serve-'));
});

afterEach(async () => {
  await rm(cwd, { recursive: true, force: true });
});

const READY = /Wrong secret; test failed/;

test('shows four credentials that live, and ends by itself with a summary', async () => {
  const { exitCode, output, errors } = await runCommand(['serve', '--sandbox', '--for', '4s'], { cwd });
  expect([exitCode, errors]).toEqual([0, '']);
  for (const name of ['Machine access', 'Rotating grant', 'Soon revoked']) {
    expect(output).toMatch(new RegExp(`^\\d{4}-.*Z {2}${name}; refreshed; state valid; generation 1$`, 'm'));
  }
  expect(output).toMatch(
    /Z {2}Wrong secret; misconfigured; state pending: fix setup; .*\[ERR_OAUTH2_INVALID_CLIENT\]$/m,
  );
  expect(output).toMatch(
    /^credlife: ended after 4s; 4 credentials: 3 valid, 1 pending; sandbox: \d+ requests at the server, 1 refreshes of the rotating credential, spent tokens presented: 0\n$/m,
  );
  expect((await stat(join(cwd, '.credlife/master.key'))).mode & 0o777).toBe(0o600);
});

test('says what it does before it does it', async () => {
  const running = startCommand(['serve', '--sandbox'], { cwd });
  const first = await new Promise((resolve) => running.child.stdout?.once('data', resolve));
  expect(String(first)).toMatch(/keeping the credentials in .*\.credlife alive, with a sandbox\n$/);
  running.child.kill('SIGTERM');
  await running.finished;
});

test('goes on with the same credentials after kill -9', async () => {
  const first = startCommand(['serve', '--sandbox'], { cwd });
  await printed(first, READY);
  const before = await credentials();
  first.child.kill('SIGKILL');
  await first.finished;

  const second = startCommand(['serve', '--sandbox'], { cwd });
  await printed(second, /alive, with a sandbox/);
  await untilAnswering();
  expect(await credentials()).toEqual(before);
  const rotating = await runCommand(['refresh', 'Rotating grant', '--json'], { cwd });
  expect(documentOf(rotating)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  second.child.kill('SIGTERM');
  expect(await second.finished).toMatchObject({
    exitCode: 0,
    output: expect.stringContaining('spent tokens presented: 0'),
  });
}, 30_000);

test.each(['SIGINT', 'SIGTERM'] as const)('ends cleanly at %s, and the sandbox with it', async (signal) => {
  const running = startCommand(['serve', '--sandbox'], { cwd });
  await printed(running, READY);
  running.child.kill(signal);
  const { exitCode, output } = await running.finished;
  expect([exitCode, output]).toEqual([0, expect.stringContaining('credlife: ended after')]);
  const server = await SandboxAdministration.connect(join(cwd, '.credlife/sandbox'), fetch);
  await expect(server.statistics()).rejects.toThrow('fetch failed');
});

test('starts the sandbox again when its process dies', async () => {
  const running = startCommand(['serve', '--sandbox'], { cwd });
  await printed(running, READY);
  process.kill(await sandboxPid(), 'SIGKILL');
  await printed(running, /the sandbox server has ended unexpectedly/);
  await untilAnswering();
  running.child.kill('SIGTERM');
  expect((await running.finished).exitCode).toBe(0);
}, 30_000);

test('a second sandbox in the same folder is refused in one line', async () => {
  const first = startCommand(['serve', '--sandbox'], { cwd });
  await printed(first, READY);
  const second = await runCommand(['serve', '--sandbox', '--for', '1s'], { cwd });
  expect(second).toMatchObject({
    exitCode: 2,
    errors: expect.stringMatching(/^credlife: The sandbox cannot listen .*\n$/),
  });
  first.child.kill('SIGTERM');
  await first.finished;
}, 30_000);

test('gives one JSON document a line with --json', async () => {
  const { output } = await runCommand(['serve', '--sandbox', '--for', '2s', '--json'], { cwd });
  const lines = output
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(lines).toContainEqual(expect.objectContaining({ type: 'credential.refreshed' }));
  expect(lines.at(-1)).toMatchObject({
    credentialsByState: { valid: 3, pending: 1 },
    sandbox: { spentTokensPresented: 0 },
  });
});

test('serves an ordinary store without any sandbox', async () => {
  await runCaptured(['init'], { cwd });
  const { exitCode, output } = await runCommand(['serve', '--for', '500ms'], { cwd });
  expect([exitCode, output]).toEqual([0, expect.stringMatching(/^credlife: ended after \ds; 0 credentials\n$/m)]);
});

test('stays until it is told to end, with no terminal and nothing to do', async () => {
  await runCaptured(['init'], { cwd });
  const running = startCommand(['serve'], { cwd });
  await printed(running, /0 credentials/);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(running.child.exitCode).toBeNull();
  running.child.kill('SIGTERM');
  const { exitCode, output } = await running.finished;
  expect([exitCode, output]).toEqual([0, expect.stringContaining('credlife: ended after')]);
});

async function credentials(): Promise<unknown> {
  const listed: unknown = documentOf(await runCaptured(['list', '--json'], { cwd }))['credentials'];
  if (!Array.isArray(listed)) throw new TypeError('no list');
  return listed.map((each: { id: string; name: string }) => `${each.name} ${each.id}`).sort();
}

async function printed({ child }: Running, pattern: RegExp): Promise<void> {
  let seen = '';
  await new Promise<void>((resolve, reject) => {
    const onData = (data: unknown): void => {
      seen += String(data);
      if (!pattern.test(seen)) return;
      child.stdout?.off('data', onData);
      resolve();
    };
    child.stdout?.on('data', onData);
    child.once('exit', () => {
      reject(new Error(`it ended before it printed ${pattern.source}: ${seen}`));
    });
  });
}

async function untilAnswering(): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      await (await SandboxAdministration.connect(join(cwd, '.credlife/sandbox'), fetch)).statistics();
      return;
    } catch {
      await delay(100);
    }
  }
  throw new Error('the sandbox does not answer');
}

async function sandboxPid(): Promise<number> {
  const facts = await readFile(join(cwd, '.credlife/sandbox', FACTS_FILE), 'utf8');
  return serverFactsSchema.parse(JSON.parse(facts)).pid;
}
