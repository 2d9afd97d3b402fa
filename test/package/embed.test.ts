import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/engine.ts';
import { PACKAGE_FOLDER } from './package-host.ts';

/** A project of somebody else, in which this package and xstate are installed. */
const host = temporaryFolder();
afterAll(() => {
  host.dispose();
});

it('runs examples/embed.ts as a host would, in plain Node, on the built package', () => {
  const modules = join(host.path, 'node_modules');
  mkdirSync(modules);
  symlinkSync(PACKAGE_FOLDER, join(modules, 'n8n-nodes-credential-lifecycle'));
  symlinkSync(join(PACKAGE_FOLDER, 'node_modules/xstate'), join(modules, 'xstate'));
  writeFileSync(join(host.path, 'package.json'), '{"type":"module"}');
  copyFileSync(join(PACKAGE_FOLDER, 'examples/embed.ts'), join(host.path, 'embed.ts'));
  const output = execFileSync(process.execPath, ['embed.ts'], { cwd: host.path, encoding: 'utf8', env: {} });
  expect(output.trim().split('\n')).toEqual([
    '{"pending":"unverified"}',
    '{"refreshing":"claimed"}',
    '{"refreshing":"sent"}',
    '{"valid":"fresh"}',
  ]);
});
