import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cacheFolder, installOnce } from '../../scripts/bootstrap/toolchain.cjs';

const ROOT = path.resolve(__dirname, '..', '..');
const KEPT_INSTALLS = 4;
/** What n8n itself says to npm when a user installs a community package. */
const N8N_INSTALL_FLAGS = [
  '--audit=false',
  '--fund=false',
  '--bin-links=false',
  '--install-strategy=shallow',
  '--ignore-scripts=true',
  '--package-lock=false',
];

export interface InstalledPackage {
  /** As n8n knows it: node types are called `<name>.<node>`. */
  readonly name: string;
  /** The extracted tarball with its own node_modules. */
  readonly folder: string;
}

/**
 * Packs the package in `source` (this project, if not given) and installs the tarball the way n8n's own installer does: extracted,
 * without its development, peer and optional dependencies, `npm install --ignore-scripts` inside. The result is kept in the cache
 * folder under the hash of the tarball, so only the first test after a change pays for it.
 */
export function installPackage(source: string = ROOT): InstalledPackage {
  const temporary = mkdtempSync(path.join(tmpdir(), 'credlife-pack-'));
  try {
    const tarball = pack(source, temporary);
    const hash = createHash('sha256').update(readFileSync(tarball)).digest('hex').slice(0, 16);
    const installs = path.join(cacheFolder(), 'packages');
    const folder = path.join(installs, `${hash}-node-${process.versions.modules}`);
    if (!existsSync(folder)) {
      installOnce(folder, (target: string) => {
        extractAndInstall(tarball, target);
        return target;
      });
      forgetOldInstalls(installs);
    }
    return { name: String(readManifest(folder)['name']), folder };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Packs a package into a folder and returns the path of its tarball. */
export function pack(source: string, destination: string): string {
  const args = ['pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', destination];
  execFileSync('npm', args, { cwd: source, stdio: ['ignore', 'ignore', 'inherit'] });
  const tarball = readdirSync(destination).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error(`npm pack left no tarball of ${source}`);
  return path.join(destination, tarball);
}

function extractAndInstall(tarball: string, target: string): void {
  mkdirSync(target, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
  const manifest = readManifest(target);
  for (const field of ['devDependencies', 'peerDependencies', 'optionalDependencies'])
    Reflect.deleteProperty(manifest, field);
  writeFileSync(path.join(target, 'package.json'), JSON.stringify(manifest, null, 2));
  const args = ['install', ...N8N_INSTALL_FLAGS, '--loglevel=error'];
  execFileSync('npm', args, { cwd: target, stdio: ['ignore', 'ignore', 'inherit'] });
}

function readManifest(folder: string): Record<string, unknown> {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
}

/** Each change of the source leaves an install behind; the newest few are enough. */
function forgetOldInstalls(installs: string): void {
  const newestFirst = readdirSync(installs)
    .filter((name) => !name.startsWith('.'))
    .map((name) => ({ folder: path.join(installs, name), at: statSync(path.join(installs, name)).mtimeMs }))
    .sort((a, b) => b.at - a.at);
  for (const { folder } of newestFirst.slice(KEPT_INSTALLS)) rmSync(folder, { recursive: true, force: true });
}
