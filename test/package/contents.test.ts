import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { beforeAll, describe, expect, it, test } from '@jest/globals';
import type * as CheckPackage from '../../scripts/check-package.mjs';
import manifest from '../../package.json';
import { PACKAGE_FOLDER } from './package-host.ts';

let checkFiles: typeof CheckPackage.checkFiles;
let files: readonly string[];

beforeAll(async () => {
  const script = await import('../../scripts/check-package.mjs');
  checkFiles = script.checkFiles;
  files = script.listTarball();
});

function sources(pattern: string): string[] {
  return globSync(pattern, { cwd: PACKAGE_FOLDER }).map((file) => file.replaceAll('\\', '/'));
}

describe('the tarball that npm would publish', () => {
  it('has exactly what each source file was compiled to, and no source map', () => {
    const compiled = sources('{src,credentials,nodes}/**/*.ts').flatMap((file) => {
      const base = `dist/${file.replace(/\.ts$/, '')}`;
      return [`${base}.js`, `${base}.d.ts`];
    });
    const code = files.filter((file) => /^dist\/.*\.(js|ts|map)$/.test(file));
    expect([...code].sort()).toEqual(compiled.sort());
  });

  it('has the icons and codex files of all nodes and credential types, and the profiles of providers', () => {
    const copied = sources('{credentials,nodes}/**/*.{svg,png,json}').concat(sources('src/**/*.json'));
    const data = files.filter((file) => /^dist\/.*\.(svg|png|json)$/.test(file));
    expect([...data].sort()).toEqual(copied.map((file) => `dist/${file}`).sort());
  });

  it.each(manifest.n8n.nodes)('has a codex beside %s that names it', (node) => {
    const codex = node.replace(/\.js$/, '.json');
    expect(files).toContain(codex);
    const { node: named } = JSON.parse(readFileSync(posix.join(PACKAGE_FOLDER, codex), 'utf8')) as { node: string };
    const className = posix.basename(node, '.node.js');
    expect(named).toBe(`${manifest.name}.${className.charAt(0).toLowerCase()}${className.slice(1)}`);
  });

  it('names every node and credential type that there is', () => {
    const built = (pattern: string) => sources(pattern).map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
    expect([...manifest.n8n.nodes].sort()).toEqual(built('nodes/**/*.node.ts').sort());
    expect([...manifest.n8n.credentials].sort()).toEqual(built('credentials/**/*.credentials.ts').sort());
  });

  it('has everything that package.json promises and nothing else', () => {
    expect(checkFiles([...files])).toEqual([]);
    for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'bin/credlife.cjs']) expect(files).toContain(file);
  });
});

test.each([
  'test/n8n/world.ts',
  'src/engine.ts',
  'dist/src/engine.js.map',
  'dist/src/.env',
  '.credlife/credentials.db',
  'dist/src/master.key',
  'bench/package.json',
  'examples/embed.ts',
  'docs/images/oauth2-form.light.png',
  'node_modules/n8n-workflow/package.json',
  'package-lock.json',
])('%s would be noticed in it', (file) => {
  expect(checkFiles([...files, file])).toEqual([expect.stringContaining(file)]);
});

test.each(['LICENSE', 'dist/src/index.js', 'dist/nodes/CredentialLifecycle/CredentialLifecycle.node.js'])(
  '%s would be missed in it',
  (file) => {
    expect(checkFiles(files.filter((one) => one !== file))).toEqual([expect.stringContaining(file)]);
  },
);
