import { beforeEach, describe, expect, it } from '@jest/globals';
import { OutboxWatch } from '../../src/outbox/watch.ts';
import { OutboxWorld, settled } from './outbox-world.ts';

const HOUR_MS = 3_600_000;

let world: OutboxWorld;
let watch: OutboxWatch;
const never = new AbortController().signal;

beforeEach(() => {
  world = new OutboxWorld();
  watch = new OutboxWatch({ ports: world.ports, records: world.records });
});

/** Whether a promise has come to an end by now. */
async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  void promise.then(end, end);
  await settled();
  return over;
}

describe('who waits for events', () => {
  it('is woken within half a second by what another process wrote', async () => {
    const waiting = watch.after(0, HOUR_MS, never);
    await world.clock.advance(10_000);
    expect(await isOver(waiting)).toBe(false);
    await world.written(1);
    await world.clock.advance(500);
    expect(await isOver(waiting)).toBe(true);
  });

  it('is woken at once by what this process wrote', async () => {
    const waiting = watch.after(0, HOUR_MS, never);
    await world.clock.advance(100);
    await world.written(1);
    watch.wake();
    await world.clock.advance(0);
    expect(await isOver(waiting)).toBe(true);
  });

  it('is not woken by writes that are no events', async () => {
    const waiting = watch.after(0, HOUR_MS, never);
    for (let writes = 0; writes < 10; writes += 1) {
      await world.records.consumeOnce(`key-${String(writes)}`, world.clock.now());
      await world.clock.advance(500);
    }
    expect(await isOver(waiting)).toBe(false);
  });

  it('asks the store nothing while nothing is written, and shares what it asks', async () => {
    const all = Array.from({ length: 20 }, () => watch.after(0, HOUR_MS, never));
    await world.clock.advance(1_000);
    const before = world.records.ranges;
    await world.clock.advance(60_000);
    expect(world.records.ranges).toBe(before);
    await world.written(1);
    await world.clock.advance(500);
    expect(await isOver(Promise.all(all))).toBe(true);
    expect(world.records.ranges - before).toBeLessThanOrEqual(2);
  });

  it('waits no longer than he said', async () => {
    const waiting = watch.after(0, 2_000, never);
    await world.clock.advance(1_400);
    expect(await isOver(waiting)).toBe(false);
    await world.clock.advance(1_100);
    expect(await isOver(waiting)).toBe(true);
  });

  it('ends with the reason of his signal, or with the engine', async () => {
    const stop = new AbortController();
    const aborted = watch.after(0, HOUR_MS, stop.signal);
    const closed = watch.after(0, HOUR_MS, never);
    stop.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    watch.close();
    await expect(closed).rejects.toMatchObject({ code: 'ERR_ENGINE_CLOSED' });
    await expect(watch.after(0, HOUR_MS, never)).rejects.toMatchObject({ code: 'ERR_ENGINE_CLOSED' });
    await expect(watch.after(0, HOUR_MS, stop.signal)).rejects.toThrow('enough');
  });
});
