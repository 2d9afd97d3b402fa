// Packages of Debian that suites need and a root user can have at once. Elsewhere those suites are named at the end of the run.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { runCommand } from './stages.mjs';

/** Each package with a file that it brings. */
const PACKAGES = [
  [
    'python3-cryptography-vectors',
    '/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/GCM/gcmDecrypt256.rsp',
  ],
];

/** Installs what is missing, where that is possible without asking anybody. What fails here fails nothing. */
export async function installDebianPackages() {
  const missing = PACKAGES.filter(([, file]) => !existsSync(file ?? '')).map(([name]) => name ?? '');
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const install = ['/usr/bin/apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  if ((await runCommand(install, env)) === 0) return;
  // A fresh machine has no lists of packages yet.
  if ((await runCommand(['/usr/bin/apt-get', 'update', '-qq'], env)) === 0) await runCommand(install, env);
}
