import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { MASTER_KEY } from '../../support/engine.ts';
import type { Point } from '../../servers/rotation-target/driver.ts';

interface Message {
  readonly ready?: true;
  readonly polled?: true;
  readonly reached?: Point;
  readonly verb?: string;
  readonly value?: unknown;
  readonly error?: string;
}

/** The built engine on a rotation target, in a process of its own. */
export class RotationProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param holdAt where it stays for good; `isWatched`: others use the credential while it rotates */
  static async start(
    folder: string,
    holdAt: Point | null,
    { keeper = false, isWatched = false }: { keeper?: boolean; isWatched?: boolean } = {},
  ): Promise<RotationProcess> {
    const database = join(folder, 'credentials.db');
    const settings = { database, masterKey: MASTER_KEY.toString('hex'), keeper, holdAt, isWatched };
    const entry = resolve(__dirname, '../../servers/rotation-target/engine-process.ts');
    const child = fork(entry, [JSON.stringify(settings)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const started = new RotationProcess(child);
    await started.#message((message) => message.ready === true);
    return started;
  }

  tell(verb: 'rotate' | 'poll', ...args: unknown[]): void {
    this.#child.send({ verb, args });
  }

  async answer(verb: 'rotate' | 'poll'): Promise<unknown> {
    const { value, error } = await this.#message((message) => message.verb === verb);
    if (error !== undefined) throw new Error(error);
    return value;
  }

  async reached(): Promise<void> {
    await this.#message((message) => message.reached !== undefined);
  }

  async polled(): Promise<void> {
    await this.#message((message) => message.polled === true);
  }

  /** SIGKILL, and wait until it is gone. */
  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.send({ verb: 'close', args: [] });
    await gone;
  }

  async #message(isWanted: (message: Message) => boolean): Promise<Message> {
    const found = Promise.withResolvers<Message>();
    const onMessage = (message: Message): void => {
      if (isWanted(message)) found.resolve(message);
    };
    const onExit = (): void => {
      found.reject(new Error('The process ended.'));
    };
    this.#child.on('message', onMessage);
    this.#child.once('exit', onExit);
    try {
      return await found.promise;
    } finally {
      this.#child.off('message', onMessage);
      this.#child.off('exit', onExit);
    }
  }
}
