import { CredentialEngine, type EngineOptions } from '../../src/engine.ts';
import type { CredentialEvent } from '../../src/lifecycle/events.ts';
import { openStores } from '../../src/storage/open.ts';
import type { Stores } from '../../src/storage/stores.ts';
import { silentLogger, systemFetch, systemRandom, type Ports } from '../../src/ports.ts';
import { MASTER_KEY } from '../support/engine.ts';
import { SteppedClock } from '../support/stepped-clock.ts';
import { HealthDriver } from './scripted-driver.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const ENTRY = { protocol: 'scripted', name: 'Scripted', config: { at: 'one' }, secret: { key: 'registered' } };

/** An engine on a clock that only the test moves, with a driver that does what the test says. */
export class World {
  readonly clock = new SteppedClock();
  readonly driver = new HealthDriver(() => this.clock.now());
  readonly ports: Ports = { clock: this.clock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  engine!: CredentialEngine;
  stores!: Stores;

  static async open(options: Partial<EngineOptions> = {}): Promise<World> {
    const world = new World();
    world.stores = await openStores('memory', world.ports);
    world.engine = await world.another(options);
    return world;
  }

  /** One more engine on the same stores, as another process would be. */
  another(options: Partial<EngineOptions> = {}): Promise<CredentialEngine> {
    const { clock } = this;
    return CredentialEngine.open({
      database: { ...this.stores },
      masterKey: MASTER_KEY,
      keeper: true,
      ports: { ...this.ports, clock },
      drivers: () => [this.driver],
      ...options,
    });
  }

  /** Moves the clock in steps, so that what falls due is done at its time, and waits until all has come to rest. */
  async pass(ms: number, stepMs = Math.max(MINUTE, ms / 500)): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      await this.clock.leap(Math.min(stepMs, left));
    }
  }

  async rest(): Promise<void> {
    await this.clock.rest();
  }

  /** Lets the clock's timers of now fire until the work has ended. */
  async settle<T>(work: Promise<T>): Promise<T> {
    const ended = work.then(
      () => true,
      () => true,
    );
    while (!(await Promise.race([ended, this.rest().then(() => false)])));
    return work;
  }

  async events(): Promise<CredentialEvent[]> {
    return [...(await this.engine.readEvents(0, 1_000)).events];
  }

  async types(): Promise<string[]> {
    return (await this.events()).map(({ type }) => type);
  }

  async close(): Promise<void> {
    await this.engine.close();
  }
}
