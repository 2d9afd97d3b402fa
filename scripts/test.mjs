// `npm test`: every check and every suite that needs no n8n.
//
//   node scripts/test.mjs [jest arguments]      for example: npm test -- test/vault
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { installDebianPackages } from './test/debian.mjs';
import { runJest } from './test/jest.mjs';
import { commandStage, conclude, runStages } from './test/stages.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');

process.chdir(root);

/** @param {string} name a command that the development dependencies bring */
const bin = (name) => path.join(root, 'node_modules', '.bin', name);

await installDebianPackages();
const total = await runStages([
  commandStage('format', [bin('prettier'), '--check', '--log-level=warn', '.']),
  commandStage('lint', [bin('eslint'), '.', '--max-warnings=0']),
  commandStage('types', [bin('tsc'), '-p', 'tsconfig.json']),
  commandStage('build', [process.execPath, 'scripts/bootstrap.cjs', 'build']),
  commandStage('package', [process.execPath, 'scripts/check-package.mjs']),
  { name: 'jest', run: () => runJest('jest.config.cjs', { args: process.argv.slice(2) }) },
]);
conclude(total);
