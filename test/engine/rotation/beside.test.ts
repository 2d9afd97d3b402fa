import type { CredentialEngine } from '../../../src/engine.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import { eventually } from '../../support/eventually.ts';
import { unreachable, type Call } from './target.ts';
import { entry, inUse, RotationWorld } from './world.ts';

let world: RotationWorld;
let engine: CredentialEngine;

beforeEach(async () => {
  world = new RotationWorld();
  engine = await world.open();
});

afterEach(async () => {
  world.target.onCall = () => undefined;
  for (const letGo of stopped.splice(0)) letGo();
  await world.dispose();
});

const stopped: (() => void)[] = [];

/** A signal that is aborted at once after the caller has begun to wait. */
function soon(): AbortSignal {
  const controller = new AbortController();
  setImmediate(() => {
    controller.abort(new Error('gave up'));
  });
  return controller.signal;
}

/** Stops the next rotation in a step until it is let go. */
function stopIn(step: Call): { reached: Promise<void>; letGo: () => void } {
  const reached = Promise.withResolvers<undefined>();
  const gate = Promise.withResolvers<undefined>();
  world.target.onCall = async (call) => {
    if (call !== step) return;
    reached.resolve(undefined);
    await gate.promise;
  };
  const letGo = (): void => {
    gate.resolve(undefined);
  };
  stopped.push(letGo);
  return { reached: reached.promise.then(() => undefined), letGo };
}

it.each<RotationOverlap>(['dual', 'standby'])(
  'serves what is in use while another secret is set and tested (%s)',
  async (overlap) => {
    const { id } = await engine.register(entry(overlap));
    const { reached, letGo } = stopIn('test');
    const rotating = engine.rotate(id);
    await reached;
    expect(await inUse(engine, id)).toBe('first');
    letGo();
    await rotating;
  },
);

it.each<Call>(['set', 'test', 'finish'])(
  'lets callers wait in %s where there is only one secret, also in another process',
  async (step) => {
    const { id } = await engine.register(entry('none'));
    const other = await world.open();
    expect([await inUse(engine, id), await inUse(other, id)]).toEqual(['first', 'first']);
    const { reached, letGo } = stopIn(step);
    const rotating = engine.rotate(id);
    await reached;
    const given: (string | undefined)[] = [];
    const callers = [engine, other].map(async (each) => given.push(await inUse(each, id)));
    await expect(engine.use(id, { signal: soon() })).rejects.toThrow('gave up');
    expect(given).toEqual([]);
    letGo();
    await rotating;
    await Promise.all(callers);
    expect(given).toEqual(['made-1', 'made-1']);
  },
);

it('ends the wait of callers with an error that says so, when the replacement does not come to an end', async () => {
  const { id } = await engine.register(entry('none'));
  const { reached, letGo } = stopIn('test');
  const rotating = engine.rotate(id);
  await reached;
  const errors: unknown[] = [];
  engine.use(id).catch((error: unknown) => errors.push(error));
  while (errors.length === 0) {
    world.clock.advance(1_000);
    await new Promise(setImmediate);
  }
  expect(errors).toMatchObject([{ code: 'ERR_ROTATION_IN_PROGRESS' }]);
  letGo();
  await rotating;
});

it.each<RotationOverlap>(['dual', 'none'])('lets a refresh wait for a rotation that runs (%s)', async (overlap) => {
  const { id } = await engine.register(entry(overlap));
  const { reached, letGo } = stopIn('test');
  const rotating = engine.rotate(id);
  await reached;
  const refreshing = engine.refresh(id);
  letGo();
  await rotating;
  expect((await refreshing).state).toBe('valid.fresh');
  expect(await inUse(engine, id)).toBe('made-1');
  expect(world.database.count(`secrets WHERE field = 'registered'`)).toBe(2);
});

it('never refreshes with a secret that the other side may have forgotten', async () => {
  const { id } = await engine.register(entry('none'));
  world.target.onCall = (call) => {
    if (call === 'test') throw unreachable();
  };
  expect((await engine.rotate(id)).rotation.state).toBe('testing');
  world.clock.advance(7_200_000);
  await expect(engine.refresh(id, { signal: soon() })).rejects.toThrow('gave up');
  await eventually(async () => (await engine.get(id)).rotation.failure !== null);
  world.clock.advance(600_000);
  world.target.onCall = () => undefined;
  expect(await inUse(engine, id)).toBe('made-1');
});

it('answers two processes that rotate at once with one rotation', async () => {
  const { id } = await engine.register(entry('dual'));
  const other = await world.open();
  await Promise.all([engine.rotate(id), other.rotate(id)]);
  expect(world.target.calls.filter((call) => call.startsWith('create'))).toHaveLength(1);
  expect((await engine.get(id)).rotation.state).toBe('overlapping');
});

it.each<Call>(['create', 'set', 'test', 'finish'])('ends both values when it is revoked in %s', async (step) => {
  const { id } = await engine.register(entry('dual'));
  const { reached, letGo } = stopIn(step);
  const rotating = engine.rotate(id).catch(() => undefined);
  await reached;
  expect(await engine.revoke(id)).toMatchObject({ state: 'revoked.byUser', rotation: { state: 'idle' } });
  letGo();
  await rotating;
  await eventually(() => world.target.calls.includes('retire made-1'));
  await eventually(() => world.database.count(`documents WHERE kind = 'revocation'`) === 0);
  expect([...world.target.accepted]).toEqual(['first']);
  await eventually(() => world.database.secretsOf(id).length === 0);
  await expect(engine.rotate(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
});

it('ends the secret before too when it is revoked in the overlap', async () => {
  const { id } = await engine.register(entry('dual'));
  await engine.rotate(id);
  await engine.revoke(id);
  expect(world.target.calls.at(-1)).toBe('retire first');
  expect(world.database.secretsOf(id)).toEqual([]);
});

test('F48 a second principal that is the account itself is refused before anything changes', async () => {
  const selfRotating = await world.open({}, { accounts: () => ({ rotated: 'svc', secondPrincipal: 'svc' }) });
  const { id } = await selfRotating.register(entry('none'));
  await expect(selfRotating.rotate(id)).rejects.toMatchObject({ code: 'ERR_ROTATION_PRINCIPAL_IS_ROTATED' });
  expect(world.target.calls).toEqual([]);
  expect((await selfRotating.get(id)).rotation.state).toBe('idle');
  const withSecond = await world.open({}, { accounts: () => ({ rotated: 'svc', secondPrincipal: 'admin' }) });
  expect((await withSecond.rotate(id)).generation).toBe(2);
});

test('F48 a schedule does not get around the refusal', async () => {
  const selfRotating = await world.open({}, { accounts: () => ({ rotated: 'svc', secondPrincipal: 'svc' }) });
  const { id } = await selfRotating.register(entry('none', { rotation: { rotateEveryMs: 86_400_000 } }));
  await selfRotating.close();
  world.clock.advance(86_400_000);
  const keeper = await world.open({ keeper: true }, { accounts: () => ({ rotated: 'svc', secondPrincipal: 'svc' }) });
  await eventually(async () => (await keeper.get(id)).rotation.state === 'failed');
  expect((await keeper.get(id)).rotation.failure).toMatchObject({ code: 'ERR_ROTATION_PRINCIPAL_IS_ROTATED' });
  expect(world.target.calls).toEqual([]);
});

it('refuses a protocol that cannot rotate, whether asked or by schedule', async () => {
  const oauth2 = {
    protocol: 'oauth2',
    name: 'OAuth2',
    config: { tokenEndpoint: 'https://as.example/token', grantType: 'client_credentials', clientId: 'c' },
    secret: { clientSecret: 's' },
    test: false,
  };
  const { id } = await engine.register(oauth2);
  const unsupported = { code: 'ERR_ROTATION_UNSUPPORTED' };
  await expect(engine.rotate(id)).rejects.toMatchObject(unsupported);
  await expect(engine.rollback(id)).rejects.toMatchObject(unsupported);
  await expect(engine.setRotation(id, { rotateEveryMs: 86_400_000 })).rejects.toMatchObject(unsupported);
  await expect(engine.register({ ...oauth2, rotation: {} })).rejects.toMatchObject(unsupported);
  expect((await engine.list()).credentials).toHaveLength(1);
});
