import { setImmediate as turn } from 'node:timers/promises';
import type { CredentialEvent, EventType } from '../../src/lifecycle/events.ts';
import { Outbox } from '../../src/outbox/outbox.ts';
import { silentLogger, systemFetch, systemRandom, type Ports } from '../../src/ports.ts';
import { MemoryRecordStore } from '../../src/storage/memory-records.ts';
import { NOW } from '../support/record.ts';
import { SteppedClock } from '../support/stepped-clock.ts';

/** A store that counts how often it is asked for its newest event, and can be away. */
export class CountingStore extends MemoryRecordStore {
  ranges = 0;
  away: Error | null = null;

  override async eventRange(): ReturnType<MemoryRecordStore['eventRange']> {
    this.ranges += 1;
    if (this.away) throw this.away;
    return super.eventRange();
  }
}

/** An outbox over a store in memory, with a clock that a test moves. */
export class OutboxWorld {
  readonly clock = new SteppedClock();
  readonly warnings: string[] = [];
  readonly ports: Ports;
  readonly records: CountingStore;
  readonly outbox: Outbox;
  #events = 0;

  constructor() {
    const logger = { ...silentLogger, warn: (_fields: object, message: string) => this.warnings.push(message) };
    this.ports = { clock: this.clock, random: systemRandom, fetch: systemFetch, logger };
    this.records = new CountingStore(this.clock);
    this.outbox = new Outbox({ ports: this.ports, records: this.records });
  }

  /** What a process after this one has: the same store and nothing else. */
  restarted(): Outbox {
    return new Outbox({ ports: this.ports, records: this.records });
  }

  /** Writes events as another process does: nobody is told. Returns their ids. */
  async written(count: number, overrides: Partial<CredentialEvent> = {}): Promise<string[]> {
    const events = Array.from({ length: count }, () => this.#event(overrides));
    await this.records.appendEvents(events);
    return events.map(({ eventId }) => eventId);
  }

  #event(overrides: Partial<CredentialEvent>): CredentialEvent {
    this.#events += 1;
    const type: EventType = 'credential.expired';
    const about = { credentialId: 'cr_1', ownerId: 'alice', protocol: 'oauth2', state: 'expired.retrying' } as const;
    const eventId = `ev_${String(this.#events)}`;
    return { type, eventId, ...about, generation: 1, reason: 'expiryReached', at: NOW, ...overrides };
  }
}

/** Lets everything that is under way come to rest. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await turn();
}

export const ids = ({ events }: { readonly events: readonly { readonly eventId: string }[] }): string[] =>
  events.map(({ eventId }) => eventId);
