import { storeEvent } from '../../src/lifecycle/events.ts';
import { Maintenance } from '../../src/maintenance/maintenance.ts';
import { retentionSchema } from '../../src/maintenance/retention.ts';
import { DAY, ENTRY, HOUR, World } from '../health/world.ts';

let world: World;

beforeEach(async () => {
  world = await World.open({ keeper: false, retention: { events: 5, eventDays: 10, attempts: 2 } });
});

afterEach(() => world.close());

async function tell(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    await world.stores.records.appendEvents([storeEvent('key.rotated', `e${String(index)}`, world.clock.now())]);
  }
}

it('keeps the newest events and the newest attempts, and the last event of each credential', async () => {
  const { id } = await world.engine.register(ENTRY);
  for (let refreshes = 0; refreshes < 4; refreshes += 1) await world.engine.refresh(id);
  const last = await world.engine.lastEvent(id);
  await tell(20);
  expect(await world.settle(world.engine.maintain())).toMatchObject({ events: 5 + 15, attempts: 3 });
  expect((await world.engine.readEvents(0)).events).toHaveLength(5 + 1);
  expect(await world.engine.lastEvent(id)).toEqual(last);
  expect(await world.settle(world.engine.maintain())).toEqual({ events: 0, attempts: 0, consumed: 0 });
  expect((await world.engine.refresh(id)).generation).toBe(6);
});

it('takes what is too old, however few there are', async () => {
  await tell(2);
  await world.pass(11 * DAY, DAY);
  await tell(1);
  expect(await world.settle(world.engine.maintain())).toMatchObject({ events: 2 });
});

it('keeps for a webhook what it has not got, until that is too old', async () => {
  await world.engine.webhooks.add({ url: 'http://127.0.0.1:9/' });
  await tell(20);
  expect(await world.settle(world.engine.maintain())).toMatchObject({ events: 0 });
  await world.pass(11 * DAY, DAY);
  expect(await world.settle(world.engine.maintain())).toMatchObject({ events: 20 });
});

it('tells a reader whose cursor is behind that he missed something', async () => {
  await tell(3);
  const { cursor } = await world.engine.readEvents(0, 2);
  await tell(20);
  expect((await world.engine.readEvents(cursor)).missed).toBe(false);
  await world.settle(world.engine.maintain());
  expect(await world.engine.readEvents(cursor)).toMatchObject({ missed: true });
  expect(await world.engine.readEvents(0)).toMatchObject({ missed: false });
  const { cursor: end } = await world.engine.readEvents(cursor);
  expect(await world.engine.readEvents(end)).toEqual({ events: [], cursor: end, missed: false });
});

it('forgets consumed keys whose time is over', async () => {
  await world.stores.records.consumeOnce('jti', new Date(world.clock.now().getTime() + HOUR));
  expect(await world.settle(world.engine.maintain())).toMatchObject({ consumed: 0 });
  await world.pass(2 * HOUR, HOUR);
  expect(await world.settle(world.engine.maintain())).toMatchObject({ consumed: 1 });
});

it('runs once a day, in one of many processes', async () => {
  const { records } = world.stores;
  const surroundings = { ports: world.ports, records } as ConstructorParameters<typeof Maintenance>[0];
  const keepers = [1, 2, 3].map(() => new Maintenance(surroundings, retentionSchema.parse({ events: 5 })));
  const runOnce = async (): Promise<number> => {
    await tell(10);
    const { newest } = await records.eventRange();
    await world.settle(Promise.all(keepers.map((keeper) => keeper.runOfTheDay())));
    return newest - (await records.eventRange()).prunedThrough;
  };
  expect(await runOnce()).toBe(5);
  expect(await runOnce()).toBe(15);
  await world.pass(DAY, DAY);
  expect(await runOnce()).toBe(5);
});

it.each([{ events: 0 }, { eventDays: -1 }, { attempts: 1.5 }, { events: '10' }, { unknown: 1 }])(
  'refuses %j',
  async (retention) => {
    await expect(world.another({ retention: retention as { events: number } })).rejects.toThrow(TypeError);
  },
);

it.each([{ testEveryMs: 1 }, { noticeLeadsMs: [0] }, { testOnLoad: 'yes' }, { noticeLeadsMs: 5 }, { unknown: 1 }])(
  'refuses the health options %j',
  async (health) => {
    await expect(world.another({ health: health as { testEveryMs: number } })).rejects.toThrow(TypeError);
  },
);
