// The real servers that suites need, from Debian's packages. Installs what is missing where it may: as root, or by sudo without a
// password. Elsewhere the suites that need a missing server are left out by name, and with CI=true that fails the run.
//
//   node scripts/test/servers.mjs          installs, and says what is missing
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';

const { root } = createRequire(import.meta.url)('../bootstrap/project.cjs');

/**
 * @typedef {{ name: string, debian: string, isInstalled: () => boolean }} Server
 * `name` is that of the file in test/servers which a suite imports.
 */

/** @type {readonly Server[]} */
export const SERVERS = [
  // openssl makes the certificates that it is spoken to with.
  { name: 'postgres', debian: 'postgresql openssl', isInstalled: () => hasPostgres() && hasCommand('openssl') },
  {
    name: 'slapd',
    debian: 'slapd ldap-utils openssl',
    isInstalled: () => existsSync('/usr/sbin/slapd') && hasCommand('ldapadd') && hasCommand('openssl'),
  },
  {
    name: 'samba',
    debian: 'samba-ad-dc samba-ad-provision openssl',
    isInstalled: () =>
      existsSync('/usr/share/samba/setup/provision.ldif') && hasCommand('samba-tool') && hasCommand('samba'),
  },
  // openssl makes the certificates that clients and servers show.
  { name: 'certificate-authority', debian: 'openssl', isInstalled: () => hasCommand('openssl') },
  { name: 'chromium', debian: 'chromium', isInstalled: () => hasCommand('chromium') || hasCommand('google-chrome') },
  { name: 'redis', debian: 'redis-server', isInstalled: () => hasCommand('redis-server') },
];

function hasPostgres() {
  const folder = '/usr/lib/postgresql';
  const versions = existsSync(folder) ? readdirSync(folder) : [];
  return versions.some((version) => existsSync(path.join(folder, version, 'bin', 'initdb')));
}

/** @param {string} command */
function hasCommand(command) {
  return spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
}

/**
 * Makes sure that the servers are there.
 * @returns {Server[]} those that are still missing
 */
export function ensureServers() {
  const missing = SERVERS.filter((server) => !server.isInstalled());
  const apt = missing.length === 0 ? null : aptCommand();
  if (apt === null) return missing;
  const packages = missing.flatMap((server) => server.debian.split(' '));
  process.stderr.write(`test: installing ${packages.join(', ')} for the suites that use real servers\n`);
  // Package scripts must not start servers of their own: the suites start theirs on free ports.
  const install = [...apt, 'install', '-y', '-qq', '--no-install-recommends', ...packages];
  for (const [program = '', ...args] of [[...apt, 'update', '-qq'], install]) {
    spawnSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  return missing.filter((server) => !server.isInstalled());
}

/** @returns {string[] | null} apt-get, when we may run it */
function aptCommand() {
  if (!hasCommand('apt-get')) return null;
  const apt = ['env', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get'];
  if (process.getuid?.() === 0) return apt;
  return spawnSync('sudo', ['-n', 'true']).status === 0 ? ['sudo', '-n', ...apt] : null;
}

/**
 * The suites that import one of these servers, directly or through another file of test/servers.
 * @param {readonly Server[]} servers
 * @returns {string[]} paths from the root of the project
 */
export function suitesOf(servers) {
  return globSync('test/**/*.test.ts', { cwd: root }).filter((file) => {
    const text = readFileSync(path.join(root, file), 'utf8');
    return servers.some((server) => text.includes(`/servers/${server.name}.ts'`));
  });
}

if (import.meta.main) {
  const missing = ensureServers();
  for (const server of missing) console.log(`missing: ${server.debian} (for ${suitesOf([server]).join(', ')})`);
  process.exitCode = missing.length === 0 ? 0 : 1;
}
