import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import type { Fetch } from '../ports.ts';
import { SandboxAdministration } from './administration-client.ts';
import type { SandboxOptions } from './options.ts';
import { processMessageSchema, type ServerFacts } from './server-facts.ts';

export interface SandboxProcessOptions {
  readonly fetch: Fetch;
  /** The compiled file of the server's process; by default the one beside this file. */
  readonly entry?: string;
}

/** A sandbox server in a process of its own, as the process that started it sees it. */
export class Sandbox extends SandboxAdministration {
  readonly facts: ServerFacts;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess, exited: Promise<unknown>, facts: ServerFacts, fetch: Fetch) {
    super(facts, fetch);
    this.facts = facts;
    this.#child = child;
    this.#exited = exited;
  }

  /**
   * Starts the server's process and waits until it listens.
   *
   * @throws ConfigurationError `ERR_SANDBOX_UNAVAILABLE`, `ERR_SANDBOX_PORT_TAKEN`
   */
  static async start(options: SandboxOptions, { fetch, entry }: SandboxProcessOptions): Promise<Sandbox> {
    const child = fork(entry ?? join(__dirname, 'server-process.js'), [JSON.stringify(options)], {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
      // Its standard streams stay silent: oidc-provider greets with warnings about http and loopback.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const exited = once(child, 'exit');
    return new Sandbox(child, exited, await factsOf(child, exited), fetch);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Settles when the process has ended, however it ended. */
  async ended(): Promise<void> {
    await this.#exited;
  }

  /** Ends the process in order. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

async function factsOf(child: ChildProcess, exited: Promise<unknown>): Promise<ServerFacts> {
  const first = await Promise.race([once(child, 'message'), exited.then(() => null)]);
  const message = first && processMessageSchema.parse(first[0]);
  if (message?.type === 'listening') return message.facts;
  const code = message?.code === 'ERR_SANDBOX_PORT_TAKEN' ? message.code : 'ERR_SANDBOX_UNAVAILABLE';
  throw new ConfigurationError(code, message?.message ?? 'The sandbox process ended before it listened.');
}
