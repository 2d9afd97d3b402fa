import { join } from 'node:path';
import type { StatePath } from '../../src/lifecycle/credential.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { OtherHolder } from './model/other-holder.ts';
import { modelPaths } from './model/paths.ts';
import { replay, type World } from './model/replay.ts';
import { ScriptedDriver } from './model/scripted-driver.ts';
import { ModelClock } from './model/model-clock.ts';

const { paths, states, transitions } = modelPaths();
// In memory where the host has a file system for that: two connections share the database, and no write waits for a disk.
const folder = temporaryFolder();
let world: World;

beforeAll(async () => {
  const clock = new ModelClock();
  const driver = new ScriptedDriver(() => clock.now());
  // Scheduled tests are no step of these paths.
  const options = { ports: { clock }, drivers: () => [driver], health: { testEveryMs: 0 } };
  const engine = await openEngine(folder.path, options);
  const other = await OtherHolder.open(join(folder.path, 'credentials.db'), clock, driver);
  const keep = async (): Promise<void> => {
    const keeper = await openEngine(folder.path, { ...options, keeper: true });
    await new Promise<void>((resolve) =>
      keeper.on('*', () => {
        resolve();
      }),
    );
    await keeper.close();
  };
  world = { engine, clock, driver, other, keep, natural: new Set() };
});

afterAll(async () => {
  await world.engine.close();
  await world.other.close();
  folder.dispose();
});

it('is where the machine is after each step of every path', async () => {
  let operations = 0;
  for (const path of paths) operations += await replay(world, path);
  process.stdout.write(
    `model: ${String(paths.length)} paths, ${String(operations)} operations, ${String(states)} states, ${String(transitions)} transitions\n`,
  );
}, 120_000);

it('has seen the other side itself bring about every end that it can', () => {
  const all: StatePath[] = [
    'valid.fresh',
    'valid.expiringSoon',
    'valid.degraded',
    'pending.unverified',
    'pending.misconfigured',
    'refreshing.ambiguous',
    'expired.retrying',
    'expired.needsUser',
    'revoked.byUser',
  ];
  expect([...world.natural].sort()).toEqual(all.sort());
});
