import { join } from 'node:path';
import type { StatePath } from '../../src/lifecycle/credential.ts';
import type { RotationOverlap } from '../../src/protocols/protocol.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { OtherHolder } from './model/other-holder.ts';
import { RotatingDriver } from './model/rotation-driver.ts';
import { NATURAL_ENDS } from './model/rotation-facts.ts';
import { chartOf, rotationPaths } from './model/rotation-paths.ts';
import { replayRotation, watch, type RotationWorld } from './model/rotation-replay.ts';
import { ModelClock } from './model/model-clock.ts';
import { openWatched, type Interventions } from './model/watched-store.ts';

// The regions of the machine are walked apart: lifecycle and health in model-paths.test.ts, rotation here. That is enough
// because only two events are heard in both: `grant.promoted`, which a promotion raises, and `credential.revoke`. Both are in
// these paths, and the record's life is compared with the machine's beside its rotation. Every other event moves one region
// and leaves the others.

const folder = temporaryFolder();
let world: RotationWorld;

beforeAll(async () => {
  const clock = new ModelClock();
  const driver = new RotatingDriver(() => clock.now());
  const interventions: Interventions = { beforeRead: null, beforeWrite: null };
  const database = join(folder.path, 'credentials.db');
  const open = async (keeper: boolean) => {
    const stores = openWatched(database, clock, interventions);
    const options = { ports: { clock }, drivers: () => [driver], health: { testEveryMs: 0 } };
    const opened = await openEngine(folder.path, { ...options, database: stores, keeper });
    opened.inspect((event) => {
      watch(world, event);
    });
    return opened;
  };
  const keep = async (isOver: () => boolean): Promise<void> => {
    const keeper = await open(true);
    while (!isOver()) await new Promise(setImmediate);
    await keeper.close();
  };
  const engine = await open(false);
  const other = await OtherHolder.open(database, clock, driver);
  world = {
    engine,
    clock,
    driver,
    other,
    interventions,
    keep,
    script: [],
    seen: [],
    walked: new Set(),
    natural: new Set(),
  };
});

afterAll(async () => {
  await world.engine.close();
  await world.other.close();
  folder.dispose();
});

const OVERLAPS: readonly RotationOverlap[] = ['dual', 'none'];

it.each(OVERLAPS)(
  'is where the machine is after each step of every path of a rotation (%s)',
  async (overlap) => {
    const { paths, states, transitions } = rotationPaths(overlap);
    world.driver.overlap = overlap;
    let operations = 0;
    for (const path of paths) operations += await replayRotation(world, path);
    process.stdout.write(
      `model of rotation (${overlap}): ${String(paths.length)} paths, ${String(operations)} operations, ${String(states)} states, ${String(transitions)} transitions\n`,
    );
  },
  240_000,
);

it('has seen every state of the region, and every transition but those that no engine takes', () => {
  const { states, transitions } = chartOf();
  const never = transitions.filter((transition) => !world.walked.has(transition));
  const reached = new Set([...world.walked].map((transition) => transition.replace(/:.*/, '')));
  process.stdout.write(
    `chart of rotation: ${String(states.length)} states, ${String(transitions.length - never.length)} of ${String(transitions.length)} transitions taken by the engine\n`,
  );
  expect(states.filter((state) => !reached.has(state))).toEqual([]);
  expect([...world.walked].filter((transition) => !transitions.includes(transition))).toEqual([]);
  expect(never).toEqual([
    // The engine's effects answer what went wrong instead of throwing it.
    'creating.running: the effect threw',
    // A `set` that is refused goes back to `creating`, and one that fails waits.
    'setting.running: the rotation is setting and goes on',
    'setting.running: the effect threw',
    'testing.running: the effect threw',
    'finishing.running: the effect threw',
    'overlapping.retiring: the effect threw',
  ]);
});

it('has seen the driver itself bring about every end that it can', () => {
  expect([...world.natural].sort()).toEqual([...NATURAL_ENDS, 'begins'].sort());
});

const LIVES: readonly StatePath[] = [
  ...(['pending.unverified', 'pending.misconfigured', 'valid.fresh', 'valid.expiringSoon', 'valid.degraded'] as const),
  ...(['refreshing.ambiguous', 'expired.retrying', 'expired.needsUser'] as const),
];

it.each(LIVES)('is valid.fresh, machine and record, once a rotation has promoted a grant (%s)', async (life) => {
  const { engine, other, driver } = world;
  Object.assign(driver, { overlap: 'dual', failure: null, grants: true });
  const entry = { protocol: 'scripted', name: 'Model', config: {}, secret: {}, test: false };
  const { id } = await engine.register(entry);
  await other.settle(id, life);
  world.seen = [];
  await engine.rotate(id);
  expect(world.seen).toEqual([
    ...[`creating.running of ${life}`, `creating.running of ${life}`, `setting.running of ${life}`],
    ...[`testing.running of ${life}`, `finishing.running of ${life}`, 'overlapping.waiting of valid.fresh'],
  ]);
  expect(await other.read(id)).toMatchObject({ state: 'valid.fresh', rotation: { state: 'overlapping' } });
});
