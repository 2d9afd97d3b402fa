import { join } from 'node:path';
import type { CredentialEngine } from '../../src/engine.ts';
import { ReauthorizationRequiredError } from '../../src/errors.ts';
import type { Issued } from '../../src/protocols/protocol.ts';
import { rejectionOf } from '../support/codes.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { OtherHolder } from './model/other-holder.ts';
import { ScriptedDriver } from './model/scripted-driver.ts';
import { ModelClock } from './model/model-clock.ts';

let folder: ReturnType<typeof temporaryFolder>;
let clock: ModelClock;
let driver: ScriptedDriver;
let engine: CredentialEngine;
let other: OtherHolder;
let id: string;

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new ModelClock();
  driver = new ScriptedDriver(() => clock.now());
  engine = await openEngine(folder.path, { ports: { clock }, drivers: () => [driver] });
  other = await OtherHolder.open(join(folder.path, 'credentials.db'), clock, driver);
  driver.script = async (beforeSend) => {
    await beforeSend();
    return driver.issue();
  };
  const entry = { protocol: 'scripted', name: 'Beside', config: {}, secret: {}, test: false };
  ({ id } = await engine.register(entry));
  await engine.refresh(id);
});

afterEach(async () => {
  await engine.close();
  await other.close();
  folder.dispose();
});

const refused = (): Promise<Issued> =>
  Promise.reject(new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'The grant is dead.'));

it('keeps its claim when a test is written before its request leaves', async () => {
  let sent = 0;
  driver.script = async (beforeSend) => {
    await engine.test(id);
    await beforeSend();
    sent += 1;
    return driver.issue();
  };
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2, health: 'healthy' });
  expect(sent).toBe(1);
});

it('records what the server said when a test is written while the request is on its way', async () => {
  driver.script = async (beforeSend) => {
    await beforeSend();
    await engine.test(id);
    return refused();
  };
  expect(await engine.refresh(id)).toMatchObject({
    state: 'valid.degraded',
    reason: 'grantRefused',
    health: 'healthy',
  });
  expect((await other.read(id)).failure).toMatchObject({ code: 'ERR_OAUTH2_INVALID_GRANT' });
});

it('says that its successor is at work when it was superseded', async () => {
  driver.script = async (beforeSend) => {
    await beforeSend();
    clock.advance(60_000);
    await other.hold(id);
    await other.change(id, { state: 'refreshing.claimed' });
    return refused();
  };
  expect(await rejectionOf(engine.refresh(id))).toMatchObject({ code: 'ERR_REFRESH_IN_PROGRESS' });
});
