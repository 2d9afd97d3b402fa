import type { CredentialEngine } from '../../../src/engine.ts';
import type { Issuer } from '../../servers/issuer.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { judgedEntry, startJudge } from '../support/judge.ts';

let issuer: Issuer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let clock: TestClock;
let database: SeenDatabase;

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
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await issuer.setFaults({});
  await engine.close();
  database.close();
  folder.dispose();
});

async function register() {
  const { entry, log } = await judgedEntry(issuer, 'grace-0');
  const { id } = await engine.register(entry);
  return { id, entry, verdicts: async () => (await log()).slice(1).map(({ verdict }) => verdict) };
}

/** Ends the token's life for every process, by the only thing that they share. */
function endLife(): void {
  const past = new Date(Date.now() - 1_000).toISOString();
  database.execute(
    `UPDATE records SET expires_at = ?, due_at = ?, record = json_set(record, '$.expiresAt', ?, '$.refreshDueAt', ?)`,
    ...[past, past, past, past],
  );
}

test('F02 a hundred callers in one process and ten other processes make one request, and nobody gets the old token', async () => {
  const { id, verdicts } = await register();
  const processes = await Promise.all(Array.from({ length: 10 }, () => EngineProcess.start(folder.path)));
  await Promise.all(processes.map((process) => process.ask('use', id)));
  endLife();
  await issuer.setFaults({ latencyMs: [300, 300] });
  const here = Array.from({ length: 100 }, async () => (await engine.use(id)).generation);
  const there = processes.map((process) => process.ask('use', id));
  expect(new Set(await Promise.all([...here, ...there]))).toEqual(new Set([2]));
  expect(await verdicts()).toEqual(['rotated']);
  await Promise.all(processes.map((process) => process.close()));
}, 40_000);

test('F02 a hundred callers in each of ten processes make one request for one expired token', async () => {
  const { id, verdicts } = await register();
  const processes = await Promise.all(Array.from({ length: 10 }, () => EngineProcess.start(folder.path)));
  await Promise.all(processes.map((process) => process.ask('use', id)));
  endLife();
  await issuer.setFaults({ latencyMs: [300, 300] });
  const answers = await Promise.all(processes.map((process) => process.ask('useMany', id, 100)));
  expect(answers.flat()).toEqual(Array.from({ length: 1_000 }, () => 2));
  expect(await verdicts()).toEqual(['rotated']);
  await Promise.all(processes.map((process) => process.close()));
}, 60_000);

test('F02 a caller waits thirty seconds at most for another holder', async () => {
  const { id, verdicts } = await register();
  const { epoch, ms } = clock.hostTime();
  database.execute(
    `UPDATE records SET claim_owner = 'another', claim_epoch = ?, claim_until = ?`,
    epoch,
    ms + 3_600_000,
  );
  const waiting = engine.refresh(id).catch((error: unknown) => error);
  let ended = false;
  void waiting.finally(() => (ended = true));
  await eventually(() => {
    clock.advance(1_000);
    return ended;
  });
  expect(await waiting).toMatchObject({ code: 'ERR_REFRESH_IN_PROGRESS' });
  expect(await verdicts()).toEqual([]);
});

test('F01 a caller whom another holder answered is served, also when that holder is at the next refresh already', async () => {
  const { id } = await register();
  const { epoch, ms } = clock.hostTime();
  database.execute(`UPDATE records SET claim_owner = 'another', claim_epoch = ?, claim_until = ?`, epoch, ms + 60_000);
  const refreshing = engine.refresh(id);
  database.execute(
    `UPDATE records SET revision = revision + 1,
       record = json_set(record, '$.generation', 2, '$.state', 'refreshing.sent', '$.revision', revision + 1)`,
  );
  expect(await refreshing).toMatchObject({ generation: 2, state: 'refreshing.sent' });
});

test('F07 an edit of other settings during a refresh is kept, and so is what the refresh brings', async () => {
  const { entry, log } = await judgedEntry(issuer, 'grace-0');
  const id = await engine.adopt(entry);
  await engine.use(id);
  await issuer.setFaults({ latencyMs: [400, 400] });
  const refreshing = engine.refresh(id);
  await eventually(() => database.openAttempts() === 1);
  const testUrl = 'https://api.example/me';
  const edited = { ...entry, config: { ...entry.config, testUrl } };
  expect(await engine.adopt(edited)).toBe(id);
  expect(await refreshing).toMatchObject({ state: 'valid.fresh', generation: 2 });
  expect(database.configOf(id)).toMatchObject({ testUrl });
  expect((await log()).map(({ verdict }) => verdict)).toEqual(['rotated', 'rotated']);
});

test('F07 an edit during a refresh that fails leaves the failure recorded and the token undoubted', async () => {
  const { entry, log } = await judgedEntry(issuer, 'grace-0');
  const id = await engine.adopt(entry);
  await engine.use(id);
  await issuer.setFaults({ next: [{ kind: 'status', status: 429, afterRotating: false }], latencyMs: [800, 800] });
  const refreshing = engine.refresh(id);
  await eventually(() => database.openAttempts() === 1);
  await engine.adopt({ ...entry, config: { ...entry.config, testUrl: 'https://api.example/me' } });
  expect(await refreshing).toMatchObject({
    state: 'valid.expiringSoon',
    failure: { code: 'ERR_ENDPOINT_RATE_LIMITED' },
  });
  expect(database.openAttempts()).toBe(0);
  expect((await log()).at(-1)?.verdict).toBe('turnedAway');
});

test('F07 an edit of client or scope is a credential of its own, which no old refresh writes to', async () => {
  const { id, entry } = await register();
  const adopted = await engine.adopt(entry);
  const edited = await engine.adopt({ ...entry, config: { ...entry.config, scope: 'more' } });
  expect(new Set([id, adopted, edited]).size).toBe(3);
  expect((await engine.get(edited)).generation).toBe(0);
});

test('F09 twenty clicks on "refresh now" in two processes make one request', async () => {
  const { id, verdicts } = await register();
  const other = await openEngine(folder.path);
  await issuer.setFaults({ latencyMs: [300, 300] });
  const clicks = Array.from({ length: 20 }, (_, click) => (click % 2 === 0 ? engine : other).refresh(id));
  const generations = (await Promise.all(clicks)).map(({ generation }) => generation);
  expect(new Set(generations)).toEqual(new Set([2]));
  expect(await verdicts()).toEqual(['rotated']);
  await other.close();
});
