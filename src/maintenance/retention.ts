import { z } from 'zod/v4';
import { wait, type Surroundings } from '../lifecycle/effects.ts';

/** How much of the past is kept. */
export interface RetentionOptions {
  /** Events older than this go; default 90. */
  readonly eventDays?: number;
  /** Of the events no more than this many are kept, once every webhook has got the others; default 10,000. */
  readonly events?: number;
  /** Attempts of refreshes that are kept for each credential; default 20. */
  readonly attempts?: number;
}

export const retentionSchema = z.strictObject({
  eventDays: z.number().positive().max(36_500).default(90),
  events: z.int().positive().default(10_000),
  attempts: z.int().positive().max(1_000).default(20),
});
export type Retention = z.output<typeof retentionSchema>;

/** What one run of the maintenance took away. */
export interface Maintained {
  readonly events: number;
  readonly attempts: number;
  /** Keys of `consumeOnce` whose time was over. */
  readonly consumed: number;
}

const DAY_MS = 86_400_000;
const BATCH = 1_000;

/** Takes away what is kept for no one any more, in small writes, so that nobody waits for it. Ends early at `signal`. */
export async function prune(
  { records, ports }: Pick<Surroundings, 'records' | 'ports'>,
  retention: Retention,
  signal: AbortSignal,
): Promise<Maintained> {
  const now = ports.clock.now();
  const inBatches = async (pruneSome: () => Promise<number>): Promise<number> => {
    for (let sum = 0; ;) {
      const pruned = await pruneSome();
      sum += pruned;
      if (pruned === 0) return sum;
      await wait(ports, 0, signal);
    }
  };
  const consumed = await records.forgetConsumed(now);
  const through = await prunableThrough({ records }, retention, now);
  const events = through === 0 ? 0 : await inBatches(() => records.pruneEvents(through, BATCH));
  const attempts = await inBatches(() => records.pruneAttempts(retention.attempts, BATCH));
  return { events, attempts, consumed };
}

/** Cursor of the last event that may go. A webhook that is behind keeps what it has not got, but not beyond the age. */
async function prunableThrough(
  { records }: Pick<Surroundings, 'records'>,
  { eventDays, events }: Retention,
  now: Date,
): Promise<number> {
  const { newest } = await records.eventRange();
  const webhooks = await records.listWebhooks();
  const states = await Promise.all(webhooks.map(({ webhookId }) => records.getDelivery(webhookId)));
  const delivered = Math.min(newest, ...states.map((state) => state?.cursor ?? newest));
  const byCount = Math.min(newest - events, delivered);
  return Math.max(0, byCount, await lastBefore({ records }, new Date(now.getTime() - eventDays * DAY_MS)));
}

/** Cursor of the last event before an instant, found by halves: events are in the order of their instants. */
async function lastBefore({ records }: Pick<Surroundings, 'records'>, before: Date): Promise<number> {
  const { newest, prunedThrough } = await records.eventRange();
  let [from, to] = [prunedThrough, newest];
  while (from < to) {
    const middle = Math.floor((from + to) / 2);
    const { events, cursor } = await records.readEvents(middle, 1);
    const [event] = events;
    if (event && event.at < before) from = cursor;
    else to = middle;
  }
  return from === prunedThrough ? 0 : from;
}
