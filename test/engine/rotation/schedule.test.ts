import type { CredentialEngine } from '../../../src/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { entry, RotationWorld } from './world.ts';

const DAY_MS = 86_400_000;

let world: RotationWorld;
let engine: CredentialEngine;

beforeEach(async () => {
  world = new RotationWorld();
  engine = await world.open();
});

afterEach(async () => {
  await world.dispose();
});

/** Puts the clock to a due time that the credential has, and lets a keeper do what is due. */
async function keepAt(instant: Date | null, isSo: () => Promise<boolean>): Promise<void> {
  if (instant === null) throw new Error('nothing is due');
  world.clock.advance(Math.max(instant.getTime() - world.clock.now().getTime(), 0) + 1_000);
  const keeper = await world.open({ keeper: true });
  await eventually(isSo);
  await keeper.close();
}

const created = (): number => world.target.calls.filter((call) => call.startsWith('create')).length;

it('replaces a secret before it is too old, again and again', async () => {
  const { id } = await engine.register(entry('none', { rotation: { rotateEveryMs: 10 * DAY_MS }, test: false }));
  for (let times = 1; times <= 2; times += 1) {
    const { rotateBy, rotation } = await engine.get(id);
    const { dueAt } = rotation;
    expect(dueAt?.getTime()).toBeLessThan(rotateBy?.getTime() ?? 0);
    await keepAt(dueAt, async () => (await engine.get(id)).generation === times);
    expect((await engine.get(id)).rotation).toMatchObject({ state: 'idle', reason: 'keyAgeReached' });
  }
  expect(created()).toBe(2);
});

test('F43 a maintenance window rotates once, and one that was missed waits for the next', async () => {
  const window = { cron: '30 2 * * *', timeZone: 'Europe/Berlin' };
  const { id } = await engine.register(entry('none', { rotation: { window }, test: false }));
  const first = (await engine.get(id)).rotation.dueAt;
  await keepAt(first, async () => (await engine.get(id)).generation === 1);
  expect((await engine.get(id)).rotation.reason).toBe('windowOpened');
  const second = (await engine.get(id)).rotation.dueAt;
  expect(second?.getTime()).toBeGreaterThan((first?.getTime() ?? 0) + 22 * 3_600_000);
  const late = new Date((second?.getTime() ?? 0) + 2 * 3_600_000);
  const third = async (): Promise<number> => {
    const { rotation } = await engine.get(id);
    return rotation.dueAt?.getTime() ?? 0;
  };
  await keepAt(late, async () => (await third()) > late.getTime());
  expect(created()).toBe(1);
});

it('takes a policy later, and lets go of it', async () => {
  const { id } = await engine.register(entry('dual', { test: false }));
  expect(await engine.get(id)).toMatchObject({ rotationPolicy: null, rotateBy: null, dueAt: null });
  const given = await engine.setRotation(id, { rotateEveryMs: 10 * DAY_MS, rotationGraceMs: 0 });
  expect(given.rotationPolicy).toEqual({ rotateEveryMs: 10 * DAY_MS, rotationGraceMs: 0, window: null });
  expect(given.dueAt?.getTime()).toBe(given.createdAt.getTime() + 9 * DAY_MS);
  expect((await engine.setRotation(id, null)).dueAt).toBeNull();
});

it.each<[string, object]>([
  ['an unknown field', { every: 5 }],
  ['an age as text', { rotateEveryMs: '5' }],
])('stores nothing for a policy with %s', async (_sentence, rotation) => {
  await expect(engine.register(entry('dual', { rotation }))).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
  expect((await engine.list()).credentials).toEqual([]);
  const { id } = await engine.register(entry('dual', { test: false }));
  await expect(engine.setRotation(id, rotation)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
  expect((await engine.get(id)).rotationPolicy).toBeNull();
});
