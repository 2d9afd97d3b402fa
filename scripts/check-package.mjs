// Looks at the package as a user will get it: what is in the tarball, whether every path that package.json promises exists, and
// whether it can be installed the way n8n installs it, without install scripts and from any registry.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { findMissing } from './complete-lock.mjs';

const { root } = createRequire(import.meta.url)('./bootstrap/project.cjs');
const lockText = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** All that may be published. No sources, tests or source maps: the compiled files are readable as they are. */
const MAY_BE_PUBLISHED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^bin\/[\w-]+\.cjs$/,
  /^dist\/(src|credentials|nodes)\/[\w./-]+\.(js|d\.ts)$/,
  /^dist\/src\/protocols\/oauth2\/profiles\/[\w-]+\.json$/,
  /^dist\/(credentials|nodes)\/[\w./-]+\.(svg|png|node\.json)$/,
  // Without docs/images: screenshots would be most of the package.
  /^docs\/[\w-]+\.(md|svg)$/,
];
const MUST_BE_PUBLISHED = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'];
const EXACT_VERSION = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

/** @returns {string[]} the paths in the tarball */
export function listTarball() {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'];
  const report = JSON.parse(
    execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }),
  );
  // Newer versions of npm answer with an object by package name, older ones with a list.
  const [packed] = Object.values(report);
  return packed.files.map((/** @type {{ path: string }} */ file) => file.path);
}

/**
 * Every file that package.json points to.
 * @param {unknown} value
 * @returns {string[]}
 */
function pathsIn(value) {
  if (typeof value === 'string') return [path.posix.normalize(value)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(pathsIn) : [];
}

/**
 * @param {string[]} files the paths in a tarball
 * @returns {string[]} what should not be there, and what is missing
 */
export function checkFiles(files) {
  const { main, types, exports, bin, n8n } = manifest;
  const promised = pathsIn([main, types, exports, bin, n8n.credentials, n8n.nodes]);
  const unwanted = files.filter((file) => !MAY_BE_PUBLISHED.some((pattern) => pattern.test(file)));
  const missing = [...new Set([...MUST_BE_PUBLISHED, ...promised])].filter((file) => !files.includes(file));
  return [
    ...unwanted.map((file) => `${file} would be published; it is not on the list in scripts/check-package.mjs`),
    ...missing.map(
      (file) => `${file} is promised by package.json or expected in a package, but would not be published`,
    ),
  ];
}

/** n8n runs no install scripts, so a dependency that needs one would be broken there. */
function checkDependencies() {
  /** @type {[string, import('./complete-lock.mjs').LockEntry & { devOptional?: boolean }][]} */
  const locked = Object.entries(JSON.parse(lockText).packages);
  const installed = locked.filter(([name, entry]) => name !== '' && !entry.dev && !entry.devOptional && !entry.peer);
  const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
    ([, version]) => !EXACT_VERSION.test(version),
  );
  return [
    ...installed.filter(([, entry]) => entry.hasInstallScript).map(([name]) => `${name} has an install script`),
    ...loose.map(([name, version]) => `${name}@${version} is not pinned to one version`),
  ];
}

function checkLock() {
  const { packages } = JSON.parse(lockText);
  const missing = [...findMissing(packages).keys()];
  return [
    ...(/"resolved":|\.tgz"|:\/\/[^"/]*registry/.test(lockText)
      ? ['package-lock.json names a registry; delete its "resolved" fields']
      : []),
    ...missing.map((name) => `package-lock.json lacks ${name}; run node scripts/complete-lock.mjs`),
  ];
}

async function checkWithPublint() {
  const { messages } = await publint({ pkgDir: root, pack: 'npm', level: 'warning' });
  return messages.map((message) => `publint: ${formatMessage(message, manifest)}`);
}

async function main() {
  if (!existsSync(path.join(root, 'dist'))) {
    console.error('package: dist is missing; run "npm run build"');
    process.exitCode = 1;
    return;
  }
  const problems = [
    ...checkFiles(listTarball()),
    ...checkDependencies(),
    ...checkLock(),
    ...(await checkWithPublint()),
  ];
  for (const problem of problems) console.error(`package: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (import.meta.main) await main();
