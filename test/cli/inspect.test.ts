import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Viewer } from '../inspection/viewer.ts';
import { eventually } from '../support/eventually.ts';
import { runCaptured } from './captured-context.ts';
import { runCommand, startCommand, type Running } from './run-command.ts';

let cwd: string;
const started: Running[] = [];

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'credlife-inspect-'));
});

afterEach(async () => {
  for (const { child, finished } of started.splice(0)) {
    child.kill('SIGTERM');
    await finished;
  }
  await rm(cwd, { recursive: true, force: true });
});

/** A command that goes on, and all that it has printed so far. */
function start(argv: readonly string[], env: Record<string, string> = {}): { running: Running; printed: () => string } {
  const running = startCommand(argv, { cwd, env });
  started.push(running);
  let output = '';
  running.child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  return { running, printed: () => output };
}

async function startInspect(
  env: Record<string, string> = {},
): Promise<{ watch: string; engines: string; printed: () => string }> {
  const { printed } = start(['inspect'], env);
  const found = await eventually(() => /^Watch: +(http:\S+)\nEngines: +CREDLIFE_INSPECT='(ws:\S+)'\n/.exec(printed()));
  return { watch: found[1] ?? '', engines: found[2] ?? '', printed };
}

test('a viewer sees engines of other processes: one that keeps, and one that runs a single command', async () => {
  const { watch, engines, printed } = await startInspect();
  const viewer = await Viewer.connect(watch);
  const { printed: served } = start(['serve', '--sandbox'], { CREDLIFE_INSPECT: engines });
  await eventually(() => served().includes('Soon revoked; refreshed'));
  await eventually(() => printed().includes('credlife: 1 engine, 1 viewer'));
  const before = (await viewer.untilEnded(4)).length;
  const env = { CREDLIFE_INSPECT: engines };
  expect(await runCommand(['refresh', 'Machine access'], { cwd, env })).toMatchObject({ exitCode: 0, errors: '' });
  const { output } = await runCaptured(['show', 'Machine access', '--json'], { cwd });
  const { id } = JSON.parse(output) as { id: string };
  const told = await eventually(() => {
    const later = viewer.messages.slice(before);
    const actor = later.find((message) => message.type === '@xstate.actor' && message.name === id);
    return actor && later.some(({ sessionId, type }) => type === '@xstate.snapshot' && sessionId === actor.sessionId);
  });
  expect(told).toBe(true);
  await viewer.close();
}, 60_000);

test('serve --inspect is an inspector of its own', async () => {
  const { printed } = start(['serve', '--sandbox', '--inspect']);
  const found = await eventually(() => /inspector: (http:\S+)/.exec(printed()));
  const viewer = await Viewer.connect(found[1] ?? '');
  expect((await viewer.untilEnded(4)).length).toBeGreaterThan(12);
  await viewer.close();
}, 60_000);

test('port and token stay the same when the setting says them', async () => {
  const { engines, watch } = await startInspect();
  const [inspecting] = started.splice(0);
  inspecting?.child.kill('SIGTERM');
  expect(await inspecting?.finished).toMatchObject({ exitCode: 0, errors: '' });
  expect(await startInspect({ CREDLIFE_INSPECT: engines })).toMatchObject({ engines, watch });
});

test('a port that is taken is refused in one line, which holds no token', async () => {
  const { engines } = await startInspect();
  const again = await runCommand(['inspect'], { cwd, env: { CREDLIFE_INSPECT: engines } });
  expect(again).toMatchObject({
    exitCode: 2,
    output: '',
    errors: expect.stringMatching(/^credlife: .*another program has it.*\n$/),
  });
  expect(again.errors).not.toContain(engines.split('token=')[1]);
});

test.each<[string, string]>([
  ['another machine', `ws://192.0.2.7:4711/publish?token=${'t'.repeat(43)}`],
  ['a name that begins like loopback', `ws://localhost.example:4711/publish?token=${'t'.repeat(43)}`],
  ['no port', `ws://127.0.0.1/publish?token=${'t'.repeat(43)}`],
  ['no token', 'ws://127.0.0.1:4711/publish'],
  ['a token that can be guessed', 'ws://127.0.0.1:4711/publish?token=secret-canary'],
  ['the address of the viewer', `http://127.0.0.1:4711/?token=${'t'.repeat(43)}`],
  ['no address', 'yes'],
])('CREDLIFE_INSPECT with %s is refused without its value', async (_sentence, value) => {
  const { exitCode, errors } = await runCaptured(['inspect'], { cwd, env: { CREDLIFE_INSPECT: value } });
  expect([exitCode, errors]).toEqual([
    2,
    expect.stringMatching(/^credlife: The setting CREDLIFE_INSPECT must be .*\n$/),
  ]);
  expect(errors).not.toContain('secret-canary');
});

test.each(['0', '65536', 'x', '-1', ''])('refuses the port %j', async (port) => {
  const { exitCode, errors } = await runCaptured(['inspect', `--port=${port}`], { cwd });
  expect([exitCode, errors.split('\n').length]).toEqual([2, 2]);
});
