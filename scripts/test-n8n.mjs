// `npm run test:n8n`: n8n itself (installed once), a current build, then the suites against it.
//
//   node scripts/test-n8n.mjs [jest arguments]      for example: npm run test:n8n -- loading
import { createRequire } from 'node:module';
import process from 'node:process';
import { runJest } from './test/jest.mjs';
import { ensureServers } from './test/servers.mjs';
import { commandStage, conclude, runStages } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');

process.chdir(root);

/**
 * The suite of n8n's queue mode has no replacement for a server that is missing: it would fail without saying why.
 * @param {readonly import('./test/servers.mjs').Server[]} missing
 */
function serversFor(missing) {
  for (const { debian } of missing) console.error(`test:n8n: ${debian} is missing; install it and run this again`);
  return missing.length === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

const total = await runStages([
  commandStage('n8n', [process.execPath, 'scripts/n8n-install.mjs']),
  commandStage('build', [process.execPath, 'scripts/bootstrap.cjs', 'build']),
  { name: 'servers', run: () => Promise.resolve(serversFor(ensureServers())) },
  { name: 'jest', run: () => runJest('jest.n8n.config.cjs', { args: process.argv.slice(2) }) },
]);
conclude(total);
