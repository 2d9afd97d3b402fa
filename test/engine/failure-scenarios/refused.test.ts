import { join } from 'node:path';
import type { CredentialEngine } from '../../../src/engine.ts';
import { restoreBackup } from '../../../src/storage/restore.ts';
import { FileAnchor } from '../../../src/vault/anchor.ts';
import type { Issuer } from '../../servers/issuer.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually, quietFor } from '../../support/eventually.ts';
import { openDatabase } from '../support/database.ts';
import { Endpoint, json, rotatingEndpointEntry, tokens } from '../support/endpoint.ts';
import { judgedEntry, startJudge } from '../support/judge.ts';

let issuer: Issuer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let clock: TestClock;

beforeAll(async () => {
  issuer = await startJudge();
});
afterAll(async () => {
  await issuer.stop();
});
beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock } });
});
afterEach(async () => {
  await engine.close();
  folder.dispose();
});

async function register() {
  const { entry, log } = await judgedEntry(issuer, 'grace-0');
  const { id } = await engine.register(entry);
  return { id, verdicts: async () => (await log()).slice(1).map(({ verdict }) => verdict) };
}

const ROLLED_BACK = { reason: 'storeRolledBack', failure: { code: 'ERR_OAUTH2_STORE_ROLLED_BACK' } };

test('F18 after a restore from an older backup the first refusal says so, and is asked once', async () => {
  const { id, verdicts } = await register();
  const file = join(folder.path, 'backup.db');
  await engine.backup(file);
  clock.advance(120_000);
  await engine.refresh(id);
  await engine.close();
  restoreBackup({ from: file, to: join(folder.path, 'credentials.db'), force: true });
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  const summary = await eventually(async () => {
    const now = await engine.get(id);
    return now.failure !== null && now;
  });
  expect(summary).toMatchObject({ ...ROLLED_BACK, generation: 1 });
  await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_STORE_ROLLED_BACK' });
  clock.advance(3_600_000);
  await quietFor(300);
  expect(await verdicts()).toEqual(['rotated', 'reuseDetected']);
});

test('F18 an older database that was accepted against its anchor is remembered as such', async () => {
  const anchor = new FileAnchor(join(folder.path, 'anchor'));
  const { id } = await register();
  await engine.close();
  const restored = temporaryFolder();
  engine = await openEngine(folder.path, { anchor, ports: { clock } });
  await engine.backup(join(restored.path, 'credentials.db'));
  await engine.refresh(id);
  await engine.keys.anchor();
  await engine.close();
  await expect(openEngine(restored.path, { anchor })).rejects.toMatchObject({ code: 'ERR_STORE_ROLLED_BACK' });
  engine = await openEngine(restored.path, { anchor, acceptOlderStore: true, ports: { clock } });
  expect(await engine.refresh(id)).toMatchObject({ ...ROLLED_BACK, state: 'valid.degraded' });
  await engine.close();
  restored.dispose();
  engine = await openEngine(folder.path, { ports: { clock } });
});

test('F18 a record that was put back alone is given away by the journal', async () => {
  const { id } = await register();
  const database = openDatabase(folder.path);
  const before = database.recordOf(id);
  await engine.refresh(id);
  database.execute(
    `UPDATE records SET record = json_set(?, '$.revision', revision + 1), revision = revision + 1 WHERE id = ?`,
    JSON.stringify(before),
    id,
  );
  database.close();
  expect(await engine.refresh(id)).toMatchObject(ROLLED_BACK);
});

test('F18 a grant that was given after the restore and is refused is called refused', async () => {
  const { id } = await register();
  const file = join(folder.path, 'backup.db');
  await engine.backup(file);
  await engine.close();
  restoreBackup({ from: file, to: join(folder.path, 'credentials.db'), force: true });
  engine = await openEngine(folder.path, { ports: { clock } });
  clock.advance(1_000);
  expect(await engine.refresh(id)).toMatchObject({ generation: 2 });
  const [last] = (await issuer.log()).slice(-1);
  await issuer.end(last?.familyId ?? '');
  expect(await engine.refresh(id)).toMatchObject({ reason: 'grantRefused' });
});

const refusing = (date: Date) => json(400, { error: 'invalid_grant' }, { date: date.toUTCString() });

/** A client that signs the time into its requests: a clock that is wrong makes the server refuse them. */
const signing = (endpoint: Endpoint) => rotatingEndpointEntry(endpoint, { clientAuthentication: 'client_secret_jwt' });

test('F29 a grant that is refused while the clocks disagree is asked for again, and found alive when they agree', async () => {
  const endpoint = await Endpoint.start(tokens());
  const { id } = await engine.register(signing(endpoint));
  endpoint.answer = refusing(new Date(clock.now().getTime() - 3_600_000));
  expect(await engine.refresh(id)).toMatchObject({
    state: 'valid.expiringSoon',
    failure: { class: 'clock', code: 'ERR_CLOCK_SKEWED' },
  });
  endpoint.answer = tokens();
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  await endpoint.stop();
});

test('F29 a grant that is refused by a clock that was reckoned with is dead', async () => {
  const endpoint = await Endpoint.start(tokens());
  const { id } = await engine.register(signing(endpoint));
  endpoint.answer = refusing(new Date(clock.now().getTime() + 3_600_000));
  expect((await engine.refresh(id)).failure?.class).toBe('clock');
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.degraded', reason: 'grantRefused' });
  await endpoint.stop();
});

test('F29 a clock that goes on leaping does not keep a dead grant alive for ever', async () => {
  const endpoint = await Endpoint.start(tokens());
  const { id } = await engine.register(signing(endpoint));
  let hours = 0;
  endpoint.answer = (response, request) => {
    hours += 1;
    refusing(new Date(clock.now().getTime() + hours * 3_600_000))(response, request);
  };
  for (let tries = 0; tries < 10; tries += 1) expect((await engine.refresh(id)).failure?.class).toBe('clock');
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.degraded', reason: 'grantRefused' });
  await endpoint.stop();
});

test('F29 a refusal that comes after somebody else has brought a newer grant marks nothing dead', async () => {
  const endpoint = await Endpoint.start(tokens());
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  const database = openDatabase(folder.path);
  endpoint.answer = (response, request) => {
    database.execute(
      `UPDATE records SET revision = revision + 1, record =
         json_set(record, '$.generation', 2, '$.state', 'valid.fresh', '$.revision', revision + 1)`,
    );
    refusing(clock.now())(response, request);
  };
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2, failure: null });
  database.close();
  await endpoint.stop();
});
