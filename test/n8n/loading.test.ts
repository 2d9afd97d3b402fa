import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import manifest from '../../package.json';
import { n8nFolder } from '../../scripts/bootstrap/toolchain.cjs';
import { Started } from '../support/started.ts';
import { installPackage, pack } from './installed-package.ts';
import { N8nServer } from './n8n-server.ts';

const CREDENTIAL_TYPES = [
  'credentialLifecycleAccessApi',
  'lifecycleBasicApi',
  'lifecycleLdapApi',
  'lifecycleOAuth2Api',
  'managedCredentialApi',
];

const folder = mkdtempSync(path.join(tmpdir(), 'credlife-hook-'));
const VERDICT = path.join(folder, 'verdict.json');

/**
 * A hook of n8n's own, which runs in n8n's process once it is ready. It takes our module as n8n loaded it, has it make an error
 * as our nodes do, and asks n8n's copy of n8n-workflow whether that is one of its own. n8n stores errors as plain objects, so
 * an execution cannot tell.
 */
const HOOK = `
  const { createRequire } = require('node:module');
  const { writeFileSync } = require('node:fs');
  const host = createRequire(${JSON.stringify(path.join(n8nFolder(), 'node_modules', 'n8n', 'bin', 'n8n'))});
  const judge = () => {
    const loaded = Object.keys(require.cache);
    const ours = loaded.find((file) => file.endsWith('/${manifest.name}/dist/src/n8n/errors.js'));
    const roots = loaded.map((file) => /^.*node_modules.n8n-workflow(?=.dist)/.exec(file)?.[0]).filter(Boolean);
    const thrown = require(ours).toNodeError({ name: 'A node' }, new Error('any'), 0);
    const isOfHost = thrown instanceof host('n8n-workflow').NodeOperationError;
    writeFileSync(${JSON.stringify(VERDICT)}, JSON.stringify({ isOfHost, copies: new Set(roots).size }));
  };
  module.exports = { n8n: { ready: [judge] } };
`;

describe('the packed tarball, installed as n8n installs it', () => {
  const started = Started.inSuite();
  let n8n: N8nServer;

  beforeAll(async () => {
    started.later(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    const hook = path.join(folder, 'hook.cjs');
    writeFileSync(hook, HOOK);
    n8n = await started.add(N8nServer.start({ packages: [installPackage()], env: { EXTERNAL_HOOK_FILES: hook } }));
  });

  it('loads without a complaint of n8n', () => {
    const complaints = n8n.log.split('\n').filter((line) => /failed to load|error loading/i.test(line));
    expect(complaints).toEqual([]);
  });

  it('has all its credential types listed', async () => {
    const listed = (await n8n.credentialTypes()).map((type) => type.name);
    expect(listed.filter((name) => CREDENTIAL_TYPES.includes(name)).sort()).toEqual(CREDENTIAL_TYPES);
  });

  it('has its node listed under the name of the package', async () => {
    const listed = (await n8n.nodeTypes()).map((type) => type.name);
    expect(listed.filter((name) => name.startsWith(manifest.name))).toContain(`${manifest.name}.credentialLifecycle`);
  });

  it('brings no copy of what n8n itself has', () => {
    const installed = path.join(n8n.n8nFolder, 'nodes', 'node_modules', manifest.name);
    const own = globSync('**/node_modules/{n8n-workflow,n8n-core,@n8n/*}', { cwd: installed });
    expect(own).toEqual([]);
    // The pattern finds what is there.
    expect(globSync('**/node_modules/xstate', { cwd: installed })).toHaveLength(1);
  });

  it("throws errors of n8n's own classes, of which there is one copy", () => {
    expect(JSON.parse(readFileSync(VERDICT, 'utf8'))).toEqual({ isOfHost: true, copies: 1 });
  });
});

describe('the tarball, installed by hand', () => {
  it.each([
    ['with --legacy-peer-deps', ['--legacy-peer-deps']],
    ['without it', []],
  ])('by npm install %s brings no copy of what n8n has either', (_how, flags) => {
    const nodes = mkdtempSync(path.join(tmpdir(), 'credlife-nodes-'));
    try {
      const tarball = pack(path.resolve(__dirname, '../..'), nodes);
      const args = ['install', ...flags, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', tarball];
      execFileSync('npm', args, { cwd: nodes, stdio: ['ignore', 'ignore', 'inherit'] });
      expect(globSync(`node_modules/${manifest.name}/dist/src/index.js`, { cwd: nodes })).toHaveLength(1);
      expect(globSync('**/node_modules/{n8n-workflow,n8n-core,@n8n}', { cwd: nodes })).toEqual([]);
    } finally {
      rmSync(nodes, { recursive: true, force: true });
    }
  });
});
