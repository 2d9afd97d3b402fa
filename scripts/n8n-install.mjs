// Installs n8n once into the user's cache folder: a few minutes and about 3 GB, kept between runs and shared by all clones.
//
//   node scripts/n8n-install.mjs      prints the folder
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const { fail, report, runStep } = require('./bootstrap/process.cjs');
const { fetchNode, installOnce, N8N_VERSION, n8nFolder, NPM_FLAGS } = require('./bootstrap/toolchain.cjs');

/** n8n's own packages that are compiled here; everything else in it is plain JavaScript or ships its binaries. */
const NATIVE = ['sqlite3', 'isolated-vm'];
const COMPILERS = ['python3', 'make', 'g++'];

const hostPackage = {
  name: 'n8n-host',
  private: true,
  dependencies: { n8n: N8N_VERSION },
  // n8n depends on a cssom fork that is no longer published under that name; this is its successor.
  overrides: { cssomnom: 'npm:@acemir/cssom@^0.9.0' },
};

function checkCompilers() {
  const missing = COMPILERS.filter((command) => spawnSync(command, ['--version']).status !== 0);
  if (missing.length === 0) return;
  fail(
    `n8n needs ${missing.join(', ')} to be built`,
    'install them (Debian: apt-get install python3 make g++) and run this again',
  );
}

/**
 * The folder whose include/node holds the headers of exactly the Node that runs this, or null when there is none.
 * @returns {string | null}
 */
function findHeaders() {
  const own = path.resolve(path.dirname(process.execPath), '..');
  if (headersVersion(own) === process.version) return own;
  try {
    return fetchNode(process.version.slice(1), process.version);
  } catch {
    process.stderr.write(
      `n8n-install: no headers of Node ${process.version} found; leaving it to node-gyp to fetch them\n`,
    );
    return null;
  }
}

/** @param {string} folder */
function headersVersion(folder) {
  const file = path.join(folder, 'include', 'node', 'node_version.h');
  if (!existsSync(file)) return '';
  const text = readFileSync(file, 'utf8');
  const numbers = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)?.[1]);
  return `v${numbers.join('.')}`;
}

/** @param {string} folder */
function installInto(folder) {
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(hostPackage, null, 2)}\n`);
  const remedy = 'check the network, the disk (3 GB are needed) and the lines above, then run this again';
  runStep(`installing n8n ${N8N_VERSION}`, remedy, 'npm', ['install', ...NPM_FLAGS], { cwd: folder });
  const headers = findHeaders();
  const env = headers === null ? {} : { npm_config_nodedir: headers };
  const rebuild = ['rebuild', ...NATIVE, '--ignore-scripts=false', '--loglevel=error'];
  runStep(`building ${NATIVE.join(' and ')}`, remedy, 'npm', rebuild, { cwd: folder, env });
  return folder;
}

/**
 * Makes sure that n8n is installed and returns the folder that holds its node_modules.
 * @returns {string}
 */
export function ensureN8n() {
  const folder = n8nFolder();
  // The folder gets its name only when it is complete.
  if (existsSync(path.join(folder, 'node_modules', 'n8n', 'bin', 'n8n'))) return folder;
  checkCompilers();
  process.stderr.write(`n8n-install: installing n8n ${N8N_VERSION}, once per machine (about five minutes)\n`);
  installOnce(folder, installInto);
  return folder;
}

if (import.meta.main) {
  try {
    console.log(ensureN8n());
  } catch (error) {
    report(error);
  }
}
