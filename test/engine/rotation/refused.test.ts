import type { CredentialEngine } from '../../../src/engine.ts';
import { ConfigurationError } from '../../../src/errors.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import { refusedCandidate, unreachable, type Call } from './target.ts';
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

/** Asks again, as a person or the scheduler does once the back-off is over, until the rotation is over. */
async function rotateToItsEnd(id: string): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) {
    const { rotation } = await engine.rotate(id);
    if (!['creating', 'setting', 'testing', 'finishing'].includes(rotation.state)) return;
    world.clock.advance(600_000);
  }
  throw new Error('the rotation has no end');
}

async function alerts(): Promise<string[]> {
  const { events } = await engine.readEvents(0);
  return events.filter(({ type }) => type === 'rotation.failed').map(({ reason }) => reason);
}

/** The step refuses every candidate but those named. */
function refuse(step: Call, ...but: string[]): void {
  world.target.onCall = (call, password) => {
    if (call === step && !but.includes(password)) throw refusedCandidate();
  };
}

function callsOf(step: Call): string[] {
  return world.target.calls.filter((call) => call.startsWith(`${step} `)).map((call) => call.slice(step.length + 1));
}

test.each<RotationOverlap>(['dual', 'standby', 'none'])(
  'F45 a candidate that the target accepts and whose test fails is dropped and ended (%s)',
  async (overlap) => {
    const { id } = await engine.register(entry(overlap));
    refuse('test', 'made-2');
    const seen = new Set<string | undefined>();
    world.target.onCall = chained(world.target.onCall, async (call) => {
      if (call === 'create') seen.add(await inUse(engine, id));
    });
    await rotateToItsEnd(id);
    expect([...seen]).toEqual(['first']);
    expect(callsOf('test')).toEqual(
      overlap === 'none' ? ['made-1', 'made-2'] : ['made-1', 'made-1', 'made-1', 'made-2'],
    );
    expect(callsOf('retire')).toEqual(['made-1']);
    expect(await inUse(engine, id)).toBe('made-2');
    expect([...world.target.accepted].sort()).toEqual(overlap === 'none' ? ['made-2'] : ['first', 'made-2']);
    expect(await alerts()).toEqual(['candidateRefused']);
  },
);

function chained(
  first: (call: Call, password: string) => void | Promise<void>,
  then: (call: Call) => Promise<void>,
): (call: Call, password: string) => Promise<void> {
  return async (call, password) => {
    await then(call);
    await first(call, password);
  };
}

test('F45 where there is one secret and the candidate may be live, the old one is brought back before anybody is served', async () => {
  const { id } = await engine.register(entry('none'));
  let away = true;
  world.target.onCall = (call) => {
    if (call === 'test') throw refusedCandidate();
    if (call === 'retire' && away) throw unreachable();
  };
  expect((await engine.rotate(id)).rotation).toMatchObject({
    state: 'testing',
    failure: { code: 'ERR_ENDPOINT_UNREACHABLE' },
  });
  expect([...world.target.accepted]).toEqual(['made-1']);
  const controller = new AbortController();
  const waiting = engine.use(id, { signal: controller.signal });
  controller.abort(new Error('gave up'));
  await expect(waiting).rejects.toThrow('gave up');
  away = false;
  await rotateToItsEnd(id);
  expect([...world.target.accepted]).toEqual(['first']);
  expect(await inUse(engine, id)).toBe('first');
});

test.each<[RotationOverlap, Call]>([
  ['dual', 'set'],
  ['standby', 'set'],
  ['none', 'set'],
  ['dual', 'test'],
  ['standby', 'test'],
  ['none', 'test'],
  ['dual', 'finish'],
  ['standby', 'finish'],
  ['none', 'finish'],
])(
  'F47 a target that refuses every candidate ends the rotation after three of them (%s, %s)',
  async (overlap, step) => {
    const { id } = await engine.register(entry(overlap));
    refuse(step);
    await rotateToItsEnd(id);
    const triesOfEach = overlap === 'none' && step !== 'set' ? 1 : 3;
    expect(callsOf(step)).toHaveLength(3 * triesOfEach);
    expect(new Set(callsOf(step)).size).toBe(3);
    expect(await engine.get(id)).toMatchObject({
      state: 'valid.fresh',
      rotation: {
        state: 'failed',
        reason: 'candidatesExhausted',
        failure: { code: 'ERR_ROTATION_CANDIDATES_EXHAUSTED' },
      },
    });
    expect(await inUse(engine, id)).toBe('first');
    expect([...world.target.accepted]).toEqual(['first']);
    expect(await alerts()).toEqual(['candidateRefused', 'candidatesExhausted']);
    world.target.onCall = () => undefined;
    await rotateToItsEnd(id);
    expect(await inUse(engine, id)).toBe('made-4');
  },
  30_000,
);

it('backs off after a passing failure and does not hold it against the candidate', async () => {
  const { id } = await engine.register(entry('dual'));
  let failures = 7;
  world.target.onCall = (call) => {
    if (call === 'set' && failures-- > 0) throw unreachable();
  };
  const { rotation, dueAt } = await engine.rotate(id);
  expect(rotation).toMatchObject({ state: 'setting', candidate: 1, failure: { code: 'ERR_ENDPOINT_UNREACHABLE' } });
  expect(dueAt?.getTime()).toBeGreaterThan(world.clock.now().getTime());
  expect(await inUse(engine, id)).toBe('first');
  await rotateToItsEnd(id);
  expect(await inUse(engine, id)).toBe('made-1');
  expect(await alerts()).toEqual(['transientFailure']);
});

it('gives up at once when the owner must act, and leaves what was in use in use', async () => {
  const { id } = await engine.register(entry('dual'));
  world.target.onCall = (call) => {
    if (call === 'set') throw new ConfigurationError('ERR_OAUTH2_REQUEST_REFUSED', 'This account may not do that.');
  };
  expect((await engine.rotate(id)).rotation).toMatchObject({
    state: 'failed',
    reason: 'configurationFailure',
    failure: { code: 'ERR_OAUTH2_REQUEST_REFUSED' },
  });
  expect(callsOf('set')).toEqual(['made-1']);
  expect(callsOf('retire')).toEqual(['made-1']);
  expect(await inUse(engine, id)).toBe('first');
  expect(await alerts()).toEqual(['configurationFailure']);
});
