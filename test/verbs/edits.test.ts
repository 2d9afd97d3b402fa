import { createEmbeddedClient } from '../../src/embedded-client.ts';
import { ConfigurationError, ReauthorizationRequiredError, TransientError } from '../../src/errors.ts';
import { DAY, ENTRY, HOUR, MINUTE, World } from '../health/world.ts';

let world: World;

beforeEach(async () => {
  world = await World.open({ health: { testEveryMs: 0 } });
});

afterEach(() => world.close());

const away = (): TransientError => new TransientError('ERR_ENDPOINT_UNREACHABLE', 'Away.');

describe('update', () => {
  it.each<[string, object, object]>([
    ['its name', { name: 'Renamed' }, { name: 'Renamed' }],
    ['its tags', { tags: ['a', 'b'] }, { tags: ['a', 'b'] }],
    ['its scope', { scopeId: 'workflow' }, { scopeId: 'workflow' }],
    ['its owner', { ownerId: 'alice' }, { ownerId: 'alice' }],
    ['its tests', { testEveryMs: 0 }, { testEveryMs: 0 }],
    ['several at once', { name: 'R', ownerId: 'bob', tags: [] }, { name: 'R', ownerId: 'bob', tags: [] }],
  ])('changes %s and leaves the grant alone', async (_sentence, changes, expected) => {
    const { id } = await world.engine.register(ENTRY);
    const updated = await world.engine.update(id, changes);
    expect(updated).toMatchObject({ ...expected, generation: 1, state: 'valid.fresh' });
    expect((await world.engine.use(id)).headers).toEqual({ authorization: 'material' });
    expect(world.driver.asked).toMatchObject({ refresh: 1, test: 1 });
    expect((await world.types()).at(-1)).toBe('credential.updated');
    expect(await world.settle(world.engine.keys.verify())).toMatchObject({ unreadable: [], seal: 'intact' });
  });

  it('takes owner and scope away with null', async () => {
    const { id } = await world.engine.register({ ...ENTRY, ownerId: 'alice', scopeId: 'w' });
    expect(await world.engine.update(id, { ownerId: null, scopeId: null })).toMatchObject({
      ownerId: null,
      scopeId: null,
    });
    expect((await world.engine.use(id)).generation).toBe(1);
  });

  it.each<[string, object]>([
    ['settings', { config: { at: 'two' } }],
    ['secret', { secret: { key: 'another' } }],
    ['settings and secret', { config: { at: 'two' }, secret: { key: 'another' } }],
  ])('with other %s obtains a new grant and tests it', async (_sentence, changes) => {
    const { id } = await world.engine.register(ENTRY);
    expect(await world.engine.update(id, changes)).toMatchObject({ state: 'valid.fresh', generation: 3 });
    expect(world.driver.asked).toMatchObject({ refresh: 2, test: 2, revoke: 0 });
    expect(await world.settle(world.engine.keys.verify())).toMatchObject({ values: 2, unreadable: [], seal: 'intact' });
  });

  it('without a test leaves it pending until it is used', async () => {
    const { id } = await world.engine.register(ENTRY);
    const updated = await world.engine.update(id, { config: { at: 'two' } }, { test: false });
    expect(updated).toMatchObject({ state: 'pending.unverified', reason: 'settingsChanged', expiresAt: null });
    expect((await world.engine.use(id)).generation).toBe(3);
  });

  it('gives a misconfigured credential another chance', async () => {
    world.driver.refreshScript.push(new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', 'No such client.'));
    const { id, state } = await world.engine.register(ENTRY);
    expect(state).toBe('pending.misconfigured');
    expect(await world.engine.update(id, { secret: { key: 'right' } })).toMatchObject({
      state: 'valid.fresh',
      failure: null,
    });
  });

  it.each<[string, object]>([
    ['an empty name', { name: '' }],
    ['a name of two lines', { name: 'a\nb' }],
    ['an unknown member', { protocol: 'other' }],
    ['a look-alike', { tags: 'a' }],
    ['tests too often', { testEveryMs: 1_000 }],
    ['one wrong among right ones', { name: 'Right', tags: [''] }],
  ])('with %s changes nothing', async (_sentence, changes) => {
    const { id } = await world.engine.register(ENTRY);
    const before = await world.engine.get(id);
    await expect(world.engine.update(id, changes)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    expect(await world.engine.get(id)).toEqual(before);
  });

  it('of a revoked credential is refused, and of an unknown one', async () => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.revoke(id);
    await expect(world.engine.update(id, { name: 'x' })).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
    await expect(world.engine.update('nobody', { name: 'x' })).rejects.toMatchObject({
      code: 'ERR_CREDENTIAL_NOT_FOUND',
    });
  });

  it('of what a host keeps changes its names only', async () => {
    const id = await world.engine.adopt(ENTRY);
    await expect(world.engine.update(id, { secret: { key: 'x' } })).rejects.toMatchObject({
      code: 'ERR_CONFIG_MALFORMED',
    });
    expect(await world.engine.update(id, { name: 'Renamed' })).toMatchObject({ name: 'Renamed' });
  });
});

describe('pause and resume', () => {
  it('stop and go on with what is scheduled, and tell so', async () => {
    const { id } = await world.engine.register({ ...ENTRY, testEveryMs: HOUR });
    expect(await world.engine.pause(id)).toMatchObject({ paused: true, dueAt: null });
    const before = { ...world.driver.asked };
    await world.pass(DAY, 30 * MINUTE);
    expect(world.driver.asked).toEqual(before);
    expect(await world.engine.resume(id)).toMatchObject({ paused: false, pausedAt: null });
    await world.pass(2 * HOUR, 5 * MINUTE);
    expect(world.driver.asked.refresh).toBeGreaterThan(before.refresh);
    expect(world.driver.asked.test).toBeGreaterThan(before.test);
    const types = await world.types();
    expect(types.filter((type) => /paused|resumed/.test(type))).toEqual(['credential.paused', 'credential.resumed']);
  });

  it('said twice are said once', async () => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.resume(id);
    await world.engine.pause(id);
    const since = await world.engine.pause(id);
    await world.pass(MINUTE);
    expect((await world.engine.pause(id)).pausedAt).toEqual(since.pausedAt);
    expect((await world.types()).filter((type) => type === 'credential.paused')).toHaveLength(1);
  });

  it.each(['pause', 'resume'] as const)('of a revoked or unknown credential is refused: %s', async (verb) => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.revoke(id);
    await expect(world.engine[verb](id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
    await expect(world.engine[verb]('nobody')).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_FOUND' });
  });

  it('let every command be given: test, refresh, revoke', async () => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.pause(id);
    expect(await world.engine.test(id)).toMatchObject({ success: true });
    expect(await world.engine.refresh(id)).toMatchObject({ generation: 2, paused: true });
    expect(await world.engine.revoke(id)).toMatchObject({ state: 'revoked.byUser' });
  });

  it('note the end of a token that nothing can prolong', async () => {
    world.driver.issued = { refreshable: false };
    const { id } = await world.engine.register(ENTRY);
    await world.engine.pause(id);
    await world.pass(2 * HOUR, 5 * MINUTE);
    expect(await world.engine.get(id)).toMatchObject({ state: 'expired.needsUser' });
  });
});

describe('delete', () => {
  it('ends it at the other side and leaves nothing but its events', async () => {
    const { id } = await world.engine.register({ ...ENTRY, tags: ['mine'] });
    await world.engine.delete(id);
    expect(world.driver.asked.revoke).toBe(1);
    await expect(world.engine.get(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_FOUND' });
    expect((await world.engine.list({ tags: ['mine'] })).credentials).toEqual([]);
    expect(await world.stores.records.get(id)).toBeNull();
    expect(await world.stores.secrets.list(id)).toEqual([]);
    expect((await world.types()).slice(-2)).toEqual(['credential.revoked', 'credential.deleted']);
    expect(await world.settle(world.engine.keys.verify())).toMatchObject({ records: 0, values: 0, seal: 'intact' });
    await expect(world.engine.delete(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_FOUND' });
  });

  it.each([
    ['revoked before', (id: string) => world.engine.revoke(id)],
    ['paused', (id: string) => world.engine.pause(id)],
    ['never used', (id: string) => world.engine.get(id)],
  ])('takes one that was %s', async (sentence, before) => {
    const { id } = await world.engine.register({ ...ENTRY, test: sentence !== 'never used' });
    await before(id);
    await world.engine.delete(id);
    expect(await world.stores.records.get(id)).toBeNull();
  });

  it('keeps the revocation as pending while the other side is away, shows the credential to nobody, and removes it then', async () => {
    const { id } = await world.engine.register(ENTRY);
    world.driver.revocation = away();
    await world.engine.delete(id);
    for (const verb of ['get', 'use', 'test', 'refresh', 'pause', 'revoke'] as const) {
      await expect(world.engine[verb](id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_FOUND' });
    }
    expect((await world.engine.list()).credentials).toEqual([]);
    const pending = { now: new Date(world.clock.now().getTime() + DAY), limit: 10 };
    expect(await world.stores.records.listPendingRevocations(pending)).toHaveLength(1);
    await world.pass(2 * HOUR, 5 * MINUTE);
    expect(world.driver.asked.revoke).toBeGreaterThan(2);
    expect(await world.stores.secrets.list(id)).not.toEqual([]);
    world.driver.revocation = null;
    await world.pass(2 * HOUR, 5 * MINUTE);
    expect(await world.stores.records.get(id)).toBeNull();
    expect(await world.stores.secrets.list(id)).toEqual([]);
    expect(await world.stores.records.listPendingRevocations(pending)).toEqual([]);
    expect((await world.types()).filter((type) => type === 'credential.deleted')).toHaveLength(1);
  });
});

describe('an access key', () => {
  it.each([
    ['pause', 'pause'],
    ['pause', 'resume'],
    ['update', 'update'],
    ['delete', 'delete'],
  ] as const)('with the scope %s may %s, and without it not', async (scope, verb) => {
    const { id } = await world.engine.register(ENTRY);
    const handle = async (scopes: readonly ('use' | 'pause' | 'update' | 'delete')[]) =>
      createEmbeddedClient(world.engine).operator((await world.engine.grant(null, { scopes })).accessKey);
    const run = (operator: Awaited<ReturnType<typeof handle>>): Promise<unknown> =>
      verb === 'update' ? operator.update(id, { name: 'x' }) : operator[verb](id);
    const others = (['use', 'pause', 'update', 'delete'] as const).filter((each) => each !== scope);
    await expect(run(await handle(others))).rejects.toMatchObject({ code: 'ERR_ACCESS_SCOPE_MISSING' });
    await run(await handle([scope]));
  });
});

test('the advice of a refusal names verbs that there are', async () => {
  world.driver.refreshScript.push(new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'Refused.'));
  const { id } = await world.engine.register(ENTRY);
  const error: unknown = await world.engine.use(id).catch((failure: unknown) => failure);
  expect(error).toMatchObject({ action: expect.stringContaining('credlife update') as string });
});
