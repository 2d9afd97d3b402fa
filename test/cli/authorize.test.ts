import { once } from 'node:events';
import { request } from 'node:http';
import { join } from 'node:path';
import { browserCommand } from '../../src/cli/sign-in/browser.ts';
import { bytesOf } from '../engine/support/database.ts';
import { CLIENT_SECRET, PEOPLES_CLIENTS, tampered } from '../engine/support/sign-in.ts';
import { Browser, OidcServer } from '../servers/oidc.ts';
import { temporaryFolder } from '../support/folder.ts';
import { runCaptured } from './captured-context.ts';
import { documentOf, runCommand, startCommand, type Running } from './run-command.ts';

jest.setTimeout(30_000);

let server: OidcServer;
let folder: ReturnType<typeof temporaryFolder>;

const PASTED_URI = 'https://host.example/callback';
const DEVICE = {
  ...{ client_id: 'device', client_secret: CLIENT_SECRET, response_types: [], redirect_uris: [] },
  grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
};
const [ONE] = PEOPLES_CLIENTS;
const PASTED = { ...ONE, client_id: 'pasted', application_type: 'web', redirect_uris: [PASTED_URI] };

beforeAll(async () => {
  server = await OidcServer.start({ clients: [...PEOPLES_CLIENTS, DEVICE, PASTED] });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  await runCaptured(['init'], { cwd: folder.path });
});

afterEach(() => {
  folder.dispose();
});

async function registered(grantType: string, clientId: string, scope = 'openid offline_access'): Promise<string> {
  const where = ['--issuer', server.issuer, '--allow-insecure-transport', '--client-id', clientId, '--scope', scope];
  const argv = ['register', '--name', 'Person', ...where, '--grant-type', grantType, '--secret-stdin', '--json'];
  const finished = await runCaptured(argv, { cwd: folder.path, input: CLIENT_SECRET });
  expect([finished.exitCode, finished.errors, documentOf(finished)['state']]).toEqual([3, '', 'pending.authorizing']);
  return String(documentOf(finished)['id']);
}

/** What the command has asked of a person, as soon as it fits. */
async function asked({ child }: Running, pattern: RegExp): Promise<string> {
  let text = '';
  for (;;) {
    const found = pattern.exec(text);
    if (found) return found[1] ?? '';
    const [chunk] = (await once(child.stderr ?? child, 'data')) as [Buffer];
    text += chunk.toString();
  }
}

const URL_LINE = /(http:\/\/\S+\/auth\?\S+)\n/;

function redirectUriOf(url: string): string {
  return new URL(url).searchParams.get('redirect_uri') ?? '';
}

/** A raw GET, which may name any host. */
function get(
  url: string,
  host = new URL(url).host,
  method = 'GET',
): Promise<{ status: number; text: string; headers: object }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { host } }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('by a callback on this machine', () => {
  it('signs in, tests the credential, and leaves code and tokens out of all it shows', async () => {
    const id = await registered('authorization_code', 'one');
    const running = startCommand(['authorize', id], { cwd: folder.path });
    const url = await asked(running, URL_LINE);
    const redirectUri = redirectUriOf(url);
    expect(redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    const callbackUrl = await new Browser().signIn(url, redirectUri);
    const page = await get(callbackUrl);
    const { exitCode, output } = await running.finished;
    expect([exitCode, page.status]).toEqual([0, 200]);
    expect(page.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
    expect(page.text).toContain('Signed in');
    expect(output).toContain('somebody signed in');
    expect(output).toContain('test passed');
    const { searchParams } = new URL(callbackUrl);
    for (const name of ['code', 'state']) {
      expect(page.text).not.toContain(searchParams.get(name));
      expect(output).not.toContain(searchParams.get(name));
      expect(bytesOf(join(folder.path, '.credlife')).includes(searchParams.get(name) ?? '')).toBe(false);
    }
    await expect(get(callbackUrl)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('waits on after what is not its answer, and takes the right one once', async () => {
    const id = await registered('authorization_code', 'one');
    const running = startCommand(['authorize', id, '--json'], { cwd: folder.path });
    const url = await asked(running, URL_LINE);
    const redirectUri = redirectUriOf(url);
    const callbackUrl = await new Browser().signIn(url, redirectUri);
    expect((await get(redirectUri)).status).toBe(400);
    expect((await get(tampered(callbackUrl, { state: 'x'.repeat(43) }))).status).toBe(400);
    expect((await get(callbackUrl, 'evil.example')).status).toBe(404);
    expect((await get(callbackUrl, undefined, 'POST')).status).toBe(404);
    expect((await get(new URL('/favicon.ico', redirectUri).href)).status).toBe(404);
    expect((await get(callbackUrl)).status).toBe(200);
    const finished = await running.finished;
    expect(finished.exitCode).toBe(0);
    expect(documentOf(finished)).toMatchObject({ id, state: 'valid.fresh', advice: null, test: { success: true } });
  });

  it('says how to get a refresh token when none came', async () => {
    const id = await registered('authorization_code', 'one', 'openid');
    const running = startCommand(['authorize', id], { cwd: folder.path });
    const url = await asked(running, URL_LINE);
    await get(await new Browser().signIn(url, redirectUriOf(url)));
    expect((await running.finished).output).toContain('offline_access');
  });

  it('says that the person refused', async () => {
    const id = await registered('authorization_code', 'one');
    await server.set({ denyNext: true });
    const running = startCommand(['authorize', id], { cwd: folder.path });
    const url = await asked(running, URL_LINE);
    const page = await get(await new Browser().signIn(url, redirectUriOf(url)));
    const { exitCode, errors } = await running.finished;
    expect([page.status, exitCode]).toEqual([400, 3]);
    expect(errors).toContain('ERR_AUTHORIZATION_DENIED');
  });

  it('ends when nobody comes', async () => {
    const id = await registered('authorization_code', 'one');
    const { exitCode, errors } = await runCommand(['authorize', id, '--for', '1s'], { cwd: folder.path });
    expect(exitCode).toBe(3);
    expect(errors).toContain('ERR_AUTHORIZATION_EXPIRED');
  });
});

it('takes the address that a browser elsewhere ended at', async () => {
  const id = await registered('authorization_code', 'pasted');
  const running = startCommand(['authorize', id, '--callback-url', PASTED_URI], { cwd: folder.path, keepInput: true });
  const url = await asked(running, URL_LINE);
  running.child.stdin?.end(`${await new Browser().signIn(url, PASTED_URI)}\n`);
  expect((await running.finished).exitCode).toBe(0);
});

it('shows a code and a link for another device', async () => {
  const id = await registered('device_code', 'device');
  const running = startCommand(['authorize', id, '--device'], { cwd: folder.path });
  const [link = '', code = ''] = (await asked(running, /Open {2}(\S+\nand enter the code {2}\S+)\n/)).split(
    '\nand enter the code  ',
  );
  await new Browser().enterUserCode(link, code);
  const { exitCode, output } = await running.finished;
  expect([exitCode, output.includes('somebody signed in')]).toEqual([0, true]);
});

it.each<[string, string[], string]>([
  ['two ways at once', ['--device', '--callback-url', PASTED_URI], 'ERR_CONFIG_MALFORMED'],
  ['a port that is none', ['--port', '70000'], 'ERR_CONFIG_MALFORMED'],
  ['an answer for a redirect URI', ['--callback-url', `${PASTED_URI}?code=x&state=y`], 'ERR_CONFIG_MALFORMED'],
])('refuses %s', async (_sentence, options, code) => {
  const id = await registered('authorization_code', 'one');
  const { exitCode, errors } = await runCaptured(['authorize', id, ...options], { cwd: folder.path });
  expect([exitCode, errors.includes(code), errors.includes('code=x')]).toEqual([2, true, false]);
});

it('opens a browser where there is a screen only', () => {
  expect(browserCommand('linux', {})).toEqual([]);
  expect(browserCommand('linux', { DISPLAY: ':0' })).toEqual(['xdg-open']);
  expect(browserCommand('darwin', {})).toEqual(['open']);
  expect(browserCommand('win32', {})).toEqual(['rundll32', 'url.dll,FileProtocolHandler']);
});

it('registers a public client without asking for a secret', async () => {
  const where = ['--issuer', server.issuer, '--allow-insecure-transport', '--client-id', 'one'];
  const argv = [
    'register',
    '--name',
    'Public',
    ...where,
    '--grant-type',
    'authorization_code',
    '--client-authentication',
    'none',
  ];
  const { exitCode, output } = await runCaptured(argv, { cwd: folder.path });
  expect([exitCode, output.includes('Sign in with: credlife authorize cr_')]).toEqual([3, true]);
});
