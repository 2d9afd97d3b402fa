import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Login, TargetOptions } from './server.ts';

/** What the target itself knows. */
export interface Inspection {
  readonly accepted: readonly { readonly user: string; readonly passwords: readonly string[] }[];
  readonly logins: readonly Login[];
}

/** A target of rotations, with accounts of its own, in the process of a `RotationTargets`. */
export class RotationTarget {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async inspect(): Promise<Inspection> {
    return (await (await fetch(`${this.url}/inspect`, { method: 'POST' })).json()) as Inspection;
  }
}

/** A process that targets of rotations live in. */
export class RotationTargets {
  readonly #child: ChildProcess;

  constructor() {
    const entry = fileURLToPath(new URL('./process.ts', import.meta.url));
    this.#child = fork(entry, {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  /** A target that nobody has spoken to. One at a time. */
  async start(options: TargetOptions): Promise<RotationTarget> {
    const answered = once(this.#child, 'message') as Promise<[{ url: string }]>;
    this.#child.send(options);
    const [{ url }] = await answered;
    return new RotationTarget(url);
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
