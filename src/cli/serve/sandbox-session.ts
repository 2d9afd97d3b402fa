import { setTimeout as delay } from 'node:timers/promises';
import { systemFetch } from '../../ports.ts';
import { Sandbox } from '../../sandbox/sandbox.ts';
import type { SandboxStatistics } from '../../sandbox/statistics.ts';

const RESTART_PAUSE_MS = 2_000;

/** The sandbox beside a running `serve`: when its process dies, another one continues where it was. */
export class SandboxSession {
  readonly #folder: string;
  readonly #notice: (text: string) => void;
  #current: Sandbox;
  #closed = false;

  private constructor(folder: string, first: Sandbox, notice: (text: string) => void) {
    this.#folder = folder;
    this.#notice = notice;
    this.#current = first;
    void this.#watch();
  }

  /** @throws ConfigurationError `ERR_SANDBOX_UNAVAILABLE` */
  static async start(folder: string, notice: (text: string) => void): Promise<SandboxSession> {
    return new SandboxSession(folder, await Sandbox.start({ folder }, { fetch: systemFetch }), notice);
  }

  get server(): Sandbox {
    return this.#current;
  }

  /** `null` while the server does not answer. */
  async statistics(): Promise<SandboxStatistics | null> {
    try {
      return await this.#current.statistics();
    } catch {
      return null;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#current.stop();
  }

  async #watch(): Promise<void> {
    for (;;) {
      await this.#current.ended();
      if (this.#isClosed()) return;
      this.#notice('the sandbox server has ended unexpectedly; it is started again');
      await delay(RESTART_PAUSE_MS);
      if (this.#isClosed() || !(await this.#startAgain())) return;
    }
  }

  async #startAgain(): Promise<boolean> {
    try {
      const next = await Sandbox.start({ folder: this.#folder }, { fetch: systemFetch });
      this.#current = next;
      if (this.#isClosed()) await next.stop();
      return true;
    } catch (error) {
      this.#notice(error instanceof Error ? error.message : 'the sandbox server cannot be started again');
      return false;
    }
  }

  #isClosed(): boolean {
    return this.#closed;
  }
}
