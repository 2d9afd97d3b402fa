import type { CredentialEngine } from '../../../src/engine.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import { refusedCandidate } from './target.ts';
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

it.each<RotationOverlap>(['dual', 'standby', 'none'])(
  'goes back to the value before, and forward again (%s)',
  async (overlap) => {
    const { id } = await engine.register(entry(overlap));
    await engine.rotate(id);
    const back = await engine.rollback(id);
    expect(back).toMatchObject({ generation: 3, rotation: { reason: 'rollbackRequested', canRollBack: true } });
    expect(await inUse(engine, id)).toBe('first');
    expect(world.target.calls.slice(4)).toEqual(['set first', 'test first', 'finish first']);
    await engine.rollback(id);
    expect(await inUse(engine, id)).toBe('made-1');
    expect(world.target.accepted.has('made-1')).toBe(true);
  },
);

it('has nothing to go back to before the first rotation', async () => {
  const { id } = await engine.register(entry('none'));
  await expect(engine.rollback(id)).rejects.toMatchObject({ code: 'ERR_ROTATION_NOTHING_TO_ROLL_BACK' });
  expect(world.target.calls).toEqual([]);
});

it('has nothing to go back to once the old value was ended', async () => {
  const { id } = await engine.register(entry('dual', { rotation: { rotationGraceMs: 0 } }));
  await engine.rotate(id);
  const keeper = await world.open({ keeper: true });
  while ((await engine.get(id)).rotation.state !== 'idle') await new Promise(setImmediate);
  await keeper.close();
  await expect(engine.rollback(id)).rejects.toMatchObject({ code: 'ERR_ROTATION_NOTHING_TO_ROLL_BACK' });
});

it('is refused while a rotation is open', async () => {
  const { id } = await engine.register(entry('dual'));
  await engine.rotate(id);
  world.target.onCall = (call) => {
    if (call === 'test') throw refusedCandidate();
  };
  expect((await engine.rotate(id)).rotation.state).toBe('testing');
  await expect(engine.rollback(id)).rejects.toMatchObject({ code: 'ERR_ROTATION_IN_PROGRESS' });
});

it.each<[RotationOverlap, string[]]>([
  ['dual', ['first', 'made-1']],
  ['none', ['made-1']],
])('stays with what is in use when the other side refuses the value before (%s)', async (overlap, accepted) => {
  const { id } = await engine.register(entry(overlap));
  await engine.rotate(id);
  world.target.onCall = (call, password) => {
    if (call === 'test' && password === 'first') throw refusedCandidate();
  };
  await engine.rollback(id);
  for (let tries = 0; tries < 3; tries += 1) {
    world.clock.advance(600_000);
    if ((await engine.get(id)).rotation.state === 'testing') await engine.rotate(id);
  }
  expect(await engine.get(id)).toMatchObject({ rotation: { state: 'failed', reason: 'candidatesExhausted' } });
  expect(await inUse(engine, id)).toBe('made-1');
  expect([...world.target.accepted].sort()).toEqual(accepted);
});
