// A PostgreSQL of our own for one run of the kill loop, with its data in a temporary folder.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../test/free-port.cjs';

const PASSWORD = 'pgpw';
const START_TRIES = 200;

/** PostgreSQL refuses to run as root; setpriv replaces itself, so that a signal reaches the server. */
const AS_SERVER_USER =
  process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : [];

export class Postgres {
  #child;
  #folder;
  #port;

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {string} folder
   * @param {number} port
   */
  constructor(child, folder, port) {
    this.#child = child;
    this.#folder = folder;
    this.#port = port;
  }

  static async start() {
    const bin = findPrograms();
    const folder = mkdtempSync(path.join(tmpdir(), 'credlife-chaos-postgres-'));
    found(bin, folder);
    const port = await freePort();
    const where = ['-D', path.join(folder, 'data'), '-p', String(port), '-k', path.join(folder, 'sockets')];
    const [program = '', ...args] = [...AS_SERVER_USER, path.join(bin, 'postgres'), ...where];
    const child = spawn(program, [...args, '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=200'], {
      stdio: 'ignore',
    });
    const server = new Postgres(child, folder, port);
    await server.#answers();
    return server;
  }

  get url() {
    return `postgres://postgres:${PASSWORD}@127.0.0.1:${this.#port}/postgres`;
  }

  async stop() {
    if (this.#child.exitCode === null) {
      const gone = once(this.#child, 'exit');
      this.#child.kill('SIGINT');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers() {
    for (let tries = 1; ; tries += 1) {
      const client = new pg.Client({ connectionString: this.url });
      try {
        await client.connect();
        await client.end();
        return;
      } catch (error) {
        if (tries === START_TRIES || this.#child.exitCode !== null) throw error;
        await delay(100);
      }
    }
  }
}

/**
 * @param {string} bin
 * @param {string} folder
 */
function found(bin, folder) {
  chmodSync(folder, 0o755);
  for (const name of ['data', 'sockets']) mkdirSync(path.join(folder, name), { mode: 0o700 });
  const passwordFile = path.join(folder, 'password');
  writeFileSync(passwordFile, PASSWORD);
  chmodSync(passwordFile, 0o644);
  if (AS_SERVER_USER.length > 0) execFileSync('chown', ['-R', 'postgres', folder]);
  const settings = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C'];
  const initdb = [path.join(bin, 'initdb'), '-D', path.join(folder, 'data'), ...settings];
  const [program = '', ...args] = [...AS_SERVER_USER, ...initdb];
  execFileSync(program, args, { stdio: 'pipe' });
}

function findPrograms() {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const bin = versions
    .map((version) => path.join(root, version, 'bin'))
    .find((it) => existsSync(path.join(it, 'initdb')));
  if (bin === undefined) throw new Error('PostgreSQL is not installed (Debian: apt-get install postgresql-15).');
  return bin;
}
