import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessError, StorageError } from '../../src/errors.ts';
import { EventLoop, type Ended } from '../../src/n8n/event-loop.ts';
import type { EventFollower } from '../../src/outbox/follower.ts';
import { OutboxWorld, settled } from '../outbox/outbox-world.ts';

/** An execution that a test ends as it likes. */
interface Execution {
  readonly eventIds: readonly string[];
  readonly missed: boolean;
  readonly end: (ended: Ended) => void;
}

let world: OutboxWorld;
let executions: Execution[];
let failures: unknown[];
let loops: EventLoop[];
let names = 0;

beforeEach(() => {
  world = new OutboxWorld();
  executions = [];
  failures = [];
  loops = [];
  names += 1;
});
afterEach(async () => {
  for (const { end } of executions) end('ended');
  await Promise.all(loops.map((loop) => loop.stop()));
});

const name = (): string => `n8n/${String(names)}`;

/** A trigger of one workflow; each is what n8n makes of it when it starts, or when the workflow was saved. */
function started(open: () => Promise<EventFollower> = () => world.restarted().follow(name())): EventLoop {
  const loop = new EventLoop({
    followerId: name(),
    open,
    execute: (events, missed) =>
      new Promise((resolve) => {
        executions.push({ eventIds: events.map(({ eventId }) => eventId), missed, end: resolve });
      }),
    fail: (error) => failures.push(error),
    clock: world.clock,
    logger: world.ports.logger,
  });
  loops.push(loop);
  loop.start();
  return loop;
}

async function pass(ms = 1_000): Promise<void> {
  await settled();
  await world.clock.advance(ms);
  await settled();
}

const handed = (): string[] => executions.flatMap(({ eventIds }) => eventIds);
const stored = async (): Promise<number> => (await world.records.getFollower(name()))?.cursor ?? -1;

describe('the loop of a trigger', () => {
  it('hands over what happened, and stores its place only when the execution has ended', async () => {
    started();
    await pass();
    const events = await world.written(3);
    await pass();
    expect(handed()).toEqual(events);
    expect(await stored()).toBe(0);
    executions[0]?.end('ended');
    await pass();
    expect(await stored()).toBe(3);
  });

  it('goes on while an execution takes its time, and gives nothing twice', async () => {
    started();
    await pass();
    const first = await world.written(1);
    await pass();
    const second = await world.written(1);
    await pass();
    expect(executions.map(({ eventIds }) => eventIds)).toEqual([first, second]);
    executions[1]?.end('ended');
    await pass();
    expect(await stored()).toBe(0);
    executions[0]?.end('ended');
    await pass();
    expect(await stored()).toBe(2);
  });

  it('has no more than ten executions under way', async () => {
    started();
    for (let events = 0; events < 15; events += 1) {
      await pass();
      await world.written(1);
    }
    await pass();
    expect(executions).toHaveLength(10);
    executions[3]?.end('ended');
    await pass();
    expect(executions).toHaveLength(11);
    // All that waited.
    expect(executions[10]?.eventIds).toHaveLength(5);
  });

  it('tries again, with the same events, when the execution could not be begun', async () => {
    started();
    await pass();
    const events = await world.written(2);
    await pass();
    executions[0]?.end('notBegun');
    await pass(500);
    expect(executions).toHaveLength(1);
    await pass(1_000);
    expect(handed()).toEqual([...events, ...events]);
    expect(await stored()).toBe(0);
    executions[1]?.end('ended');
    await pass();
    expect(await stored()).toBe(2);
  });

  it('gives events again after a start when their execution was cut off', async () => {
    const loop = started();
    await pass();
    const events = await world.written(2);
    await pass();
    executions[0]?.end('cutOff');
    await pass();
    await loop.stop();
    started();
    await pass();
    expect(handed()).toEqual([...events, ...events]);
  });

  it('gives nothing twice to a workflow that was saved while its execution was under way', async () => {
    const loop = started();
    await pass();
    const events = await world.written(2);
    await pass();
    const stopping = loop.stop();
    await pass(3_000);
    await stopping;
    started();
    await pass();
    const later = await world.written(1);
    await pass();
    expect(handed()).toEqual([...events, ...later]);
    executions[1]?.end('ended');
    await pass();
    expect(await stored()).toBe(0);
    executions[0]?.end('ended');
    await pass();
    expect(await stored()).toBe(3);
  });

  it('reads nothing more once it is stopped, and waits shortly for what is under way', async () => {
    const loop = started();
    await pass();
    await world.written(1);
    await pass();
    const stopping = loop.stop();
    await pass(100);
    executions[0]?.end('ended');
    await stopping;
    expect(await stored()).toBe(1);
    await world.written(1);
    await pass(10_000);
    expect(executions).toHaveLength(1);
  });

  it('stores what ends after it was stopped', async () => {
    const loop = started();
    await pass();
    await world.written(1);
    await pass();
    const stopping = loop.stop();
    await pass(2_100);
    await stopping;
    expect(await stored()).toBe(0);
    executions[0]?.end('ended');
    await pass();
    expect(await stored()).toBe(1);
  });

  it('can be stopped while the store is slow to answer', async () => {
    const answer = Promise.withResolvers<EventFollower>();
    const loop = started(() => answer.promise);
    await pass();
    const stopping = loop.stop();
    answer.resolve(await world.restarted().follow(name()));
    await stopping;
    await world.written(1);
    await pass(5_000);
    expect(executions).toEqual([]);
  });

  it('tells of events that were taken away before it read them', async () => {
    const loop = started();
    await pass();
    await loop.stop();
    await world.written(4, { credentialId: 'cr_gone' });
    await world.records.pruneEvents(3, 10);
    started();
    await pass();
    expect(executions).toMatchObject([{ eventIds: ['ev_4'], missed: true }]);
  });
});

describe('a store that is away', () => {
  it('is logged, tried again ever more seldom, and costs nothing', async () => {
    started();
    await pass();
    world.records.away = new StorageError('ERR_STORE_UNAVAILABLE', 'Away.');
    const events = await world.written(2);
    await pass(600_000);
    const tries = world.warnings.length;
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(25);
    world.records.away = null;
    await pass(61_000);
    expect(handed()).toEqual(events);
    expect(failures).toEqual([]);
  });

  it('is waited for when it is away from the start', async () => {
    const follower = await world.outbox.follow(name());
    const events = await world.written(1);
    let isAway = true;
    started(async () => {
      if (isAway) throw new StorageError('ERR_STORE_UNAVAILABLE', 'Away.');
      return follower;
    });
    await pass(5_000);
    expect(executions).toEqual([]);
    isAway = false;
    await pass(5_000);
    expect(handed()).toEqual(events);
  });

  it('does not take from it what an execution has ended with', async () => {
    const loop = started();
    await pass();
    await world.written(1);
    await pass();
    const compareAndSet = world.records.compareAndSetFollower.bind(world.records);
    world.records.compareAndSetFollower = () => Promise.reject(new StorageError('ERR_STORE_UNAVAILABLE', 'Away.'));
    executions[0]?.end('ended');
    await pass();
    expect(world.warnings).toEqual([expect.stringContaining('stored with the next events')]);
    world.records.compareAndSetFollower = compareAndSet;
    await loop.stop();
    expect(await stored()).toBe(1);
  });
});

describe('an access key that is refused', () => {
  it.each(['ERR_ACCESS_DENIED', 'ERR_ACCESS_SCOPE_MISSING'] as const)('ends the loop with %s', async (code) => {
    let refused: AccessError | null = null;
    const reach = (): Promise<null> => (refused ? Promise.reject(refused) : Promise.resolve(null));
    started(() => world.outbox.follow(name(), {}, reach));
    await pass();
    refused = new AccessError(code, 'No.');
    await world.written(1);
    await pass(600_000);
    expect(failures).toEqual([refused]);
    expect(executions).toEqual([]);
  });
});
