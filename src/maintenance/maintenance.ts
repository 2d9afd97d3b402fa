import { schedule, type ScheduledTask } from 'node-cron';
import { toCredentialError } from '../errors.ts';
import type { Surroundings } from '../lifecycle/effects.ts';
import { SingleFlight } from '../single-flight.ts';
import { prune, type Maintained, type Retention } from './retention.ts';

/** Every day at 03:17, by UTC: a day that has no such hour, or has it twice, is none there. */
const DAILY = '17 3 * * *';
const KEY_KEPT_MS = 3 * 86_400_000;

/** What has to be done once a day for the whole store, by one process of all that keep it. */
export class Maintenance {
  readonly #surroundings: Surroundings;
  readonly #retention: Retention;
  readonly #runs = new SingleFlight<Maintained>();
  readonly #stop = new AbortController();
  #task: ScheduledTask | null = null;

  constructor(surroundings: Surroundings, retention: Retention) {
    this.#surroundings = surroundings;
    this.#retention = retention;
  }

  /** Runs daily from now on, and today if nobody has run yet. */
  start(): void {
    const run = (): Promise<void> => this.runOfTheDay();
    this.#task = schedule(DAILY, run, { timezone: 'UTC', unref: true, noOverlap: true, suppressMissedWarning: true });
    void run();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('The engine closes.', 'AbortError'));
    await this.#task?.destroy();
    await this.#runs.settled();
  }

  async run(): Promise<Maintained> {
    return this.#runs.run('run', () => prune(this.#surroundings, this.#retention, this.#stop.signal));
  }

  /** Runs unless a process has done so today. */
  async runOfTheDay(): Promise<void> {
    const { records, ports } = this.#surroundings;
    const now = ports.clock.now();
    try {
      const key = `maintenance/${now.toISOString().slice(0, 10)}`;
      if (!(await records.consumeOnce(key, new Date(now.getTime() + KEY_KEPT_MS)))) return;
      const done = await this.run();
      // Nothing taken away is no news.
      if (Object.values(done).some((count) => count > 0))
        ports.logger.info({ ...done }, 'The daily maintenance is done.');
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      ports.logger.warn({ code: toCredentialError(error).code }, 'The daily maintenance failed.');
    }
  }
}
