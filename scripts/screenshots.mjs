// `npm run screenshots`: the pictures of docs/images, taken by the suite that looks at the package in n8n's editor.
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { runJest } from './test/jest.mjs';
import { ensureServers } from './test/servers.mjs';
import { commandStage, conclude, runStages } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');
const FOLDER = path.join(root, 'docs', 'images');
const SUITE = 'test/n8n/editor.test.ts';

process.chdir(root);
mkdirSync(FOLDER, { recursive: true });
ensureServers();

const total = await runStages([
  commandStage('n8n', [process.execPath, 'scripts/n8n-install.mjs']),
  commandStage('build', [process.execPath, 'scripts/bootstrap.cjs', 'build']),
  {
    name: 'pictures',
    run: () =>
      runJest('jest.n8n.config.cjs', { args: ['--runTestsByPath', SUITE], env: { CREDLIFE_SCREENSHOTS: FOLDER } }),
  },
]);
for (const name of readdirSync(FOLDER)) {
  console.log(`${name.padEnd(32)} ${Math.ceil(statSync(path.join(FOLDER, name)).size / 1_024)} KB`);
}
conclude(total);
