import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort } from '../../scripts/test/free-port.cjs';
import { eventually } from '../support/eventually.ts';
import { serverFolder, ServerProcess } from './process.ts';

const PASSWORD = 'pgpw';

// A server shares its machine with everything else that runs there; no test of one asserts a time.
jest.setTimeout(60_000);

/** A real PostgreSQL on a free port, with its data in a temporary folder. */
export class PostgresServer {
  readonly port: number;
  readonly folder: string;
  readonly #bin: string;
  readonly #dispose: () => void;
  readonly #settings: readonly string[];
  #process: ServerProcess | null = null;
  #schemas = 0;

  private constructor(port: number, folder: ReturnType<typeof serverFolder>, settings: readonly string[]) {
    this.port = port;
    this.folder = folder.path;
    this.#dispose = folder.dispose;
    this.#bin = findPrograms();
    this.#settings = settings;
  }

  /** `prepare` gets the folder before the server starts, for certificates; it returns settings in the form `name=value`. */
  static async start(prepare: (folder: string) => readonly string[] = () => []): Promise<PostgresServer> {
    const folder = serverFolder('postgres');
    const server = new PostgresServer(await freePort(), folder, prepare(folder.path));
    server.#found();
    await server.resume();
    return server;
  }

  /** URL of a schema of its own, which nobody has used. */
  freshUrl(): string {
    this.#schemas += 1;
    return this.url(`t${String(this.#schemas)}`);
  }

  url(schema = 'credlife', parameters = ''): string {
    return `postgres://postgres:${PASSWORD}@127.0.0.1:${String(this.port)}/postgres?schema=${schema}${parameters}`;
  }

  async query(sql: string, schema = 'credlife'): Promise<Record<string, unknown>[]> {
    const client = new Client({
      connectionString: `postgres://postgres:${PASSWORD}@127.0.0.1:${String(this.port)}/postgres`,
      options: `-c search_path=${schema}`,
    });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  /** Ends the server at once, as a crash does; the data stays. */
  async crash(): Promise<void> {
    await this.#process?.stop('SIGQUIT');
  }

  /** Starts the server on its data and its port. */
  async resume(): Promise<void> {
    const settings = [
      'listen_addresses=127.0.0.1',
      'fsync=off',
      'full_page_writes=off',
      'shared_buffers=32MB',
      ...this.#settings,
    ].flatMap((setting) => ['-c', setting]);
    const postgres = join(this.#bin, 'postgres');
    const where = ['-D', join(this.folder, 'data'), '-p', String(this.port), '-k', join(this.folder, 'sockets')];
    const running = new ServerProcess([...asServerUser(), postgres, ...where, ...settings]);
    this.#process = running;
    await eventually(() => {
      if (running.hasEnded) throw new Error(`postgres did not start: ${running.output}`);
      return this.#answers();
    });
  }

  async stop(): Promise<void> {
    await this.#process?.stop('SIGINT');
    this.#dispose();
  }

  #found(): void {
    for (const name of ['data', 'sockets']) mkdirSync(join(this.folder, name), { mode: 0o700 });
    const passwordFile = join(this.folder, 'password');
    writeFileSync(passwordFile, PASSWORD);
    chmodSync(passwordFile, 0o644);
    if (isRoot()) execFileSync('chown', ['-R', 'postgres', this.folder]);
    const args = ['-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-N', '-E', 'UTF8'];
    // An order that is not that of bytes, so that a missing collation shows.
    const locale = ['--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en'];
    run([...asServerUser(), join(this.#bin, 'initdb'), '-D', join(this.folder, 'data'), ...args, ...locale]);
  }

  #answers(): boolean {
    try {
      run([join(this.#bin, 'pg_isready'), '-q', '-h', '127.0.0.1', '-p', String(this.port)]);
      return true;
    } catch {
      return false;
    }
  }
}

function run([program = '', ...args]: readonly string[]): void {
  execFileSync(program, args, { stdio: 'pipe' });
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** PostgreSQL refuses to run as root; setpriv replaces itself, so that a signal reaches the server. */
function asServerUser(): string[] {
  return isRoot() ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : [];
}

function findPrograms(): string {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const found = versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  if (found === undefined) throw new Error('PostgreSQL is not installed (Debian: apt-get install postgresql-15).');
  return found;
}
