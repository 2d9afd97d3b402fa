'use strict';

// Brings node_modules and dist up to date, and does nothing when they are.

const { createHash } = require('crypto');
const fs = require('fs');
const path = require('path');
const { runStep } = require('./process.cjs');
const { NPM_FLAGS } = require('./toolchain.cjs');

const root = path.resolve(__dirname, '..', '..');
const modules = path.join(root, 'node_modules');
const dist = path.join(root, 'dist');
const stamps = path.join(modules, '.cache', 'credlife');
const BUILD_INPUTS = [
  'src',
  'credentials',
  'nodes',
  'tsconfig.json',
  'tsconfig.build.json',
  'gulpfile.js',
  'package.json',
];

/** @param {string} name */
function readStamp(name) {
  try {
    return fs.readFileSync(path.join(stamps, name), 'utf8');
  } catch {
    return '';
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
function writeStamp(name, value) {
  fs.mkdirSync(stamps, { recursive: true });
  fs.writeFileSync(path.join(stamps, name), value);
}

/** What decides the content of node_modules: the lock file, package.json and the ABI of the Node that uses it. */
function installFingerprint() {
  const hash = createHash('sha256').update(process.version.split('.')[0] || '');
  for (const name of ['package-lock.json', 'package.json']) hash.update(fs.readFileSync(path.join(root, name)));
  return hash.digest('hex');
}

function ensureInstalled() {
  const fingerprint = installFingerprint();
  if (readStamp('install') === fingerprint) return;
  process.stderr.write('bootstrap: installing the locked dependencies\n');
  // --include=dev because NODE_ENV=production or an npmrc would otherwise leave out the compiler.
  const args = ['ci', '--include=dev', ...NPM_FLAGS];
  const remedy =
    'check that npm reaches its registry and that package-lock.json belongs to package.json, then run this again';
  runStep('npm ci', remedy, 'npm', args, { cwd: root });
  writeStamp('install', fingerprint);
}

/**
 * @param {string} file
 * @param {string[]} lines one per file: path, size, time of change
 */
function describeTree(file, lines) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) return;
  if (stat.isDirectory()) {
    for (const name of fs.readdirSync(file).sort()) describeTree(path.join(file, name), lines);
  } else {
    lines.push(`${path.relative(root, file)} ${stat.size} ${stat.mtimeMs}`);
  }
}

function buildFingerprint() {
  /** @type {string[]} */
  const lines = [];
  for (const input of BUILD_INPUTS) describeTree(path.join(root, input), lines);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/**
 * Builds beside the old dist and swaps at the end: an interrupted or failed build leaves the old one as it was, and a running
 * command keeps a whole dist for as long as possible.
 */
function ensureBuilt() {
  const fingerprint = buildFingerprint();
  if (readStamp('build') === fingerprint && fs.existsSync(dist)) return;
  const fresh = path.join(stamps, `build-${process.pid}`);
  const replaced = path.join(stamps, `replaced-${process.pid}`);
  fs.rmSync(fresh, { recursive: true, force: true });
  try {
    const bin = path.join(modules, '.bin');
    const remedy = 'correct what is named above and run this again';
    const compile = ['-p', 'tsconfig.build.json', '--outDir', fresh];
    runStep('the TypeScript build', remedy, path.join(bin, 'tsc'), compile, { cwd: root });
    const icons = ['build:icons', '--silent'];
    runStep('copying the icons', remedy, path.join(bin, 'gulp'), icons, { cwd: root, env: { BUILD_FOLDER: fresh } });
    if (fs.existsSync(dist)) fs.renameSync(dist, replaced);
    fs.renameSync(fresh, dist);
    writeStamp('build', fingerprint);
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
    fs.rmSync(replaced, { recursive: true, force: true });
  }
}

module.exports = { ensureBuilt, ensureInstalled, root };
