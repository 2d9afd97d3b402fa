import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { EngineOptions } from '../../../src/engine.ts';
import type { CredentialEvent } from '../../../src/lifecycle/events.ts';
import { MASTER_KEY } from '../../support/engine.ts';

type Verb =
  | 'webhooks'
  | 'use'
  | 'useMany'
  | 'refresh'
  | 'get'
  | 'reportRejected'
  | 'authorize'
  | 'reauthorize'
  | 'adopt'
  | 'hammer'
  | 'close';

interface Message {
  readonly ready?: true;
  readonly event?: CredentialEvent;
  readonly hammerError?: string;
  readonly sequence?: number;
  readonly value?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** The built engine in a process of its own, so that it can be killed like one. */
export class EngineProcess {
  readonly events: CredentialEvent[] = [];
  readonly hammerErrors: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  #sequence = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** `aheadMs`: how far its clocks are ahead of the others'. */
  static async start(
    folder: string,
    options: { keeper?: boolean; budgets?: EngineOptions['budgets']; aheadMs?: number } = {},
  ): Promise<EngineProcess> {
    const settings = {
      database: join(folder, 'credentials.db'),
      masterKey: MASTER_KEY.toString('hex'),
      keeper: options.keeper ?? false,
      budgets: options.budgets ?? [],
      aheadMs: options.aheadMs ?? 0,
    };
    const child = fork(join(__dirname, 'engine-process.mjs'), [JSON.stringify(settings)], {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const engine = new EngineProcess(child);
    await engine.#whenReady();
    return engine;
  }

  ask(verb: Verb, ...args: unknown[]): Promise<unknown> {
    this.#sequence += 1;
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(this.#sequence, answer);
    this.#child.send({ sequence: this.#sequence, verb, args });
    return answer.promise;
  }

  /** SIGKILL, and wait until it is gone. */
  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    void this.ask('close');
    await gone;
  }

  async #whenReady(): Promise<void> {
    const ready = Promise.withResolvers<undefined>();
    let errors = '';
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    this.#child.on('message', (message: Message) => {
      if (message.ready) ready.resolve(undefined);
      this.#take(message);
    });
    this.#child.on('exit', () => {
      ready.reject(new Error(`The engine process ended: ${errors}`));
      for (const answer of this.#answers.values()) answer.reject(new Error(`The engine process ended: ${errors}`));
    });
    await ready.promise;
  }

  #take({ event, hammerError, sequence, value, error }: Message): void {
    if (event) this.events.push(event);
    if (hammerError !== undefined) this.hammerErrors.push(hammerError);
    const answer = sequence === undefined ? undefined : this.#answers.get(sequence);
    if (sequence === undefined || !answer) return;
    this.#answers.delete(sequence);
    if (error) answer.reject(Object.assign(new Error(error.message), { code: error.code }));
    else answer.resolve(value);
  }
}
