import type { CredentialEngine } from '../../src/engine.ts';
import type { Issuer } from '../servers/issuer.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { judgedEntry, startJudge, type GraceClient } from './support/judge.ts';

/** A server that fails after it has rotated: the client has an answer, and no token. */
const FAILS_AFTER_ROTATING = { kind: 'status', status: 500, afterRotating: true } as const;

let issuer: Issuer;
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;
let engine: CredentialEngine;

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
  await issuer.setFaults({});
  await engine.close();
  folder.dispose();
});

async function register(client: GraceClient) {
  const { entry, log } = await judgedEntry(issuer, client);
  const { id } = await engine.register(entry);
  return { id, log };
}

test('a server that fails after it rotated is asked again, and a grace window makes it good', async () => {
  const { id, log } = await register('grace-10');
  await issuer.failNext(FAILS_AFTER_ROTATING);
  expect(await engine.refresh(id)).toMatchObject({ failure: { code: 'ERR_ENDPOINT_UNAVAILABLE' }, generation: 1 });
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  expect((await log()).map(({ verdict }) => verdict)).toEqual(['rotated', 'rotated', 'reanswered']);
});

test('without a grace window the grant that such a server ended is called ambiguous, not refused', async () => {
  const { id, log } = await register('grace-0');
  await issuer.failNext(FAILS_AFTER_ROTATING);
  await engine.refresh(id);
  expect(await engine.refresh(id)).toMatchObject({
    state: 'valid.degraded',
    reason: 'ambiguousRefresh',
    failure: { code: 'ERR_OAUTH2_AMBIGUOUS_REFRESH' },
  });
  expect((await log()).map(({ verdict }) => verdict)).toEqual(['rotated', 'rotated', 'reuseDetected']);
});

test('an outage of errors and lost answers does not give up a grant that no answer was lost for twice', async () => {
  const { id } = await register('grace-0');
  await issuer.failNext({ kind: 'status', status: 503, afterRotating: false }, { kind: 'drop', afterRotating: false });
  await engine.refresh(id);
  expect((await engine.refresh(id)).state).toBe('refreshing.ambiguous');
  clock.advance(26_000);
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
});

test('a grant that was refused without any doubt is called refused', async () => {
  const { entry, familyId } = await judgedEntry(issuer, 'grace-0');
  const { id } = await engine.register(entry);
  await issuer.end(familyId);
  const summary = await engine.refresh(id);
  expect(summary).toMatchObject({ reason: 'grantRefused', failure: { code: 'ERR_OAUTH2_INVALID_GRANT' } });
});
