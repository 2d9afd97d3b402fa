import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sandbox } from '../../src/sandbox/sandbox.ts';

const ROOT = join(__dirname, '../..');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'without-oidc-provider-'));
  await cp(join(ROOT, 'dist/src'), join(folder, 'dist/src'), { recursive: true });
  await mkdir(join(folder, 'node_modules'));
  for (const name of ['better-sqlite3', 'zod']) {
    await symlink(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  }
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('says so where the development dependencies are not installed', async () => {
  const entry = join(folder, 'dist/src/sandbox/server-process.js');
  const starting = Sandbox.start({ folder: join(folder, 'sandbox') }, { fetch, entry });
  await expect(starting).rejects.toMatchObject({
    code: 'ERR_SANDBOX_UNAVAILABLE',
    message: 'oidc-provider is not installed.',
  });
});
