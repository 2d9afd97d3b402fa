import { inspect } from 'node:util';
import { newCanary, disguisesOf } from '../../support/canaries.ts';
import { bytesOf } from '../support/database.ts';
import { refusedCandidate, unreachable } from './target.ts';
import { entry, RotationWorld } from './world.ts';

it('shows no secret of a rotation to logs, events, inspectors, errors, summaries or the disk', async () => {
  const world = new RotationWorld();
  const canaries: string[] = [];
  const seen: string[] = [];
  const see = (...values: unknown[]): void => {
    for (const value of values) {
      seen.push(inspect(value, { depth: 8, showHidden: true, getters: true }));
      if (value instanceof Error) seen.push(String(value.stack), inspect(value.cause, { depth: 12 }));
    }
  };
  world.target.make = () => {
    canaries.push(newCanary());
    return canaries.at(-1) ?? '';
  };
  const logger = { debug: see, info: see, warn: see, error: see };
  const engine = await world.open({ ports: { clock: world.clock, logger } });
  engine.on('*', see);
  let inspected = 0;
  engine.inspect((event) => {
    inspected += 1;
    const { snapshot } = event as { snapshot?: object };
    seen.push(JSON.stringify([event.type, 'event' in event && event.event, snapshot]));
  });
  for (const overlap of ['dual', 'none'] as const) {
    const { id } = await engine.register(entry(overlap));
    let tries = 0;
    world.target.onCall = (call, password) => {
      tries += 1;
      if (tries === 2) throw new Error(`a library's error that quotes ${password}`);
      if (tries === 4) throw unreachable();
      if (tries === 6 && call === 'test') throw refusedCandidate();
    };
    for (let times = 0; times < 8; times += 1) {
      see(await engine.rotate(id).catch((error: unknown) => error));
      world.clock.advance(600_000);
    }
    world.target.onCall = (call, password) => {
      if (call === 'retire') throw new Error(`cannot retire ${password}`);
    };
    see(await engine.rollback(id).catch((error: unknown) => error));
    see(await engine.rotate(id).catch((error: unknown) => error));
    see(await engine.revoke(id));
  }
  see(await engine.list(), await engine.readEvents(0, 1_000));
  expect({ canaries: canaries.length > 5, inspected: inspected > 100, seen: seen.length > 200 }).toEqual({
    canaries: true,
    inspected: true,
    seen: true,
  });
  const haystack = Buffer.concat([Buffer.from(seen.join('\n')), bytesOf(world.folder.path)]);
  const found = canaries.flatMap((canary) =>
    [...disguisesOf(canary)].filter(([, needle]) => haystack.includes(needle)).map(([disguise]) => disguise),
  );
  expect(found).toEqual([]);
  await world.dispose();
}, 60_000);
