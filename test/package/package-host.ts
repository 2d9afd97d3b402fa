import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';

/** The project as it is built: the loader reads its package.json and finds everything in `dist`. */
export const PACKAGE_FOLDER = resolve(__dirname, '../..');
const HOST = join(__dirname, 'host.mjs');

export type Step =
  | { do: 'describe' }
  | { do: 'loadedModules'; matching: string }
  | { do: 'requests'; type: string; values: object; count: number; rejected?: boolean; copies?: boolean }
  | { do: 'test'; type: string; values: object }
  | { do: 'stay' }
  | { do: 'exit' };

export interface Surroundings {
  /** The process takes itself for `n8n <command>`. */
  readonly command?: 'start' | 'worker' | 'webhook' | 'execute' | null;
  /** More environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A plain Node process in which the built package is loaded as n8n loads it, with an n8n folder of its own. */
export class PackageHost {
  readonly userFolder = mkdtempSync(join(tmpdir(), 'credlife-package-'));

  constructor() {
    mkdirSync(join(this.userFolder, '.n8n'));
    this.setEncryptionKey('the encryption key of a test');
  }

  setEncryptionKey(encryptionKey: string): void {
    writeFileSync(join(this.userFolder, '.n8n', 'config'), JSON.stringify({ encryptionKey }));
  }

  /** Runs the steps and waits until the process has ended by itself. */
  async run(
    steps: readonly Step[],
    folders: readonly string[] = [PACKAGE_FOLDER],
    surroundings: Surroundings = {},
  ): Promise<Ended> {
    const child = this.start(steps, folders, surroundings);
    const [output, complaints] = await Promise.all([
      text(outputOf(child.stdout)),
      text(outputOf(child.stderr)),
      once(child, 'close'),
    ]);
    // Around the results there may be lines of n8n's own log.
    const last = output.split('\n').findLast((line) => line.startsWith('['));
    if (last === undefined) throw new Error(`the host ended without a result: ${complaints}`);
    const results: unknown = JSON.parse(last);
    return { results: Array.isArray(results) ? results : [], code: child.exitCode, output, complaints };
  }

  /** Starts the process; its first line of output is the results of the steps before `stay` or `exit`. */
  start(
    steps: readonly Step[],
    folders: readonly string[] = [PACKAGE_FOLDER],
    { command = null, env: more = {} }: Surroundings = {},
  ): ChildProcess {
    const env = { PATH: process.env['PATH'], N8N_USER_FOLDER: this.userFolder, HOME: this.userFolder, ...more };
    const child = spawn(process.execPath, [HOST], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(JSON.stringify({ folders, steps, command }));
    return child;
  }

  get engineFolder(): string {
    return join(this.userFolder, '.n8n', 'credential-lifecycle');
  }

  remove(): void {
    rmSync(this.userFolder, { recursive: true, force: true });
  }
}

export interface Ended {
  /** One per step. */
  readonly results: readonly unknown[];
  readonly code: number | null;
  /** All that the process printed, n8n's log included. */
  readonly output: string;
  /** What of it went to standard error. */
  readonly complaints: string;
}

export function outputOf(stream: NodeJS.ReadableStream | null): NodeJS.ReadableStream {
  if (stream === null) throw new Error('the host has no output');
  return stream;
}
