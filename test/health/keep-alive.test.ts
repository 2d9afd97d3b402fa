import { TransientError } from '../../src/errors.ts';
import { keepAliveAt } from '../../src/lifecycle/policy.ts';
import { aValidRecord, NOW, secondsAfter } from '../support/record.ts';
import { DAY, ENTRY, HOUR, World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await World.open({ health: { testEveryMs: 0 } });
});

afterEach(() => world.close());

/** A grant that lapses when it is not refreshed within 14 days, and a token that outlives it. */
const idle = (): void => {
  const idleExpiresAt = (): Date => new Date(world.clock.now().getTime() + 14 * DAY);
  Object.defineProperty(world.driver, 'issued', {
    get: () => ({ lifeSeconds: 60 * 86_400, idleExpiresAt: idleExpiresAt() }),
  });
};

const refreshes = async () => (await world.events()).filter(({ type }) => type === 'credential.refreshed');

test.each([
  ['that nobody uses', false],
  ['that is paused', true],
])('F37 a grant %s is refreshed before it lapses, again and again', async (_sentence, isPaused) => {
  idle();
  const { id } = await world.engine.register(ENTRY);
  if (isPaused) await world.engine.pause(id);
  await world.pass(60 * DAY, 4 * HOUR);
  const instants = (await refreshes()).map(({ at }) => at.getTime());
  expect(instants.length).toBeGreaterThanOrEqual(5);
  expect(instants.length).toBeLessThanOrEqual(7);
  const gaps = instants.slice(1).map((instant, index) => instant - (instants[index] ?? 0));
  expect(Math.max(...gaps)).toBeLessThan(14 * DAY);
  expect(await world.engine.get(id)).toMatchObject({ state: 'valid.fresh', paused: isPaused });
  expect((await world.types()).filter((type) => type === 'credential.expiringSoon')).toEqual([]);
});

test('F37 a paused credential whose grant does not lapse is left alone, and used and refreshed on demand', async () => {
  const { id } = await world.engine.register(ENTRY);
  await world.engine.pause(id);
  await world.pass(2 * DAY, HOUR);
  expect(world.driver.asked.refresh).toBe(1);
  expect((await world.engine.use(id)).generation).toBe(2);
  await world.pass(2 * DAY, HOUR);
  expect(world.driver.asked.refresh).toBe(2);
  await world.engine.resume(id);
  await world.pass(2 * HOUR, HOUR / 4);
  expect(world.driver.asked.refresh).toBeGreaterThan(3);
});

test('F37 a keep-alive that fails is tried again in time, and its owner hears when it goes on failing', async () => {
  idle();
  const { id } = await world.engine.register(ENTRY);
  await world.engine.pause(id);
  const away = (): TransientError => new TransientError('ERR_ENDPOINT_UNREACHABLE', 'Away.');
  for (let tries = 0; tries < 2_000; tries += 1) world.driver.refreshScript.push(away());
  await world.pass(13.5 * DAY, 2 * HOUR);
  const told = (await world.events()).filter(({ type }) => type === 'credential.expiringSoon');
  expect(told.length).toBeGreaterThan(0);
  expect(new Set(told.map(({ reason }) => reason))).toEqual(new Set(['grantLapses']));
  world.driver.refreshScript.length = 0;
  await world.pass(HOUR, HOUR / 4);
  expect((await refreshes()).length).toBe(2);
});

test.each<[string, Parameters<typeof aValidRecord>[1]]>([
  ['a grant that does not lapse', { idleExpiresAt: null }],
  ['a grant that cannot be refreshed', { idleExpiresAt: secondsAfter(NOW, 60), refreshable: false }],
])('%s has no keep-alive', (_sentence, overrides) => {
  expect(keepAliveAt(aValidRecord(3_600, overrides))).toBeNull();
});

test.each([60, 3_600, 86_400, 90 * 86_400])(
  'the keep-alive of an idle limit of %d s lies well inside it',
  (seconds) => {
    const at = keepAliveAt(aValidRecord(10, { idleExpiresAt: secondsAfter(NOW, seconds) }))?.getTime() ?? Number.NaN;
    expect(at).toBeGreaterThan(NOW.getTime() + (seconds * 1_000) / 2);
    expect(at).toBeLessThanOrEqual(NOW.getTime() + seconds * 1_000 - Math.min((seconds * 1_000) / 4, 3 * DAY));
  },
);
