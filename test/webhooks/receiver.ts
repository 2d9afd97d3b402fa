import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Answer {
  /** 0: never answers. */
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** A receiver of webhooks in a process of its own, which can be killed and comes back at the same address. */
export class Receiver {
  readonly requests: Received[] = [];
  #child: ChildProcess | null = null;
  #port = 0;

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await receiver.restart();
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.#port)}/hook`;
  }

  /** Ids of the events, in the order of their arrival. */
  get ids(): string[] {
    return this.requests.map(({ headers }) => headers['webhook-id'] ?? '');
  }

  get types(): string[] {
    return this.requests.map(({ body }) => (JSON.parse(body) as { type: string }).type);
  }

  async restart(): Promise<void> {
    const child = fork(join(__dirname, 'receiver-process.mjs'), [String(this.#port)], {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.#child = child;
    child.on('message', (message: { request?: Received }) => {
      if (message.request) this.requests.push(message.request);
    });
    const [listening] = (await once(child, 'message')) as [{ port: number }];
    this.#port = listening.port;
  }

  async answer(answer: Answer): Promise<void> {
    const answering = new Promise<void>((resolve) => {
      this.#child?.on('message', (message: { answering?: true }) => {
        if (message.answering) resolve();
      });
    });
    this.#child?.send(answer);
    await answering;
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}
