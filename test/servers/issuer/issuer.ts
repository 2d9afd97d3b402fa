import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod/v4';
import {
  familySchema,
  listeningSchema,
  logEntrySchema,
  mintedSchema,
  type Family,
  type IssuerFault,
  type IssuerFaults,
  type IssuerOptions,
  type LogEntry,
  type Minted,
} from './contract.ts';

/**
 * The judge of refresh tests: an authorization server of our own in a process of its own.
 *
 * @example
 * const issuer = await Issuer.start({ clients: [{ clientId: 'a', clientSecret: 's', reuseGraceMs: 10_000 }] });
 * const { refreshToken } = await issuer.mint('a');
 * await issuer.failNext({ kind: 'drop', afterRotating: true });
 * // ... let the engine work against issuer.tokenEndpoint ...
 * expect((await issuer.log()).filter(({ verdict }) => verdict === 'reuseDetected')).toEqual([]);
 * await issuer.stop();
 */
export class Issuer {
  readonly url: string;
  readonly tokenEndpoint: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
    this.tokenEndpoint = `${url}/token`;
  }

  /** Starts the process on a free port of 127.0.0.1. */
  static async start(options: IssuerOptions): Promise<Issuer> {
    const entry = fileURLToPath(new URL('./process.ts', import.meta.url));
    const child = fork(entry, [JSON.stringify(options)], {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error('The issuer ended before it listened.');
    });
    const [message] = (await Promise.race([once(child, 'message'), ended])) as unknown[];
    ended.catch(() => undefined);
    return new Issuer(child, listeningSchema.parse(message).url);
  }

  /** A new consent of one client: the first refresh token of a new family. */
  async mint(clientId: string): Promise<Minted> {
    return mintedSchema.parse(await this.#ask('mint', clientId));
  }

  /** Ends a family, as the owner of the consent would. */
  async end(familyId: string): Promise<void> {
    await this.#ask('end', familyId);
  }

  /** Replaces all faults and the latency. */
  async setFaults(faults: IssuerFaults): Promise<void> {
    await this.#ask('faults', faults);
  }

  async failNext(...faults: IssuerFault[]): Promise<void> {
    await this.setFaults({ next: faults });
  }

  /** Every token request after the one numbered `after`, oldest first. */
  async log(after = 0): Promise<LogEntry[]> {
    return z.array(logEntrySchema).parse(await this.#ask(`log?after=${String(after)}`));
  }

  async families(): Promise<Family[]> {
    return z.array(familySchema).parse(await this.#ask('families'));
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await gone;
  }

  async #ask(verb: string, body?: unknown): Promise<unknown> {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`${this.url}/admin/${verb}`, init);
    if (!response.ok) throw new Error(`The issuer answered ${String(response.status)} to ${verb}.`);
    return response.json();
  }
}
