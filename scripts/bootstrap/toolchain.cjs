'use strict';

// Finds the Node that the project needs, or fetches it from npm into the user's cache folder.

const { spawnSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { fail, runStep } = require('./process.cjs');

const N8N_VERSION = '2.38.7';
const ABANDONED_AFTER_MS = 60 * 60 * 1000;
const NPM_FLAGS = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];

/** The folder that all clones of this user share: `$XDG_CACHE_HOME/credlife` or `~/.cache/credlife`. */
function cacheFolder() {
  const { XDG_CACHE_HOME: base } = process.env;
  // The XDG specification has relative values ignored.
  return path.join(base && path.isAbsolute(base) ? base : path.join(os.homedir(), '.cache'), 'credlife');
}

/** Where the n8n of the tests is, or will be: a folder with its node_modules, one per n8n and Node ABI. */
function n8nFolder() {
  const major = process.version.slice(1).split('.')[0] || '';
  return path.join(cacheFolder(), `n8n-${N8N_VERSION}-node-${major}`);
}

/**
 * Fills `target` through a temporary sibling that is renamed at the end, so that an interrupted run leaves no half install and
 * of two concurrent runs one wins. `fill` returns the folder to be renamed, inside the sibling or the sibling itself.
 * @param {string} target
 * @param {(temporary: string) => string} fill
 */
function installOnce(target, fill) {
  const parent = path.dirname(target);
  const prefix = `.${path.basename(target)}.partial-`;
  fs.mkdirSync(parent, { recursive: true });
  sweepAbandoned(parent, prefix);
  const temporary = fs.mkdtempSync(path.join(parent, prefix));
  try {
    fs.renameSync(fill(temporary), target);
  } catch (error) {
    // Somebody else was first: rename refuses a target that is a filled folder, and theirs is as good as ours.
    if (!fs.existsSync(target)) throw error;
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

/**
 * @param {string} parent
 * @param {string} prefix
 */
function sweepAbandoned(parent, prefix) {
  for (const name of fs.readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const folder = path.join(parent, name);
    const stat = fs.statSync(folder, { throwIfNoEntry: false });
    if (stat && Date.now() - stat.mtimeMs > ABANDONED_AFTER_MS) fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} binary */
function versionOf(binary) {
  const result = spawnSync(binary, ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : '';
}

/**
 * Makes sure that Node `version` is in the cache folder and returns its folder (with `bin/` and `include/`).
 * @param {string} version for example '24.21.0'
 * @param {string} minimum what engines.node asks for, for the message
 */
function fetchNode(version, minimum) {
  const name = `node-${process.platform}-${process.arch}`;
  const folder = path.join(cacheFolder(), `node-${version}-${process.platform}-${process.arch}`);
  const binary = path.join(folder, 'bin', 'node');
  if (fs.existsSync(binary)) return folder;

  const remedy = `check that npm reaches its registry, or install Node ${minimum} yourself and run this again`;
  process.stderr.write(`bootstrap: fetching Node ${version} (this is ${process.version}), once per machine\n`);
  installOnce(folder, (temporary) => {
    fs.writeFileSync(path.join(temporary, 'package.json'), '{ "private": true }\n');
    const args = [
      'install',
      '--prefix',
      temporary,
      '--no-save',
      '--no-package-lock',
      ...NPM_FLAGS,
      `${name}@${version}`,
    ];
    runStep(`fetching ${name} ${version} from npm`, remedy, 'npm', args, { cwd: temporary });
    return path.join(temporary, 'node_modules', name);
  });
  if (versionOf(binary) !== `v${version}`) {
    fs.rmSync(folder, { recursive: true, force: true });
    fail(
      `the fetched Node ${version} does not run on this machine`,
      `install Node ${minimum} yourself and run this again`,
    );
  }
  return folder;
}

/**
 * The environment in which everything, npm and native builds included, uses the Node in `folder`.
 * `npm_config_nodedir` beats a `nodedir` in the user's npmrc, which would have addons compiled against the old Node's headers.
 * @param {string} folder
 * @returns {NodeJS.ProcessEnv}
 */
function environmentOf(folder) {
  const { PATH = '' } = process.env;
  const bin = path.join(folder, 'bin');
  const node = path.join(bin, 'node');
  return Object.assign({}, process.env, {
    PATH: bin + path.delimiter + PATH,
    NODE: node,
    npm_node_execpath: node,
    npm_config_nodedir: folder,
  });
}

module.exports = { cacheFolder, environmentOf, fetchNode, installOnce, N8N_VERSION, n8nFolder, NPM_FLAGS };
