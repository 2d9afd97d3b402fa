// `npm test`: every check and every suite that needs no n8n.
//
//   node scripts/test.mjs [jest arguments]      for example: npm test -- test/vault
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { checkScenarios } from './failure-scenarios.mjs';
import { installDebianPackages } from './test/debian.mjs';
import { runJest } from './test/jest.mjs';
import { ensureServers, suitesOf } from './test/servers.mjs';
import { commandStage, conclude, runStages } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');

process.chdir(root);

/** @param {string} name a command that the development dependencies bring */
const bin = (name) => path.join(root, 'node_modules', '.bin', name);

/** @type {import('./test/jest.mjs').Report | null} */
let report = null;

/** Compares the published list of failure scenarios with the run: only a whole run can judge it. */
function judgeScenarios() {
  const problems = report === null ? ['there is no report of the tests'] : checkScenarios(report);
  for (const problem of problems) console.error(`docs/failure-scenarios.md: ${problem}`);
  return Promise.resolve(problems.length === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 });
}

const args = process.argv.slice(2);
await installDebianPackages();
const missing = ensureServers();
const left = suitesOf(missing);
const env = { CREDLIFE_TEST_LEAVE_OUT: left.join(',') };

const total = await runStages([
  commandStage('format', [bin('prettier'), '--check', '--log-level=warn', '.']),
  // Built first: scripts that read the built package are type-checked and linted against it.
  commandStage('build', [process.execPath, 'scripts/bootstrap.cjs', 'build']),
  commandStage('lint', [bin('eslint'), '.', '--max-warnings=0']),
  commandStage('types', [bin('tsc'), '-p', 'tsconfig.json']),
  commandStage('package', [process.execPath, 'scripts/check-package.mjs']),
  { name: 'jest', run: () => runJest('jest.config.cjs', { args, env, onReport: (read) => (report = read) }) },
  ...(args.length === 0 ? [{ name: 'scenarios', run: judgeScenarios }] : []),
]);
if (left.length > 0) {
  const packages = missing.map((server) => server.debian).join(', ');
  console.log(`\nnot run, for want of ${packages} and of the right to install them:\n  ${left.join('\n  ')}`);
}
// What could not run has shown nothing: where everything must be shown, that is a failure.
const isUnshown = process.env['CI'] === 'true';
conclude({ ...total, failed: total.failed + (isUnshown ? left.length : 0) });
