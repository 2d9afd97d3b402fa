import type { CredentialEngine } from '../../../src/engine.ts';
import { unreachable } from './target.ts';
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

/** Every stored value under a new data key, none left behind, and all as it should be. */
async function bringUnderNewKey(): Promise<number> {
  const { keyId } = await engine.keys.rotate();
  const { left, reEncrypted } = await engine.keys.reEncrypt();
  expect(left).toEqual([]);
  const { unreadable, seal, valuesByKey } = await engine.keys.verify();
  expect({ unreadable, seal, keys: Object.keys(valuesByKey) }).toEqual({
    unreadable: [],
    seal: 'intact',
    keys: [keyId],
  });
  return reEncrypted;
}

it('re-encrypts the secret before, and rolls back to it', async () => {
  const { id } = await engine.register(entry('none'));
  await engine.rotate(id);
  expect(await bringUnderNewKey()).toBe(3);
  await engine.rollback(id);
  expect(await inUse(engine, id)).toBe('first');
});

it('re-encrypts a candidate, and goes on with it', async () => {
  const { id } = await engine.register(entry('dual'));
  world.target.onCall = (call) => {
    if (call === 'finish') throw unreachable();
  };
  expect((await engine.rotate(id)).rotation.state).toBe('finishing');
  // Registered secret, grant, candidate, and the grant that the candidate's test brought.
  expect(await bringUnderNewKey()).toBe(4);
  world.target.onCall = () => undefined;
  await engine.rotate(id);
  expect(await inUse(engine, id)).toBe('made-1');
  expect(world.target.calls.filter((call) => call.startsWith('test'))).toHaveLength(1);
});

it('re-encrypts what is still to be ended, and ends it', async () => {
  const { id } = await engine.register(entry('dual'));
  world.target.onCall = (call) => {
    if (call === 'retire') throw unreachable();
  };
  await engine.rotate(id);
  await engine.rotate(id);
  expect(await bringUnderNewKey()).toBe(4);
  world.target.onCall = () => undefined;
  await engine.revoke(id);
  expect([...world.target.accepted]).toEqual(['made-2']);
  expect(world.database.count('secrets')).toBe(0);
});

it('finds a record that was put back to before its rotation', async () => {
  const { id } = await engine.register(entry('none', { test: false }));
  await engine.rotate(id);
  expect((await engine.keys.verify()).seal).toBe('intact');
  world.database.execute(`UPDATE records SET record = json_set(record, '$.previous', NULL) WHERE id = ?`, id);
  expect((await engine.keys.verify()).seal).toBe('rolledBack');
});
