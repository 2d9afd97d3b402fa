// The engines at work: started, stopped, continued, killed and replaced.
import { fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

const ENTRY = fileURLToPath(new URL('./worker.mjs', import.meta.url));

/** @typedef {{ name: string, at: number, signal: 'SIGKILL' | 'SIGSTOP', until: number }} Blow what was done to whom */
/** @typedef {{ name: string, child: import('node:child_process').ChildProcess, stopped: boolean }} Worker */

export class Crew extends EventEmitter {
  /** @type {Blow[]} */
  blows = [];
  /** @type {Map<string, number>} errors that callers got, by code */
  errors = new Map();
  /** @type {Worker[]} */
  #workers = [];
  #settings;
  #started = 0;
  /** @type {Set<Promise<unknown>>} */
  #starting = new Set();
  /** @type {Set<Promise<unknown>>} */
  #stopped = new Set();

  /** @param {{ database: string, masterKey: string, callers: number }} settings */
  constructor(settings) {
    super();
    this.#settings = settings;
  }

  /** Starts one more engine and waits until it works. */
  async start() {
    this.#started += 1;
    const name = `engine-${this.#started}`;
    const child = fork(ENTRY, [JSON.stringify({ ...this.#settings, name })], {
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const worker = { name, child, stopped: false };
    child.on('message', (message) => this.#hear(worker, message));
    const ready = once(child, 'ready-message');
    const ended = once(child, 'exit').then(() => {
      throw new Error(`${name} ended before it was ready`);
    });
    await Promise.race([ready, ended]);
    ended.catch(() => undefined);
    this.#workers.push(worker);
    return worker;
  }

  /** @returns {Worker[]} engines that run and are not stopped */
  get awake() {
    return this.#workers.filter(({ stopped }) => !stopped);
  }

  /**
   * SIGKILL, and another engine in its place.
   * @param {Worker} worker
   */
  async kill(worker) {
    const gone = once(worker.child, 'exit');
    this.#workers = this.#workers.filter((other) => other !== worker);
    worker.child.kill('SIGKILL');
    const at = Date.now();
    this.blows.push({ name: worker.name, at, signal: 'SIGKILL', until: at });
    await gone;
    const replacement = this.start().catch((error) => {
      // An engine that cannot start beside others that die is a fault like any other.
      const text = String(error);
      this.errors.set(text, (this.errors.get(text) ?? 0) + 1);
    });
    this.#starting.add(replacement);
    void replacement.then(() => this.#starting.delete(replacement));
  }

  /** Waits until everybody who was killed has been replaced. */
  async complete() {
    await Promise.all(this.#starting);
  }

  /**
   * SIGSTOP for a while.
   * @param {Worker} worker
   * @param {number} ms
   */
  stop(worker, ms) {
    const at = Date.now();
    worker.stopped = true;
    worker.child.kill('SIGSTOP');
    this.blows.push({ name: worker.name, at, signal: 'SIGSTOP', until: at + ms });
    const continued = delay(ms).then(() => {
      worker.child.kill('SIGCONT');
      worker.stopped = false;
      this.#stopped.delete(continued);
    });
    this.#stopped.add(continued);
  }

  /** Waits until everybody who was stopped goes on. */
  async continued() {
    await Promise.all(this.#stopped);
  }

  /** Ends all of them in order. */
  async close() {
    await this.complete();
    await this.continued();
    await Promise.all(
      this.#workers.map(async ({ child }) => {
        const gone = once(child, 'exit');
        child.send({ close: true });
        await gone;
      }),
    );
  }

  /** The last resort: nothing that we started outlives us. */
  abandon() {
    for (const { child } of this.#workers) child.kill('SIGKILL');
  }

  /**
   * @param {Worker} worker
   * @param {any} message
   */
  #hear(worker, message) {
    if (message.ready) worker.child.emit('ready-message');
    if (message.instant) this.emit('instant', worker, message.instant);
    if (message.error) this.errors.set(message.error, (this.errors.get(message.error) ?? 0) + 1);
  }
}

/** An engine that is never killed, through which credentials are registered. */
export class Founder {
  #crew;
  /** @type {Worker | null} */
  #worker = null;
  #sequence = 0;

  /** @param {{ database: string, masterKey: string }} settings */
  constructor(settings) {
    this.#crew = new Crew({ ...settings, callers: 0 });
  }

  async start() {
    this.#worker = await this.#crew.start();
  }

  /**
   * @param {object} entry
   * @returns {Promise<string>} the id
   */
  async register(entry) {
    const { child } = /** @type {Worker} */ (this.#worker);
    this.#sequence += 1;
    const sequence = this.#sequence;
    return new Promise((resolve, reject) => {
      const listen = (/** @type {any} */ message) => {
        if (message.sequence !== sequence) return;
        child.off('message', listen);
        if (message.failure) reject(new Error(message.failure));
        else resolve(message.id);
      };
      child.on('message', listen);
      child.send({ sequence, register: entry });
    });
  }

  async close() {
    await this.#crew.close();
  }

  abandon() {
    this.#crew.abandon();
  }
}
