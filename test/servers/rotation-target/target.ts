import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Login, TargetOptions } from './server.ts';

/** What the target itself knows. */
export interface Inspection {
  readonly accepted: readonly { readonly user: string; readonly passwords: readonly string[] }[];
  readonly logins: readonly Login[];
}

/** A target of rotations in a process of its own. */
export class RotationTarget {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(options: TargetOptions): Promise<RotationTarget> {
    const entry = fileURLToPath(new URL('./process.ts', import.meta.url));
    const child = fork(entry, [JSON.stringify(options)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [message] = (await once(child, 'message')) as [{ url: string }];
    return new RotationTarget(child, message.url);
  }

  async inspect(): Promise<Inspection> {
    return (await (await fetch(`${this.url}/inspect`, { method: 'POST' })).json()) as Inspection;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
