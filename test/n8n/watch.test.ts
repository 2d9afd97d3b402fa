import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod/v4';
import { runCommand, startCommand, type Running } from '../cli/run-command.ts';
import { temporaryFolder } from '../support/folder.ts';
import { eventually } from '../support/eventually.ts';
import { Receiver } from '../webhooks/receiver.ts';
import { Started } from '../support/started.ts';
import { GuardedService } from './guarded-service.ts';
import { installPackage } from './installed-package.ts';
import { N8nServer } from './n8n-server.ts';
import { chain, type CredentialReference, manualTrigger, node } from './workflow.ts';
import { outputOf } from './world.ts';

const SECRET = 'a-watched-token-9f2c';
const SCOPES = ['credential:list', 'credential:read'];
const OWN = { endpointSource: 'tokenEndpoint', tokenEndpoint: 'https://as.example/token', clientId: 'own' };

const started = Started.inSuite();
const folder = temporaryFolder();
let n8n: N8nServer;
let service: GuardedService;
let receiver: Receiver;
let grafana: CredentialReference;
let headerAuth: CredentialReference;
let env: Record<string, string>;

beforeAll(async () => {
  started.later(folder.dispose);
  service = await started.add(GuardedService.start());
  receiver = await Receiver.start();
  started.later(() => receiver.kill());
  n8n = await started.add(N8nServer.start({ packages: [installPackage()] }));
  service.token = SECRET;
  grafana = await n8n.createCredential('grafanaApi', 'Dashboards', { apiKey: SECRET, baseUrl: service.url });
  headerAuth = await n8n.createCredential('httpHeaderAuth', 'Some header', { name: 'x-key', value: SECRET });
  await n8n.createCredential('lifecycleOAuth2Api', 'Of the engine', { ...OWN, clientSecret: SECRET });
  env = { CREDLIFE_N8N_URL: n8n.url, CREDLIFE_N8N_API_KEY_FILE: keyFile('key', await n8n.createApiKey(SCOPES)) };
  await credlife(['init']);
  await credlife(['webhook', 'add', receiver.url, '--types', 'health.failed', 'health.recovered']);
});

function keyFile(name: string, key: string): string {
  const file = path.join(folder.path, name);
  writeFileSync(file, `${key}\n`);
  chmodSync(file, 0o600);
  return file;
}

function credlife(argv: readonly string[], changes: Record<string, string> = {}) {
  return runCommand(argv, { cwd: folder.path, env: { ...env, ...changes } });
}

const outcome = z.object({
  n8n: z.object({ url: z.string(), failure: z.object({ code: z.string(), message: z.string() }).nullable() }),
  credentials: z.array(
    z.looseObject({
      name: z.string(),
      watched: z.string(),
      lastTest: z.looseObject({ message: z.string() }).nullable(),
    }),
  ),
});

async function lookOnce() {
  const { output, exitCode, errors } = await credlife(['watch', 'n8n', '--once', '--every', '1s', '--json']);
  const { n8n: host, credentials } = outcome.parse(JSON.parse(output));
  return { host, exitCode, errors, watched: new Map(credentials.map((each) => [each.name, each])) };
}

/** A long-running watch with a period of a second, until the service was asked `times` more times. */
async function watchUntilAsked(times: number): Promise<void> {
  const before = service.requests;
  const running = startCommand(['watch', 'n8n', '--every', '1s'], { cwd: folder.path, env });
  await eventually(() => service.requests >= before + times, { timeoutMs: 90_000 });
  await end(running);
}

async function end({ child, finished }: Running): Promise<void> {
  child.kill('SIGTERM');
  expect(await finished).toMatchObject({ exitCode: 0, errors: '' });
}

describe('credlife watch n8n', () => {
  it('lists what n8n keeps, has n8n test what it can, and leaves the types of this package to the engine', async () => {
    const { host, exitCode, watched } = await lookOnce();
    expect(host).toEqual({ url: n8n.url, failure: null });
    expect(exitCode).toBe(0);
    const states = [...watched].map(([name, { watched: state }]) => [name, state]);
    expect(Object.fromEntries(states)).toEqual({
      [`n8n at ${new URL(n8n.url).host}`]: 'working',
      Dashboards: 'working',
      'Some header': 'noTest',
    });
    expect(watched.get('Some header')?.lastTest?.message).toBe('n8n has no test for the type httpHeaderAuth.');
    expect(service.requests).toBe(1);
  });

  it('alerts once when a credential was broken at its server, over several periods and a restart', async () => {
    service.token = 'another-token';
    await watchUntilAsked(3);
    await eventually(() => receiver.types.length > 0);
    await watchUntilAsked(2);
    expect(service.refused).toBeGreaterThanOrEqual(5);
    expect(receiver.types).toEqual(['health.failed']);
    const { exitCode, watched } = await lookOnce();
    expect(exitCode).toBe(3);
    expect(watched.get('Dashboards')).toMatchObject({ watched: 'failing', health: 'failing' });
    expect(receiver.types).toEqual(['health.failed']);
  });

  it('shows the failing one in the list, with the place in n8n, and nothing of its secret or of its server’s answer', async () => {
    const { output } = await credlife(['list']);
    expect(output).toMatch(/Dashboards +n8n +watched: fails/);
    expect(output).toMatch(/Some header +n8n +watched: no test in n8n/);
    expect(output).toContain(`${n8n.url}/home/credentials/${grafana.id}`);
    const everything = [output, (await credlife(['list', '--json'])).output, JSON.stringify(receiver.requests)];
    for (const text of everything) expect(text).not.toMatch(/a-watched-token|wrong:/);
  });

  it('alerts once when it works again', async () => {
    service.token = SECRET;
    const running = startCommand(['watch', 'n8n', '--every', '1s'], { cwd: folder.path, env });
    await eventually(() => receiver.types.length > 1, { timeoutMs: 120_000 });
    const before = service.requests;
    await eventually(() => service.requests >= before + 2, { timeoutMs: 60_000 });
    await end(running);
    expect(receiver.types).toEqual(['health.failed', 'health.recovered']);
  });

  it('changes nothing in n8n, and cannot be used here', async () => {
    const { output } = await credlife(['list', '--json']);
    const { credentials } = z
      .object({ credentials: z.array(z.object({ id: z.string(), name: z.string() })) })
      .parse(JSON.parse(output));
    const idOf = (wanted: string) => credentials.find(({ name }) => name === wanted)?.id ?? '';
    const id = idOf('Dashboards');
    const stored = JSON.stringify(await n8n.readCredential(grafana));
    const header = JSON.stringify(await n8n.readCredential(headerAuth));
    expect((await credlife(['use', id])).errors).toContain('[ERR_N8N_WATCHED_ONLY]');
    expect((await credlife(['refresh', id])).exitCode).toBe(0);
    expect((await credlife(['rotate', id])).errors).toContain('[ERR_ROTATION_UNSUPPORTED]');
    expect((await credlife(['test', id])).exitCode).toBe(0);
    expect((await credlife(['revoke', idOf('Some header')])).exitCode).toBe(0);
    expect((await lookOnce()).watched.get('Some header')?.watched).toBe('ended');
    expect(JSON.stringify(await n8n.readCredential(grafana))).toBe(stored);
    expect(JSON.stringify(await n8n.readCredential(headerAuth))).toBe(header);
  });

  it('watches into the engine of that n8n itself, whose node then lists what is watched', async () => {
    // The first who asks that engine anything founds its database.
    const guess = { id: '', name: 'Guess', type: 'managedCredentialApi' };
    await n8n.testCredential(guess, { credentialId: 'none', accessKey: 'none' });
    const looked = await credlife(['--n8n', n8n.n8nFolder, 'watch', 'n8n', '--once']);
    expect(looked).toMatchObject({ exitCode: 0, errors: '' });
    const granted = await credlife(['--n8n', n8n.n8nFolder, 'grant', '--engine', '--scopes', 'list', '--json']);
    const { accessKey } = z.looseObject({ accessKey: z.string() }).parse(JSON.parse(granted.output));
    const credential = await n8n.createCredential('credentialLifecycleAccessApi', 'Access', { accessKey });
    const parameters = { resource: 'credential', operation: 'list', returnAll: true, filters: { protocol: 'n8n' } };
    const type = 'n8n-nodes-credential-lifecycle.credentialLifecycle';
    const list = node({ name: 'Watched', type, parameters, credential });
    const execution = await n8n.runManually(await n8n.createWorkflow(chain('Watched', [manualTrigger(), list])));
    const items = outputOf(execution, 'Watched');
    expect(items.find(({ name }) => name === 'Dashboards')).toMatchObject({
      ...{ protocol: 'n8n', health: 'healthy', healthChangedAt: expect.any(String) },
      endpoint: `${n8n.url}/home/credentials/${grafana.id}`,
    });
    expect(items.find(({ name }) => name === 'Some header')).toMatchObject({ health: 'unknown' });
    expect(items.some(({ name }) => name === 'Access')).toBe(false);
  });

  it('forgets what was deleted in n8n, and follows a new name', async () => {
    await n8n.deleteCredential(headerAuth);
    await n8n.request('PATCH', `/rest/credentials/${grafana.id}`, {
      ...{ name: 'Boards', type: 'grafanaApi' },
      data: { apiKey: SECRET, baseUrl: service.url },
    });
    expect([...(await lookOnce()).watched.keys()]).toEqual([`n8n at ${new URL(n8n.url).host}`, 'Boards']);
  });

  it.each([
    { key: 'not-a-key-of-this-n8n', scopes: [], code: 'ERR_N8N_KEY_REFUSED' },
    { key: null, scopes: ['workflow:list'], code: 'ERR_N8N_SCOPE_MISSING' },
    { key: null, scopes: ['credential:list'], code: 'ERR_N8N_SCOPE_MISSING' },
  ])('says in one line what to do about a key with $scopes: $code', async ({ key, scopes, code }) => {
    const file = keyFile('bad-key', key ?? (await n8n.createApiKey(scopes)));
    const changes = { CREDLIFE_N8N_API_KEY_FILE: file };
    for (const argv of [
      ['watch', 'n8n', '--once'],
      ['watch', 'n8n'],
    ]) {
      const { exitCode, errors } = await credlife(argv, changes);
      expect(exitCode).toBe(2);
      expect(errors).toMatch(new RegExp(`^credlife: .*\\[${code}\\] .*credential:list and credential:read.*\\n$`));
    }
  });

  it('tells of an n8n that is down once, and of nothing else', async () => {
    await lookOnce();
    const before = receiver.types.length;
    await n8n.stop({ keepFolder: true });
    const { exitCode, host } = await lookOnce();
    expect(exitCode).toBe(6);
    expect(host.failure?.code).toBe('ERR_ENDPOINT_UNREACHABLE');
    const running = startCommand(['watch', 'n8n', '--every', '1s'], { cwd: folder.path, env });
    await eventually(() => receiver.types.length > before);
    await end(running);
    expect((await lookOnce()).exitCode).toBe(6);
    expect(receiver.types.slice(before).filter((type) => type === 'health.failed')).toHaveLength(1);
    const { watched } = await lookOnce();
    expect([...watched.values()].filter(({ watched: state }) => state === 'failing')).toHaveLength(1);
  });
});
