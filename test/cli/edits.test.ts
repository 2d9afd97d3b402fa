import { runCaptured, type Captured } from './captured-context.ts';
import { documentOf, runCommand } from './run-command.ts';
import { Endpoint, tokens } from '../engine/support/endpoint.ts';
import { temporaryFolder } from '../support/engine.ts';

let folder: ReturnType<typeof temporaryFolder>;
let endpoint: Endpoint;

beforeEach(async () => {
  folder = temporaryFolder();
  endpoint = await Endpoint.start(tokens());
});

afterEach(async () => {
  await endpoint.stop();
  folder.dispose();
});

const credlife = (argv: readonly string[], input = ''): Promise<Captured> =>
  runCaptured([...argv, '--json'], { cwd: folder.path, input });

test('a credential is paused, updated, resumed and deleted; a webhook added, tested and removed', async () => {
  await credlife(['init']);
  const at = ['--token-endpoint', endpoint.tokenEndpoint, '--allow-insecure-transport'];
  const registered = await credlife(
    ['register', '--name', 'API', '--client-id', 'c', ...at, '--secret-stdin', '--test-every', '30m'],
    'client-secret',
  );
  expect(registered.exitCode).toBe(0);
  expect(documentOf(await credlife(['pause', 'API']))).toMatchObject({ paused: true });
  expect((await runCommand(['list'], { cwd: folder.path })).output).toContain('paused: valid');
  const updated = await credlife(['update', 'API', '--name', 'Renamed', '--scope', 'more', '--test-every', 'off']);
  expect(documentOf(updated)).toMatchObject({ name: 'Renamed', generation: 3, testEveryMs: 0, paused: true });
  expect(endpoint.requests.at(-1)?.body).toContain('scope=more');
  expect(await credlife(['update', 'Renamed'])).toMatchObject({ exitCode: 2 });
  expect(await credlife(['update', 'Renamed', '--test-every', '1s'])).toMatchObject({ exitCode: 2 });
  expect(documentOf(await credlife(['resume', 'Renamed']))).toMatchObject({ paused: false });
  // Nobody to ask, a wrong name, the right one.
  expect(await credlife(['delete', 'Renamed'])).toMatchObject({ exitCode: 2 });
  expect(await credlife(['delete', 'Renamed'], 'Other\n')).toMatchObject({ exitCode: 3 });
  const confirmed = { cwd: folder.path, input: 'Renamed\n' };
  expect(documentOf(await runCommand(['delete', 'Renamed', '--json'], confirmed))).toMatchObject({ deleted: true });
  expect(await credlife(['delete', 'Renamed', '--yes'])).toMatchObject({ exitCode: 4 });
  endpoint.answer = (response) => response.end();
  const added = documentOf(await credlife(['webhook', 'add', endpoint.url, '--types', 'credential.needsUser']));
  const { webhookId } = added['webhook'] as { webhookId: string };
  expect(added['key']).toMatch(/^whsec_/);
  expect(documentOf(await credlife(['webhook', 'list']))).toMatchObject({ webhooks: [{ webhookId, waiting: 0 }] });
  expect(documentOf(await credlife(['webhook', 'test', webhookId]))).toMatchObject({ delivered: true, status: 200 });
  expect(documentOf(await credlife(['webhook', 'rotate-key', webhookId]))['key']).not.toBe(added['key']);
  expect(await credlife(['webhook', 'add', endpoint.url, '--types', 'nothing'])).toMatchObject({ exitCode: 2 });
  expect(await credlife(['webhook', 'add', 'http://receiver.example/'])).toMatchObject({ exitCode: 2 });
  expect(documentOf(await credlife(['webhook', 'remove', webhookId]))).toMatchObject({ removed: true });
  expect(await credlife(['webhook', 'test', webhookId])).toMatchObject({ exitCode: 2 });
}, 90_000);
