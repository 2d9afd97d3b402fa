import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../scripts/test/free-port.cjs';
import { runCaptured } from './captured-context.ts';
import { runCommand } from './run-command.ts';

let cwd: string;
/** An issuer's URL at which nobody listens. */
let nobody: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'credlife-bad-input-'));
  nobody = `http://127.0.0.1:${String(await freePort())}`;
  await runCaptured(['init'], { cwd });
  const argv = ['register', '--name', 'Good', ...endpointFlags(nobody), '--no-test', '--secret-env', 'S'];
  await runCaptured(argv, { cwd, env: { S: CANARY } });
  await mkdir(join(cwd, 'no-folder'));
  await writeFile(join(cwd, 'broken.json'), '{"issuer": ');
  await writeFile(join(cwd, 'list.json'), '[]');
  await writeFile(
    join(cwd, 'unknown-field.json'),
    JSON.stringify({ issuer: 'https://a.example', clientId: 'c', clientSecret: CANARY }),
  );
  await writeFile(
    join(cwd, 'not-a-database.db'),
    'this is not a database, and long enough to be read as one'.repeat(50),
  );
  await writeFile(join(cwd, 'short.key'), 'abc\n', { mode: 0o600 });
});

afterAll(async () => {
  await rm(cwd, { recursive: true, force: true });
});

const CANARY = 'canary-5f1d-secret';
const OTHER_KEY = 'ab'.repeat(32);

function endpointFlags(issuer: string): string[] {
  return ['--issuer', issuer, '--client-id', 'c', '--allow-insecure-transport'];
}

const REGISTER = ['register', '--name', 'x', '--secret-env', 'S'];

interface BadInput {
  readonly argv: readonly string[];
  readonly env?: Record<string, string>;
  readonly code: string;
  readonly exitCode: number;
  /** What only a process with a folder of its own can show; all else is run in this one. */
  readonly ownProcess?: true;
}

const BAD_INPUTS: Readonly<Record<string, BadInput>> = {
  'no command': { argv: [], code: 'ERR_USAGE', exitCode: 2 },
  'an unknown command': { argv: ['frobnicate'], code: 'ERR_USAGE', exitCode: 2 },
  'an unknown option': { argv: ['list', '--frobnicate=yes'], code: 'ERR_USAGE', exitCode: 2 },
  'a missing argument': { argv: ['show'], code: 'ERR_USAGE', exitCode: 2 },
  'too many arguments': { argv: ['show', 'a', CANARY], code: 'ERR_USAGE', exitCode: 2 },
  'an unknown format': { argv: ['machine', '--format', 'dot'], code: 'ERR_USAGE', exitCode: 2 },
  'a malformed duration': { argv: ['serve', '--for', 'soon'], code: 'ERR_CONFIG_MALFORMED', exitCode: 2 },
  'a secret as an argument': {
    argv: [...REGISTER, `--client-secret=${CANARY}`],
    code: 'ERR_CONFIG_SECRET_IN_ARGUMENT',
    exitCode: 2,
  },
  'a secret as the next argument': {
    argv: [...REGISTER, '--secret', CANARY],
    code: 'ERR_CONFIG_SECRET_IN_ARGUMENT',
    exitCode: 2,
  },
  'an unknown id': { argv: ['show', 'cr_00000000000000000000'], code: 'ERR_CREDENTIAL_NOT_FOUND', exitCode: 4 },
  'an unknown id to use': { argv: ['use', 'nobody'], code: 'ERR_CREDENTIAL_NOT_FOUND', exitCode: 4 },
  'an unknown id to revoke': { argv: ['revoke', 'nobody'], code: 'ERR_CREDENTIAL_NOT_FOUND', exitCode: 4 },
  'an id that could steer the terminal': {
    argv: ['show', 'x\u001b[2J\ny'],
    code: 'ERR_CREDENTIAL_NOT_FOUND',
    exitCode: 4,
  },
  'an unreachable issuer': { argv: ['use', 'Good'], code: 'ERR_ENDPOINT_UNREACHABLE', exitCode: 6 },
  'the wrong master key': {
    argv: ['list'],
    env: { CREDLIFE_MASTER_KEY: OTHER_KEY },
    code: 'ERR_KEYRING_MASTER_KEY_MISMATCH',
    exitCode: 5,
  },
  'a malformed master key': {
    argv: ['list'],
    env: { CREDLIFE_MASTER_KEY: CANARY },
    code: 'ERR_CONFIG_MASTER_KEY_MALFORMED',
    exitCode: 5,
  },
  'a malformed master key file': {
    argv: ['list'],
    env: { CREDLIFE_MASTER_KEY_FILE: 'short.key' },
    code: 'ERR_CONFIG_MASTER_KEY_MALFORMED',
    exitCode: 5,
    ownProcess: true,
  },
  'a missing master key file': {
    argv: ['list'],
    env: { CREDLIFE_MASTER_KEY_FILE: 'missing.key' },
    code: 'ERR_CONFIG_FILE_UNREADABLE',
    exitCode: 2,
  },
  'no master key at all': {
    argv: ['list', '--database', 'no-folder/c.db'],
    code: 'ERR_CONFIG_MASTER_KEY_MISSING',
    exitCode: 5,
  },
  'a missing database folder': {
    argv: ['list', '--database', 'missing/c.db'],
    env: { CREDLIFE_MASTER_KEY: OTHER_KEY },
    code: 'ERR_STORE_UNAVAILABLE',
    exitCode: 5,
  },
  'a file that is not a database': {
    argv: ['list', '--database', 'not-a-database.db'],
    env: { CREDLIFE_MASTER_KEY: OTHER_KEY },
    code: 'ERR_STORE_CORRUPT',
    exitCode: 5,
  },
  'configuration that is not JSON': {
    argv: [...REGISTER, '--config', 'broken.json'],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'configuration that is not an object': {
    argv: [...REGISTER, '--config', 'list.json'],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'configuration that is not there': {
    argv: [...REGISTER, '--config', 'missing.json'],
    code: 'ERR_CONFIG_FILE_UNREADABLE',
    exitCode: 2,
  },
  'configuration with an unknown field': {
    argv: [...REGISTER, '--config', 'unknown-field.json'],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'configuration without a field': {
    argv: [...REGISTER, '--issuer', 'https://a.example'],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'an issuer that is not a URL': {
    argv: [...REGISTER, ...endpointFlags('nonsense')],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'http without the switch for it': {
    argv: [...REGISTER, '--issuer', 'http://a.example', '--client-id', 'c'],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'an unknown protocol': {
    argv: [...REGISTER, '--protocol', 'telepathy'],
    code: 'ERR_CONFIG_UNKNOWN_PROTOCOL',
    exitCode: 2,
  },
  'a secret from nowhere': {
    argv: ['register', '--name', 'x', ...endpointFlags('https://a.example')],
    code: 'ERR_CONFIG_MALFORMED',
    exitCode: 2,
  },
  'an unknown scope': { argv: ['grant', '--engine', '--scopes', 'use,fly'], code: 'ERR_CONFIG_MALFORMED', exitCode: 2 },
};

test.each(Object.entries(BAD_INPUTS))('%s gives one line with a code', async (_what, input) => {
  const { argv, env, code, exitCode, ownProcess } = input;
  const finished = await (ownProcess ? runCommand : runCaptured)(argv, { cwd, env: { S: CANARY, ...env } });
  expect(finished).toMatchObject({ exitCode, output: '' });
  const [line, ...rest] = finished.errors.split('\n');
  expect(line).toMatch(/^credlife: [A-Z0-9].*[.?] \[ERR_[A-Z0-9_]+\] [A-Z].*\.$/);
  expect(line).toContain(`[${code}]`);
  expect(rest).toEqual(['']);
  expect(finished.errors).not.toMatch(/^\s+at |node:internal|canary/m);
  expect(finished.errors).not.toContain('\u001b');
});

test.each(Object.entries(BAD_INPUTS))(
  '%s gives one JSON document with --json',
  async (_what, { argv, env, code, exitCode, ownProcess }) => {
    const run = ownProcess ? runCommand : runCaptured;
    const finished = await run([...argv, '--json'], { cwd, env: { S: CANARY, ...env } });
    expect(finished).toMatchObject({ exitCode, output: '' });
    expect(JSON.parse(finished.errors)).toMatchObject({ error: { code, exitCode } });
    expect(finished.errors).not.toContain('canary');
  },
);

/** One for each exit code, and for each place that an error can come from: grammar, guard, files, names, keys, store, network. */
const IN_A_PROCESS: readonly (keyof typeof BAD_INPUTS)[] = [
  ...['an unknown command', 'a secret as an argument', 'configuration that is not JSON'],
  ...[
    'an id that could steer the terminal',
    'the wrong master key',
    'a missing database folder',
    'an unreachable issuer',
  ],
];

test.each([
  ['', []],
  [' with --json', ['--json']],
])(
  'a process of its own says the same%s, and ends with the same code',
  async (_sentence, more) => {
    const running = IN_A_PROCESS.map(async (what) => {
      const { argv = [], env } = BAD_INPUTS[what] ?? {};
      const [words, options] = [[...argv, ...more], { cwd, env: { S: CANARY, ...env } }];
      return [await runCommand(words, options), await runCaptured(words, options)] as const;
    });
    for (const [told, expected] of await Promise.all(running)) {
      expect(told).toEqual(expected);
      expect(told.errors).toMatch(/ERR_/);
    }
  },
  60_000,
);

test('loses nothing by any of it', async () => {
  const { output } = await runCommand(['list', '--json'], { cwd });
  expect(output.match(/"name": "Good"/g)).toHaveLength(1);
  expect(await readFile(join(cwd, 'not-a-database.db'), 'utf8')).toMatch(/^this is not a database/);
});

test('registers what is well-formed although its issuer cannot be reached: pending, exit code 3', async () => {
  const argv = ['register', '--name', 'Unreachable', ...endpointFlags(nobody), '--secret-env', 'S', '--json'];
  const finished = await runCommand(argv, { cwd, env: { S: CANARY } });
  expect(finished.exitCode).toBe(3);
  expect(JSON.parse(finished.output)).toMatchObject({
    state: 'pending.unverified',
    credential: { failure: { code: 'ERR_ENDPOINT_UNREACHABLE', class: 'transient' } },
  });
});

test('shows where an error came from with --debug only', async () => {
  const finished = await runCommand(['show', 'nobody', '--debug'], { cwd });
  expect(finished.errors).toMatch(/^credlife: .*\n\s+at /);
});

test('help and version go to standard output and end with 0', async () => {
  const help = await runCommand(['--help'], { cwd });
  expect(help).toMatchObject({ exitCode: 0, errors: '' });
  expect(help.output).toMatch(/Exit codes:\n {2}0 {2}/);
  expect(await runCommand(['--version'], { cwd })).toMatchObject({
    exitCode: 0,
    output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
});
