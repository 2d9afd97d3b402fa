import type { CredentialEngine } from '../../../src/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { unreachable } from './target.ts';
import { entry, inUse, RotationWorld } from './world.ts';

const GRACE_MS = 3_600_000;
const PENDING = `documents WHERE kind = 'revocation'`;

let world: RotationWorld;
let engine: CredentialEngine;

beforeEach(async () => {
  world = new RotationWorld();
  engine = await world.open();
});

afterEach(async () => {
  await world.dispose();
});

async function rotated(): Promise<string> {
  const { id } = await engine.register(entry('dual', { rotation: { rotationGraceMs: GRACE_MS } }));
  await engine.rotate(id);
  return id;
}

function retired(): string[] {
  return world.target.calls.filter((call) => call.startsWith('retire'));
}

async function keptUntil(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const keeper = await world.open({ keeper: true });
  await eventually(isSo);
  await keeper.close();
}

it('keeps the old secret until the grace has ended, and not longer', async () => {
  const id = await rotated();
  world.clock.advance(GRACE_MS - 60_000);
  const keeper = await world.open({ keeper: true });
  expect(await inUse(keeper, id)).toBe('made-1');
  await keeper.close();
  expect(retired()).toEqual([]);
  world.clock.advance(60_000);
  await keptUntil(() => retired().length > 0);
  expect([...world.target.accepted]).toEqual(['made-1']);
  expect((await engine.get(id)).rotation).toMatchObject({ state: 'idle', canRollBack: false });
  expect(world.database.secretsOf(id).filter(({ field }) => field === 'registered')).toHaveLength(1);
});

it.each<[string, (id: string) => Promise<unknown>]>([
  ['a refresh', (id) => engine.refresh(id)],
  ['a test that somebody asked for', (id) => engine.test(id)],
])('takes %s with the new secret for the proof that it is in use', async (_sentence, prove) => {
  const id = await rotated();
  expect((await engine.get(id)).rotation.state).toBe('overlapping');
  await prove(id);
  await keptUntil(() => retired().length > 0);
  expect(retired()).toEqual(['retire first']);
});

it.each<[string, (id: string) => Promise<unknown>]>([
  ['handing it out', (id) => engine.use(id)],
  [
    'a test that failed',
    async (id) => {
      world.target.accepted.delete('made-1');
      await engine.test(id);
    },
  ],
])('does not take %s for a proof', async (_sentence, noProof) => {
  const id = await rotated();
  await noProof(id);
  const { rotation } = await engine.get(id);
  expect(rotation.retireDueAt?.getTime()).toBeGreaterThan(world.clock.now().getTime() + GRACE_MS - 60_000);
});

test('F46 an old secret that cannot be ended now is ended later, also after a restart', async () => {
  const id = await rotated();
  let away = true;
  world.target.onCall = (call) => {
    if (call === 'retire' && away) throw unreachable();
  };
  world.clock.advance(GRACE_MS);
  await keptUntil(() => retired().length === 1);
  await eventually(() => world.database.count(PENDING) === 1);
  expect([...world.target.accepted]).toEqual(['first', 'made-1']);
  expect((await engine.get(id)).rotation.state).toBe('idle');
  await keptUntil(() => {
    world.clock.advance(60_000);
    return retired().length >= 3;
  });
  expect(world.database.count(PENDING)).toBe(1);
  away = false;
  world.clock.advance(3_600_000);
  await keptUntil(() => world.database.count(PENDING) === 0);
  expect([...world.target.accepted]).toEqual(['made-1']);
  expect(world.database.secretsOf(id).filter(({ field }) => field === 'registered')).toHaveLength(1);
});

test('F46 a new rotation forgets nothing that an earlier one has left to end', async () => {
  const id = await rotated();
  let away = true;
  world.target.onCall = (call) => {
    if (call === 'retire' && away) throw unreachable();
  };
  await engine.rotate(id);
  await engine.rotate(id);
  expect(await inUse(engine, id)).toBe('made-3');
  expect(world.database.count(PENDING)).toBe(2);
  away = false;
  world.clock.advance(GRACE_MS);
  await keptUntil(() => world.database.count(PENDING) === 0);
  expect([...world.target.accepted]).toEqual(['made-3']);
});
