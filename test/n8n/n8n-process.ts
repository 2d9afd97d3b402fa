import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { n8nFolder } from '../../scripts/bootstrap/toolchain.cjs';
import { freePort } from '../../scripts/test/free-port.cjs';

const POLL_MS = 50;
const STOP_TIMEOUT_MS = 20_000;
/** How much of what n8n said is shown when it does not start. */
const SHOWN_LINES = 30;

export interface N8nProcessOptions {
  /** What n8n is to be: its whole self, or in queue mode a `worker`, which answers on `port` only how it is. */
  readonly command?: 'start' | 'worker';
  readonly userFolder: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly startTimeoutMs: number;
}

/** One n8n, from its start to its end, and everything that it printed. */
export class N8nProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #output: string[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('close', () => {
        resolve();
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#output.push(text));
    }
  }

  static async start(options: N8nProcessOptions): Promise<N8nProcess> {
    const bin = path.join(n8nFolder(), 'node_modules', 'n8n', 'bin', 'n8n');
    if (!existsSync(bin)) throw new Error('n8n is not installed: run these suites with "npm run test:n8n"');
    const env = await environment(options);
    const child = spawn(process.execPath, [bin, options.command ?? 'start'], {
      cwd: options.userFolder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const n8n = new N8nProcess(child);
    try {
      await n8n.#untilReady(`http://127.0.0.1:${String(options.port)}/healthz/readiness`, options.startTimeoutMs);
    } catch (error) {
      await n8n.kill();
      throw error;
    }
    return n8n;
  }

  /** All that n8n has written to its standard output and standard error, debug level included. */
  get log(): string {
    return this.#output.join('');
  }

  get #lastLines(): string {
    return this.log.split('\n').slice(-SHOWN_LINES).join('\n');
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('n8n could not be started');
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Asks n8n to end, and makes it end when it does not within 20 seconds. */
  async stop(): Promise<void> {
    if (this.running) this.#child.kill('SIGTERM');
    const abort = new AbortController();
    const tooLong = sleep(STOP_TIMEOUT_MS, 'too long', { signal: abort.signal }).catch(() => 'ended');
    const outcome = await Promise.race([this.#exited, tooLong]);
    abort.abort();
    if (outcome === 'too long') await this.kill();
  }

  /** What a power cut does (SIGKILL). */
  async kill(): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #untilReady(url: string, timeoutMs: number): Promise<void> {
    const giveUpAt = Date.now() + timeoutMs;
    while (Date.now() < giveUpAt) {
      if (!this.running) throw new Error(`n8n ended before it was ready:\n${this.#lastLines}`);
      const answer = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => null);
      if (answer?.ok) return;
      await sleep(POLL_MS);
    }
    throw new Error(`n8n was not ready within ${String(timeoutMs)} ms:\n${this.#lastLines}`);
  }
}

/** Nothing of ours leaks into n8n, and n8n talks to nobody but the tests. */
async function environment({ userFolder, port, env }: N8nProcessOptions): Promise<NodeJS.ProcessEnv> {
  return {
    PATH: `${path.dirname(process.execPath)}${path.delimiter}${process.env['PATH'] ?? ''}`,
    HOME: userFolder,
    TZ: 'UTC',
    NO_COLOR: '1',
    N8N_USER_FOLDER: userFolder,
    N8N_HOST: '127.0.0.1',
    N8N_LISTEN_ADDRESS: '127.0.0.1',
    N8N_PORT: String(port),
    N8N_RUNNERS_BROKER_PORT: String(await freePort()),
    N8N_SECURE_COOKIE: 'false',
    N8N_LOG_LEVEL: 'debug',
    N8N_DIAGNOSTICS_ENABLED: 'false',
    N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
    N8N_DYNAMIC_BANNERS_ENABLED: 'false',
    N8N_HIRING_BANNER_ENABLED: 'false',
    N8N_TEMPLATES_ENABLED: 'false',
    N8N_PERSONALIZATION_ENABLED: 'false',
    N8N_VERIFIED_PACKAGES_ENABLED: 'false',
    N8N_LICENSE_AUTO_RENEW_ENABLED: 'false',
    // Asks n8n's own server for a list as soon as it is loaded.
    N8N_DISABLED_MODULES: 'mcp-registry',
    ...env,
  };
}
