// Adds the packages of other platforms that package-lock.json lacks.
//
// A registry mirror need not carry the binaries of every platform. npm then writes a lock file without them, and `npm ci` refuses
// that lock file everywhere. Their versions are pinned by the packages that ask for them and their platform is in their name, so
// an entry can be written without having seen them; npm checks no hash for these, and fetches one only on its own platform.
//
//   node scripts/complete-lock.mjs          after every `npm install` that changes the lock file
import { readFileSync, writeFileSync } from 'node:fs';

const lockFile = new URL('../package-lock.json', import.meta.url);
const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
const OPERATING_SYSTEMS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];

/**
 * @typedef {{ version?: string, dev?: boolean, optional?: boolean, peer?: boolean,
 *   optionalDependencies?: Record<string, string>, hasInstallScript?: boolean, resolved?: string }} LockEntry
 * @typedef {Record<string, LockEntry>} LockedPackages
 */

/**
 * The optional dependencies that the lock file asks for and has no entry for.
 * @param {LockedPackages} packages
 */
export function findMissing(packages) {
  /** @type {Map<string, { version: string, askedBy: string }>} */
  const missing = new Map();
  for (const [askedBy, entry] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (!isResolvable(packages, askedBy, name)) missing.set(name, { version, askedBy });
    }
  }
  return missing;
}

/**
 * Node's own rule: beside the package that asks, then one folder up at a time.
 * @param {LockedPackages} packages
 * @param {string} from
 * @param {string} name
 */
function isResolvable(packages, from, name) {
  for (let folder = from; ; folder = folder.slice(0, folder.lastIndexOf('node_modules/')).replace(/\/$/, '')) {
    if (packages[`${folder}${folder === '' ? '' : '/'}node_modules/${name}`]) return true;
    if (folder === '') return false;
  }
}

/**
 * @param {string} name for example '@swc/core-linux-arm64-musl'
 * @param {string} version
 * @param {LockEntry} askedBy
 */
function entryFor(name, version, askedBy) {
  const words = name.split('/').at(-1)?.split('-') ?? [];
  const os = words.find((word) => OPERATING_SYSTEMS.includes(word));
  const cpu = words.find((word) => PROCESSORS.includes(word));
  if (!EXACT.test(version) || os === undefined || cpu === undefined) {
    throw new Error(`${name}@${version} is no package of one platform; get it with npm install`);
  }
  const libc = words.at(-1)?.startsWith('musl') ? ['musl'] : words.at(-1)?.startsWith('gnu') ? ['glibc'] : undefined;
  return {
    version,
    cpu: [cpu],
    ...(askedBy.dev ? { dev: true } : {}),
    ...(os === 'linux' && libc ? { libc } : {}),
    optional: true,
    os: [os],
    ...(askedBy.peer ? { peer: true } : {}),
  };
}

function completeLock() {
  const lock = JSON.parse(readFileSync(lockFile, 'utf8'));
  const missing = findMissing(lock.packages);
  for (const [name, { version, askedBy }] of missing) {
    lock.packages[`node_modules/${name}`] = entryFor(name, version, lock.packages[askedBy]);
  }
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(sorted);
  writeFileSync(lockFile, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(missing.size === 0 ? 'the lock file is complete' : `added: ${[...missing.keys()].join(', ')}`);
}

if (import.meta.main) completeLock();
