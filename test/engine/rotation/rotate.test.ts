import type { CredentialEngine } from '../../../src/engine.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import { entry, inUse, RotationWorld } from './world.ts';

let world: RotationWorld;
let engine: CredentialEngine;

beforeEach(async () => {
  world = new RotationWorld();
  engine = await world.open();
});

afterEach(async () => {
  await world.dispose();
});

const OVERLAPS: readonly RotationOverlap[] = ['dual', 'standby', 'none'];

it.each(OVERLAPS)('creates, sets, tests, finishes and puts the new secret in use (%s)', async (overlap) => {
  const { id } = await engine.register(entry(overlap));
  expect(await inUse(engine, id)).toBe('first');
  const rotated = await engine.rotate(id);
  expect(world.target.calls).toEqual(['create made-1', 'set made-1', 'test made-1', 'finish made-1']);
  expect(await inUse(engine, id)).toBe('made-1');
  expect(rotated).toMatchObject({
    state: 'valid.fresh',
    generation: 2,
    rotation: { state: overlap === 'none' ? 'idle' : 'overlapping', reason: 'rotationRequested', canRollBack: true },
  });
  const { events } = await engine.readEvents(0);
  expect(events.at(-1)).toMatchObject({ type: 'credential.rotated', reason: 'rotationRequested' });
});
