import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Interrupted } from '../../src/cli/failure.ts';
import { readSecret, type SecretPart, type SecretSource } from '../../src/cli/secret-input.ts';
import { temporaryFolder } from '../support/folder.ts';
import { capturedContext } from './captured-context.ts';

const PARTS: readonly SecretPart[] = [
  { name: 'clientSecret', question: 'Client secret' },
  { name: 'refreshToken', question: 'Refresh token' },
];

async function fromStdin(text: string): Promise<unknown> {
  const context = capturedContext();
  context.input.end(text);
  return (await readSecret(context, { secretStdin: true }, PARTS)).unwrap();
}

describe('standard input', () => {
  test.each([
    ['a plain value', 'hunter2', { clientSecret: 'hunter2' }],
    ['a plain value with the line end of echo', 'hunter2\n', { clientSecret: 'hunter2' }],
    ['a plain value with spaces, which count', ' hunter 2 \r\n', { clientSecret: ' hunter 2 ' }],
    ['a JSON object', '{"clientSecret":"a","refreshToken":"b"}\n', { clientSecret: 'a', refreshToken: 'b' }],
  ])('gives %s', async (_what, text, expected) => {
    expect(await fromStdin(text)).toEqual(expected);
  });

  test.each([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['half a JSON object', '{"clientSecret":"hunter2"'],
  ])('refuses %s without repeating it', async (_what, text) => {
    const reading = fromStdin(text);
    await expect(reading).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    await expect(reading).rejects.not.toThrow(/hunter2/);
  });
});

test('reads a file beside the working directory', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder.path, 'secret.txt'), 'hunter2\n');
  const secret = await readSecret(capturedContext({ cwd: folder.path }), { secretFile: 'secret.txt' }, PARTS);
  folder.dispose();
  expect(secret.unwrap()).toEqual({ clientSecret: 'hunter2' });
});

test('reads the environment', async () => {
  const secret = await readSecret(
    capturedContext({ env: { MY_SECRET: 'hunter2' } }),
    { secretEnv: 'MY_SECRET' },
    PARTS,
  );
  expect(secret.unwrap()).toEqual({ clientSecret: 'hunter2' });
  expect(String(secret)).toBe('[redacted]');
});

test.each<[string, SecretSource, string]>([
  ['a file that is not there', { secretFile: 'missing.txt' }, 'ERR_CONFIG_FILE_UNREADABLE'],
  ['a variable that is not set', { secretEnv: 'MISSING' }, 'ERR_CONFIG_MALFORMED'],
  ['two sources', { secretEnv: 'A', secretFile: 'b' }, 'ERR_CONFIG_MALFORMED'],
  ['no source and no terminal', {}, 'ERR_CONFIG_MALFORMED'],
])('refuses %s', async (_what, source, code) => {
  await expect(readSecret(capturedContext(), source, PARTS)).rejects.toMatchObject({ code });
});

describe('a prompt', () => {
  test('asks for each part and echoes nothing', async () => {
    const context = capturedContext({ terminal: true });
    const reading = readSecret(context, {}, PARTS);
    context.input.write('hunter2\rtoken-2\r');
    expect((await reading).unwrap()).toEqual({ clientSecret: 'hunter2', refreshToken: 'token-2' });
    const { output, errors } = context.captured();
    expect(output).toBe('');
    expect(errors).toBe('Client secret (not shown): \nRefresh token (not shown): \n');
  });

  test('knows backspace and the key that clears the line', async () => {
    const context = capturedContext({ terminal: true });
    const reading = readSecret(context, {}, PARTS.slice(0, 1));
    context.input.write('wrong\u0015hunter22\u007f\n');
    expect((await reading).unwrap()).toEqual({ clientSecret: 'hunter2' });
  });

  test('ends at Ctrl-C', async () => {
    const context = capturedContext({ terminal: true });
    const reading = readSecret(context, {}, PARTS);
    context.input.write('hun\u0003');
    await expect(reading).rejects.toBeInstanceOf(Interrupted);
  });
});
