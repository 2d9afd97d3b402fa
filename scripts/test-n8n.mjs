// `npm run test:n8n`: n8n itself (installed once), a current build, then the suites against it.
//
//   node scripts/test-n8n.mjs [jest arguments]      for example: npm run test:n8n -- loading
import { createRequire } from 'node:module';
import process from 'node:process';
import { runJest } from './test/jest.mjs';
import { commandStage, conclude, runStages } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');

process.chdir(root);

const total = await runStages([
  commandStage('n8n', [process.execPath, 'scripts/n8n-install.mjs']),
  commandStage('build', [process.execPath, 'scripts/bootstrap.cjs', 'build']),
  { name: 'jest', run: () => runJest('jest.n8n.config.cjs', { args: process.argv.slice(2) }) },
]);
conclude(total);
