'use strict';

// What stands behind every npm script: the right Node, the locked dependencies and a current build, then the command itself.
// Plain CommonJS without dependencies, because it runs before anything is installed and on Nodes older than the one we need.
//
//   node scripts/bootstrap.cjs start [ARGS]     credlife serve --sandbox ARGS
//   node scripts/bootstrap.cjs test             every check and every suite
//   node scripts/bootstrap.cjs test:n8n         the suites against a real n8n
//   node scripts/bootstrap.cjs screenshots      the pictures of docs/images, taken in a real n8n
//   node scripts/bootstrap.cjs chaos NAME       a kill loop at full length
//   node scripts/bootstrap.cjs bench NAME       a measurement beside peers
//   node scripts/bootstrap.cjs build            bring dist up to date
//   node scripts/bootstrap.cjs exec CMD ARGS    a command with the project's Node and node_modules/.bin in front

const fs = require('fs');
const path = require('path');
const { pathToFileURL } = require('url');
const { isAtLeast } = require('../bin/node-version.cjs');
const { endWithNpm, fail, followParent, report, runInOurPlace } = require('./bootstrap/process.cjs');
const { environmentOf, fetchNode } = require('./bootstrap/toolchain.cjs');
const { ensureBuilt, ensureInstalled, root } = require('./bootstrap/project.cjs');

/** Set for our own second run, so that a Node that is still too old ends in a message and not in a loop. */
const REEXECUTED = 'CREDLIFE_BOOTSTRAPPED';

/**
 * Becomes another script without another process, so that signals and exit codes need nobody to pass them on.
 * @param {string} script
 * @param {string[]} args
 */
function become(script, args) {
  const file = path.join(root, script);
  process.argv.splice(1, process.argv.length, file, ...args);
  import(pathToFileURL(file).href).catch(report);
}

/** @param {string[]} args */
function exec(args) {
  const command = args[0];
  if (command === undefined)
    fail('exec needs a command', 'write for example: node scripts/bootstrap.cjs exec eslint .');
  ensureInstalled();
  const { PATH = '' } = process.env;
  const env = Object.assign({}, process.env, { PATH: path.join(root, 'node_modules', '.bin') + path.delimiter + PATH });
  runInOurPlace(command, args.slice(1), { cwd: root, env, follows: false });
}

/** @type {Record<string, (args: string[]) => void>} */
const verbs = {
  start: (args) => {
    ensureInstalled();
    ensureBuilt();
    become('bin/credlife.cjs', ['serve', '--sandbox', ...args]);
  },
  test: (args) => {
    ensureInstalled();
    become('scripts/test.mjs', args);
  },
  'test:n8n': (args) => {
    ensureInstalled();
    become('scripts/test-n8n.mjs', args);
  },
  screenshots: (args) => {
    ensureInstalled();
    become('scripts/screenshots.mjs', args);
  },
  chaos: (args) => {
    ensureInstalled();
    ensureBuilt();
    become('scripts/chaos.mjs', args);
  },
  bench: (args) => {
    ensureInstalled();
    ensureBuilt();
    become('scripts/bench.mjs', args);
  },
  build: () => {
    ensureInstalled();
    ensureBuilt();
  },
  exec,
};

/** Runs this file again under the project's Node. */
function underProjectNode(/** @type {string} */ minimum) {
  if (process.env[REEXECUTED]) {
    fail(`still on Node ${process.version}`, `put Node ${minimum} first in PATH and run this again`);
  }
  const folder = fetchNode(fs.readFileSync(path.join(root, '.node-version'), 'utf8').trim(), minimum);
  const env = Object.assign(environmentOf(folder), { [REEXECUTED]: '1' });
  const args = [__filename, ...process.argv.slice(2)];
  runInOurPlace(path.join(folder, 'bin', 'node'), args, { cwd: process.cwd(), env, follows: true });
}

function main() {
  const verb = process.argv[2] || '';
  const run = verbs[verb];
  if (!run) fail(`unknown verb "${verb}"`, `use one of: ${Object.keys(verbs).join(', ')}`);
  const minimum = require('../package.json').engines.node;
  // In the second run our parent is the first, and a message tells us about that one.
  if (!process.connected) endWithNpm();
  if (!isAtLeast(process.version, minimum)) {
    underProjectNode(minimum);
    return;
  }
  delete process.env[REEXECUTED];
  followParent();
  run(process.argv.slice(3));
}

try {
  main();
} catch (error) {
  report(error);
}
