// An engine of the built package on the target, in a process of its own: it says which point of a rotation it has reached, and
// stays there for good when that is the one it was told to be killed at.
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as index from '../../../src/index.ts';
import type * as builtPorts from '../../../src/ports.ts';
import type { JsonObject } from '../../../src/json.ts';
import { RotationTargetDriver, type Point } from './driver.ts';

const require = createRequire(import.meta.url);
const { CredentialEngine, ConfigurationError, Secret } = require('../../../dist/src/index.js') as Pick<
  typeof index,
  'CredentialEngine' | 'ConfigurationError' | 'Secret'
>;

const { systemClock } = require('../../../dist/src/ports.js') as Pick<typeof builtPorts, 'systemClock'>;

interface Settings {
  readonly database: string;
  readonly masterKey: string;
  readonly keeper: boolean;
  readonly holdAt: Point | null;
  readonly isWatched: boolean;
}
const { database, masterKey, keeper, holdAt, isWatched } = JSON.parse(process.argv[2] ?? '{}') as Settings;

const own = {
  secretOf: (value: JsonObject) => Secret.of(value),
  refused: () => new ConfigurationError('ERR_ROTATION_CANDIDATE_REFUSED', 'The target refuses it.'),
  newPassword: () => randomBytes(12).toString('hex'),
};
const reached = async (point: Point): Promise<void> => {
  if (point !== holdAt) return;
  process.send?.({ reached: point });
  await new Promise(() => undefined);
};
/** Where nobody uses the credential meanwhile, a secret that is replaced need not settle so long. */
const hastyClock: builtPorts.Clock = {
  ...systemClock,
  schedule: (delayMs, callback, options) => systemClock.schedule(delayMs === 50 ? 5 : delayMs, callback, options),
};
const engine = await CredentialEngine.open({
  ports: { clock: isWatched ? systemClock : hastyClock },
  database,
  masterKey: Buffer.from(masterKey, 'hex'),
  keeper,
  drivers: () => [new RotationTargetDriver(own, reached)],
});

/** Uses the credential every 50 ms and asks the target whether what it got is accepted at that instant. */
async function poll(id: string, url: string, untilGeneration: number): Promise<object> {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (let generation = 0, rounds = 0; generation < untilGeneration || rounds < 5;) {
    try {
      const material = await engine.use(id);
      generation = material.generation;
      const [user, password] = (material.headers['authorization'] ?? '').split(':');
      seen.add(password ?? '');
      const answer = await fetch(`${url}/peek`, { method: 'POST', body: JSON.stringify({ user, password }) });
      const { accepted } = (await answer.json()) as { accepted: boolean };
      if (!accepted) wrong.push('given, and not accepted');
    } catch (error) {
      wrong.push(String(error));
    }
    if (generation >= untilGeneration) rounds += 1;
    process.send?.({ polled: true });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { wrong, values: seen.size };
}

interface Order {
  readonly verb: 'rotate' | 'poll' | 'close';
  readonly args: readonly unknown[];
}
process.on('message', (order: Order) => {
  const [id, url, generation] = order.args;
  const run = {
    rotate: () => engine.rotate(String(id)),
    poll: () => poll(String(id), String(url), Number(generation)),
    close: async () => {
      await engine.close();
      process.disconnect();
    },
  };
  run[order.verb]().then(
    (value) => process.connected && process.send?.({ verb: order.verb, value }),
    (error: unknown) => process.send?.({ verb: order.verb, error: String(error) }),
  );
});
process.send?.({ ready: true });
