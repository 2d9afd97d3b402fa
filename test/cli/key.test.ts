import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { runCommand } from '../../src/cli/main.ts';
import { temporaryFolder } from '../support/folder.ts';
import { capturedContext, runCaptured, type Captured } from './captured-context.ts';

const EXIT = { ok: 0, usage: 2, store: 5 };

let folder: ReturnType<typeof temporaryFolder>;
let cwd: string;
beforeEach(async () => {
  folder = temporaryFolder();
  cwd = folder.path;
  await credlife(['init']);
});
afterEach(() => {
  folder.dispose();
});

async function credlife(argv: readonly string[], env: Record<string, string> = {}, input = ''): Promise<Captured> {
  return runCaptured(argv, { cwd, env, input });
}

async function credlifeJson(
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const parsed: unknown = JSON.parse((await credlife([...argv, '--json'], env)).output);
  return { ...(parsed as object) };
}

async function register(name: string): Promise<void> {
  const endpoint = ['--token-endpoint', 'http://127.0.0.1:9/token', '--allow-insecure-transport'];
  await credlife(
    ['register', '--name', name, ...endpoint, '--client-id', 'c', '--secret-stdin', '--no-test'],
    {},
    'the client secret',
  );
}

function secretFile(name: string, text: string): string {
  const path = join(cwd, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

test('status lists the data keys, and rotate makes a new one the active one', async () => {
  await register('One');
  const { keyId } = await credlifeJson(['key', 'rotate']);
  const { exitCode, output } = await credlife(['key', 'status']);
  expect(exitCode).toBe(EXIT.ok);
  expect(output).toMatch(new RegExp(`${String(keyId)}\\s+active`));
  expect(output).toMatch(/retired .* 16\n/);
});

test('re-encrypt brings everything under the active key and says how much', async () => {
  await register('One');
  await register('Two');
  const { keyId } = await credlifeJson(['key', 'rotate']);
  expect(await credlife(['key', 're-encrypt'])).toMatchObject({
    exitCode: EXIT.ok,
    output: '2 credentials: 2 values sealed again, 0 data keys removed.\n',
  });
  expect((await credlifeJson(['key', 'verify']))['valuesByKey']).toEqual({ [String(keyId)]: 2 });
});

test('re-encrypt and verify draw a bar on a terminal only, on standard error', async () => {
  await register('One');
  const context = capturedContext({ cwd });
  Object.assign(context.errors, { isTTY: true, columns: 60 });
  await runCommand(context, ['key', 'verify']);
  const { output, errors } = context.captured();
  expect(errors).toContain('1/1 credentials');
  expect(errors.endsWith('\r\u001b[2K')).toBe(true);
  expect(output).not.toContain('\r');
  expect((await credlife(['key', 'verify'])).errors).toBe('');
});

test('verify lists what does not open by id and ends with 5', async () => {
  await register('One');
  expect((await credlife(['key', 'verify'])).exitCode).toBe(EXIT.ok);
  const db = new Database(join(cwd, '.credlife/credentials.db'));
  const id = db.prepare<[], string>('SELECT credential_id FROM secrets').pluck().get();
  db.exec('UPDATE secrets SET envelope = substr(envelope, 1, 70)');
  db.close();
  const { exitCode, output } = await credlife(['key', 'verify']);
  expect(exitCode).toBe(EXIT.store);
  expect(output).toContain(`unreadable: ${String(id)}, registered of generation 0 [ERR_KEYRING_ENVELOPE_MALFORMED]`);
});

test('verify says so and ends with 5 when records were put back', async () => {
  await register('One');
  const db = new Database(join(cwd, '.credlife/credentials.db'));
  db.exec(`UPDATE records SET record = json_set(record, '$.ownerId', 'mallory')`);
  db.close();
  const { exitCode, output } = await credlife(['key', 'verify']);
  expect([exitCode, output]).toEqual([EXIT.store, expect.stringContaining('NOT those that the seal')]);
});

describe('change-passphrase', () => {
  it('takes the new passphrase from a file; then that one opens, and the old key says the way back', async () => {
    await register('One');
    const file = secretFile('passphrase', 'correct horse battery staple\n');
    const changed = await credlife(['key', 'change-passphrase', '--new-passphrase-file', 'passphrase']);
    expect([changed.exitCode, changed.output]).toEqual([
      EXIT.ok,
      expect.stringContaining(`CREDLIFE_PASSPHRASE_FILE=${file}`),
    ]);
    expect(changed.output).not.toContain('horse');
    expect((await credlife(['list'], { CREDLIFE_PASSPHRASE_FILE: file })).exitCode).toBe(EXIT.ok);
    expect((await credlife(['key', 'verify'], { CREDLIFE_PASSPHRASE_FILE: file })).exitCode).toBe(EXIT.ok);
    const old = await credlife(['list']);
    expect([old.exitCode, old.errors]).toEqual([
      EXIT.store,
      expect.stringContaining('ERR_KEYRING_MASTER_KEY_MISMATCH'),
    ]);
  });

  it('takes a new master key from a file', async () => {
    await register('One');
    const file = secretFile('new.key', 'ab'.repeat(32));
    await credlife(['key', 'change-passphrase', '--new-master-key-file', 'new.key']);
    expect((await credlife(['key', 'verify'], { CREDLIFE_MASTER_KEY_FILE: file })).exitCode).toBe(EXIT.ok);
  });

  it.each<[string, string[]]>([
    ['nothing is given and there is no terminal', []],
    ['the file is not there', ['--new-passphrase-file', 'missing']],
    ['the passphrase is empty', ['--new-passphrase-file', 'empty']],
    ['the key is no key', ['--new-master-key-file', 'empty']],
    ['both are given', ['--new-passphrase-file', 'empty', '--new-master-key-file', 'empty']],
    ['the passphrase is an argument', ['--new-passphrase', 'x']],
  ])('changes nothing when %s', async (_sentence, argv) => {
    await register('One');
    secretFile('empty', '\n');
    const { exitCode } = await credlife(['key', 'change-passphrase', ...argv]);
    expect([EXIT.usage, EXIT.store]).toContain(exitCode);
    expect((await credlife(['list'])).exitCode).toBe(EXIT.ok);
  });

  it.each<[string, string, number]>([
    ['twice the same', 'new one\rnew one\r', EXIT.ok],
    ['two different ones', 'new one\rnew two\r', EXIT.usage],
    ['nothing', '\r\r', EXIT.usage],
  ])('asks on a terminal for the passphrase, not shown: %s', async (_sentence, typed, expected) => {
    await register('One');
    const context = capturedContext({ cwd, terminal: true });
    context.input.write(typed);
    await runCommand(context, ['key', 'change-passphrase']);
    const { exitCode, output, errors } = context.captured();
    expect(exitCode).toBe(expected);
    expect(output + errors).not.toContain('new one');
  });
});

describe('backup and restore', () => {
  it('copy the database and put it back, with a warning when that is older', async () => {
    await register('One');
    expect(await credlifeJson(['backup', 'copy.db'])).toEqual({ file: join(cwd, 'copy.db'), credentials: 1 });
    await register('Two');
    const refused = await credlife(['restore', 'copy.db']);
    expect([refused.exitCode, refused.errors]).toEqual([EXIT.store, expect.stringContaining('The backup is older')]);
    const { exitCode, output } = await credlife(['restore', 'copy.db', '--force']);
    expect([exitCode, output]).toEqual([EXIT.ok, expect.stringContaining('OLDER than the database')]);
    expect(existsSync(join(cwd, '.credlife/credentials.db.replaced'))).toBe(true);
    expect((await credlife(['key', 'verify'])).output).toContain('1 values of 1 credentials: all open');
  });

  it('move the anchor with them: a file that was copied back by hand is refused, one that was restored is not', async () => {
    const env = { CREDLIFE_ANCHOR_FILE: join(cwd, 'anchor') };
    await register('One');
    await credlife(['backup', 'copy.db'], env);
    await credlife(
      [
        'register',
        '--name',
        'Two',
        '--token-endpoint',
        'https://as.example/token',
        '--client-id',
        'c',
        '--secret-stdin',
        '--no-test',
      ],
      env,
      's',
    );
    expect((await credlife(['list'], env)).exitCode).toBe(EXIT.ok);
    writeFileSync(join(cwd, '.credlife/credentials.db'), readFileSync(join(cwd, 'copy.db')));
    const refused = await credlife(['list'], env);
    expect([refused.exitCode, refused.errors]).toEqual([EXIT.store, expect.stringContaining('ERR_STORE_ROLLED_BACK')]);
    await credlife(['restore', 'copy.db', '--force'], env);
    expect((await credlife(['list'], env)).exitCode).toBe(EXIT.ok);
  });

  it('refuse to overwrite a file', async () => {
    await register('One');
    writeFileSync(join(cwd, 'there'), 'precious');
    expect((await credlife(['backup', 'there'])).errors).toContain('ERR_STORE_EXISTS');
    expect(readFileSync(join(cwd, 'there'), 'utf8')).toBe('precious');
  });
});
