import { CredentialEngine } from '../../../src/engine.ts';
import { ConfigurationError } from '../../../src/errors.ts';
import type { RotationOverlap } from '../../../src/protocols/protocol.ts';
import { Secret } from '../../../src/secret.ts';
import { RotationTargetDriver, type Point } from '../../servers/rotation-target/driver.ts';
import { RotationTarget } from '../../servers/rotation-target/target.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { RotationProcess } from './rotation-process.ts';

const LOCKOUT = { lockoutFailures: 2, lockoutWindowMs: 600_000 };
const OVERLAPS: readonly RotationOverlap[] = ['dual', 'standby', 'none'];
const POINTS = ['create', 'set', 'test', 'finish'].flatMap((step): Point[] => [
  `before ${step}` as Point,
  `after ${step}` as Point,
]);
const ENDS: readonly Point[] = ['before retire', 'after retire'];

let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;
let target: RotationTarget;
let engine: CredentialEngine;
let passwords = 0;

async function start(overlap: RotationOverlap): Promise<string> {
  folder = temporaryFolder();
  clock = new TestClock();
  target = await RotationTarget.start({ overlap, ...LOCKOUT });
  const own = {
    secretOf: Secret.of,
    refused: () => new ConfigurationError('ERR_ROTATION_CANDIDATE_REFUSED', 'The target refuses it.'),
    newPassword: () => `second-${String((passwords += 1))}`,
  };
  const driver = new RotationTargetDriver(own, () => Promise.resolve());
  engine = await openEngine(folder.path, { ports: { clock }, drivers: () => [driver] });
  const { id } = await engine.register({
    protocol: 'rotation-target',
    name: 'Target',
    config: { url: target.url, overlap, lockoutWindowMs: LOCKOUT.lockoutWindowMs },
    secret: { user: 'a', password: 'first' },
    rotation: { rotationGraceMs: 0 },
  });
  return id;
}

afterEach(async () => {
  await engine.close();
  await target.stop();
  folder.dispose();
});

/** A process rotates the credential, stands at the point, and is killed there. Then this process goes on. */
async function killAt(id: string, point: Point): Promise<void> {
  const victim = await RotationProcess.start(folder.path, point, { keeper: point.endsWith('retire') });
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

test.each(cases)('F44 a process that is killed with overlap %s %s leaves a rotation that converges', async (overlap, point) => {
  const id = await start(overlap);
  await killAt(id, point);
  await engine.rotate(id);
  await expectConverged(id, overlap);
}, 30_000);
