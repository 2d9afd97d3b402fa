import type { CredentialEngine } from '../../../src/engine.ts';
import { ConfigurationError } from '../../../src/errors.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import type { JsonObject } from '../../../src/json.ts';
import { Secret } from '../../../src/secret.ts';
import { RotationTargetDriver, type Point } from '../../servers/rotation-target/driver.ts';
import { RotationTargets, type RotationTarget } from '../../servers/rotation-target/target.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { HastyClock } from '../../support/hasty-clock.ts';
import { openDatabase } from '../support/database.ts';
import { RotationProcess } from './rotation-process.ts';

const LOCKOUT = { lockoutFailures: 2, lockoutWindowMs: 600_000 };
const OVERLAPS: readonly RotationOverlap[] = ['dual', 'standby', 'none'];
const POINTS = ['create', 'set', 'test', 'finish'].flatMap((step): Point[] => [
  `before ${step}` as Point,
  `after ${step}` as Point,
]);

const PENDING = `documents WHERE kind = 'revocation'`;

const targets = new RotationTargets();
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;
let target: RotationTarget;
let engine: CredentialEngine;
let passwords = 0;
let open: (keeper: boolean) => Promise<CredentialEngine>;

async function start(
  overlap: RotationOverlap,
  { rotationGraceMs = 86_400_000, isWatched = false }: { rotationGraceMs?: number; isWatched?: boolean } = {},
): Promise<string> {
  folder = temporaryFolder();
  clock = isWatched ? new TestClock() : new HastyClock();
  target = await targets.start({ overlap, ...LOCKOUT });
  const own = {
    secretOf: (value: JsonObject) => Secret.of(value),
    refused: () => new ConfigurationError('ERR_ROTATION_CANDIDATE_REFUSED', 'The target refuses it.'),
    newPassword: () => `second-${String((passwords += 1))}`,
  };
  open = (keeper) =>
    openEngine(folder.path, {
      ports: { clock },
      drivers: () => [new RotationTargetDriver(own, () => Promise.resolve())],
      keeper,
    });
  engine = await open(false);
  const { id } = await engine.register({
    protocol: 'rotation-target',
    name: 'Target',
    config: { url: target.url, overlap, lockoutWindowMs: LOCKOUT.lockoutWindowMs },
    secret: { user: 'a', password: 'first' },
    rotation: { rotationGraceMs },
  });
  return id;
}

afterEach(async () => {
  await engine.close();
  folder.dispose();
});

afterAll(() => targets.stop());

/** A process rotates the credential, stands at the point, and is killed there. Then this process goes on. */
async function killAt(id: string, point: Point, isWatched = false): Promise<void> {
  const victim = await RotationProcess.start(folder.path, point, { keeper: point.endsWith('retire'), isWatched });
  victim.tell('rotate', id);
  await victim.reached();
  await victim.kill();
  clock.advance(6_000);
}

async function expectConverged(id: string, overlap: RotationOverlap): Promise<void> {
  const { accepted, logins } = await target.inspect();
  expect(logins.filter(({ verdict }) => verdict === 'locked')).toEqual([]);
  expect(logins.filter(({ verdict }) => verdict === 'refused').length).toBeLessThanOrEqual(1);
  const [user, password] = ((await engine.use(id)).headers['authorization'] ?? '').split(':');
  expect(password).not.toBe('first');
  expect(accepted.find((account) => account.user === user)?.passwords).toContain(password);
  expect(await engine.test(id)).toMatchObject({ success: true });
  expect((await engine.get(id)).rotation.state).toBe(overlap === 'none' ? 'idle' : 'overlapping');
}

const cases = OVERLAPS.flatMap((overlap) => POINTS.map((point) => [overlap, point] as const));

test.each(cases)(
  'F44 a process that is killed with overlap %s %s leaves a rotation that converges',
  async (overlap, point) => {
    const id = await start(overlap);
    await killAt(id, point);
    await engine.rotate(id);
    await expectConverged(id, overlap);
  },
  30_000,
);

test('F44 a keeper goes on with what a killed process has left open, and nobody has to ask', async () => {
  const id = await start('none');
  await killAt(id, 'after set');
  const keeper = await open(true);
  await eventually(async () => (await keeper.get(id)).rotation.rotatedAt !== null);
  await keeper.close();
  await expectConverged(id, 'none');
}, 30_000);

test('F44 a caller goes on with what a killed process has left open, where no keeper runs', async () => {
  const id = await start('none');
  await killAt(id, 'after set');
  const material = await engine.use(id);
  expect(material.generation).toBe(2);
  await expectConverged(id, 'none');
}, 30_000);

test.each<[RotationOverlap, Point]>([
  ['dual', 'before retire'],
  ['dual', 'after retire'],
  ['standby', 'before retire'],
  ['standby', 'after retire'],
])(
  'F46 a process that is killed with overlap %s %s leaves the old secret on the list',
  async (overlap, point) => {
    const id = await start(overlap, { rotationGraceMs: 0 });
    await killAt(id, point);
    expect((await engine.get(id)).rotation).toMatchObject({ state: 'idle', canRollBack: false });
    const keeper = await open(true);
    const database = openDatabase(folder.path);
    await eventually(() => database.count(PENDING) === 0);
    database.close();
    await keeper.close();
    const { accepted } = await target.inspect();
    expect(accepted.flatMap(({ passwords: each }) => each)).not.toContain('first');
    expect(await engine.test(id)).toMatchObject({ success: true });
    const { logins } = await target.inspect();
    expect(logins.filter(({ verdict }) => verdict !== 'accepted')).toEqual([]);
  },
  30_000,
);

test('F44 two processes that use it all the time get only what is accepted at that instant', async () => {
  const id = await start('none', { isWatched: true });
  const caller = () => RotationProcess.start(folder.path, null, { isWatched: true });
  const callers = await Promise.all([caller(), caller()]);
  const answers = callers.map((each) => each.answer('poll'));
  for (const each of callers) {
    const polled = each.polled();
    each.tell('poll', id, target.url, 3);
    await polled;
  }
  await engine.rotate(id);
  await killAt(id, 'after set', true);
  expect(await Promise.all(answers)).toEqual([
    { wrong: [], values: 3 },
    { wrong: [], values: 3 },
  ]);
  for (const each of callers) await each.close();
}, 60_000);
