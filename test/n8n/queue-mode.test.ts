import { beforeAll, describe, expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import { QueueWorld } from './queue-world.ts';
import type { Calls } from './world.ts';

const ITEMS = 20;
const EXECUTIONS = 6;

const started = Started.inSuite(120_000);
let world: QueueWorld;

beforeAll(async () => {
  world = await started.add(QueueWorld.start());
}, 400_000);

async function runSixAtOnce(calls: Calls): Promise<void> {
  const answers = await Promise.all(Array.from({ length: EXECUTIONS }, () => calls.run(ITEMS)));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  for (const { body } of answers) expect(JSON.parse(body)).toHaveLength(ITEMS);
}

/** How many executions each worker has run. */
function shares(): number[] {
  return world.workers.map(({ log }) => log.match(/Worker started execution \d+/g)?.length ?? 0);
}

describe("n8n's queue mode with two workers on one engine", () => {
  it('asks for one token for six executions of 20 items at once, all of them on the workers', async () => {
    const calls = await world.calling(await world.oauth2('api'));
    expect(await world.tokenRequests(() => runSixAtOnce(calls))).toBe(1);
    expect(shares().reduce((sum, share) => sum + share)).toBe(EXECUTIONS);
  });

  it('asks for one new token for six executions after the token was revoked at the server', async () => {
    const calls = await world.calling(await world.oauth2('openid api'));
    expect(await world.tokenRequests(() => calls.run(1))).toBe(1);
    await world.server.revokeAccessTokens('machine');
    expect(await world.tokenRequests(() => runSixAtOnce(calls))).toBe(1);
  });

  it('keeps one record for the main process and both workers', async () => {
    const { credentials } = await world.withEngine((engine) => engine.list());
    expect(credentials.map(({ origin, state }) => ({ origin, state }))).toEqual(
      Array.from({ length: 2 }, () => ({ origin: 'adopted', state: 'valid.fresh' })),
    );
  });

  it('goes on when one of the workers is killed', async () => {
    const [victim] = world.workers;
    const calls = await world.calling(await world.oauth2('api openid'));
    await calls.run(1);
    // Both have had their part until now.
    expect(Math.min(...shares())).toBeGreaterThan(0);
    await victim?.kill();
    await world.server.revokeAccessTokens('machine');
    expect(await world.tokenRequests(() => runSixAtOnce(calls))).toBe(1);
  });
});
