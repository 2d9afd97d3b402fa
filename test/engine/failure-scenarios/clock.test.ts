import type { CredentialEngine } from '../../../src/engine.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually, quietFor } from '../../support/eventually.ts';
import { Endpoint, rotatingEndpointEntry, tokens } from '../support/endpoint.ts';

const TEN_MINUTES_MS = 600_000;

let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let endpoint: Endpoint;
let clock: TestClock;

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  endpoint = await Endpoint.start(tokens());
});
afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  folder.dispose();
});

/** Holds each answer back until it is let go. */
function holdAnswers(): () => void {
  const held = Promise.withResolvers<undefined>();
  endpoint.answer = (response, request) => {
    void held.promise.then(() => {
      tokens()(response, request);
    });
  };
  return () => {
    held.resolve(undefined);
  };
}

test('F40 a clock that is set back while a refresh is under way disturbs neither it nor the claim, and brings no storm', async () => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  const release = holdAnswers();
  const before = endpoint.requests.length;
  clock.advance(3_599_000);
  await eventually(() => endpoint.requests.length > before);
  clock.stepWall(-TEN_MINUTES_MS);
  // The claim runs on the monotonic clock: nobody takes it over because a wall clock was changed.
  await quietFor(300);
  release();
  const { expiresAt, dueAt } = await eventually(async () => {
    const summary = await engine.get(id);
    return summary.generation === 2 && summary.state === 'valid.fresh' && summary;
  });
  await quietFor(300);
  expect(endpoint.requests).toHaveLength(before + 1);
  const nowMs = clock.now().getTime();
  expect(expiresAt?.getTime()).toBeGreaterThan(nowMs);
  expect(dueAt?.getTime()).toBeGreaterThan(nowMs);
});

test('F40 what was due when the clock was set back is refreshed when it is due by the new one, once', async () => {
  const { id, credential } = await engine.register(rotatingEndpointEntry(endpoint));
  const dueMs = (credential.dueAt?.getTime() ?? 0) - clock.now().getTime();
  clock.stepWall(-TEN_MINUTES_MS);
  clock.advance(dueMs + 1_000);
  await quietFor(300);
  expect((await engine.get(id)).generation).toBe(1);
  clock.advance(TEN_MINUTES_MS);
  await eventually(async () => (await engine.get(id)).generation === 2);
  await quietFor(300);
  expect(endpoint.requests).toHaveLength(2);
});

test('F40 back-off that a clock set back seems to prolong ends with a wish of its owner', async () => {
  const { id } = await engine.register(rotatingEndpointEntry(endpoint));
  endpoint.answer = (response) => response.writeHead(503).end();
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.expiringSoon' });
  clock.stepWall(-TEN_MINUTES_MS);
  endpoint.answer = tokens();
  expect((await engine.use(id)).generation).toBe(1);
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
});
