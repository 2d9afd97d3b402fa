import type { CredentialEngine } from '../../src/engine.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { Endpoint, endpointEntry, json, tokens } from './support/endpoint.ts';

let server: AuthorizationServer;
let endpoint: Endpoint;
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;
let engine: CredentialEngine;

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock } });
  endpoint = await Endpoint.start(tokens());
});

afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  folder.dispose();
});

async function during(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = (await server.requests()).length;
  await work();
  const counts: Record<string, number> = {};
  for (const { endpoint: name } of (await server.requests()).slice(before)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

const report = (id: string, generation: number, times = 20) =>
  Promise.all(Array.from({ length: times }, () => engine.reportRejected(id, generation)));

test('F10 a report about an older generation is answered without any request', async () => {
  const { id } = await engine.register(machineEntry(server));
  await engine.refresh(id);
  const requests = await during(async () => {
    expect(await engine.reportRejected(id, 1)).toMatchObject({ decision: 'alreadyRefreshed', generation: 2 });
  });
  expect(requests).toEqual({});
});

test('F10 twenty reports about a token that the server revoked cost one introspection and one token request', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  await server.revokeAccessTokens('rotating');
  const requests = await during(async () => {
    const decisions = await report(id, 1);
    expect(new Set(decisions.map(({ decision }) => decision))).toEqual(new Set(['refreshed']));
    expect(await engine.reportRejected(id, 1)).toMatchObject({ decision: 'alreadyRefreshed', generation: 2 });
  });
  expect(requests).toEqual({ introspection: 1, token: 1 });
  expect((await fetch(server.resourceUrl, { headers: (await engine.use(id)).headers })).status).toBe(200);
});

test('two engines with reports about one revoked token make one token request', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  const other = await openEngine(folder.path);
  await server.revokeAccessTokens('rotating');
  const requests = await during(async () => {
    const decisions = await Promise.all([engine.reportRejected(id, 1), other.reportRejected(id, 1)]);
    expect(decisions.map(({ generation }) => generation)).toEqual([2, 2]);
  });
  expect(requests['token']).toBe(1);
  await other.close();
});

test.each(['introspection', 'a resource of its own'])('a token that %s still accepts is not refreshed', async (by) => {
  const config = by === 'introspection' ? {} : { testUrl: server.resourceUrl };
  const { id } = await engine.register(machineEntry(server, { config }));
  const requests = await during(async () => {
    await report(id, 1);
    expect(await report(id, 1, 1)).toMatchObject([{ decision: 'stillAccepted', generation: 1 }]);
  });
  expect(requests).toEqual(by === 'introspection' ? { introspection: 1 } : { resource: 1 });
});

test.each([404, 500])('a resource that answers HTTP %d confirms nothing', async (status) => {
  const { id } = await engine.register(machineEntry(server, { config: { testUrl: server.resourceUrl } }));
  await engine.use(id);
  const requests = await during(async () => {
    const summary = await engine.test(id);
    expect(summary.success).toBe(true);
  });
  expect(requests).toEqual({ resource: 1 });
  // The API that a workflow called fails, the resource that judges the token does not.
  expect((await fetch(`${server.resourceUrl}?status=${String(status)}`)).status).toBe(401);
  expect(await report(id, 1, 1)).toMatchObject([{ decision: 'stillAccepted' }]);
});

test('without a confirming endpoint one report refreshes, and not again while that token is young', async () => {
  const { id } = await engine.register(endpointEntry(endpoint));
  expect(await report(id, 1)).toContainEqual(expect.objectContaining({ decision: 'refreshed', generation: 2 }));
  expect(endpoint.requests).toHaveLength(2);
  for (let failure = 0; failure < 20; failure += 1) {
    expect(await engine.reportRejected(id, 2)).toMatchObject({ decision: 'notRefreshed', reason: 'unconfirmed' });
  }
  expect(endpoint.requests).toHaveLength(2);
  clock.advance(1_900_000);
  expect(await engine.reportRejected(id, 2)).toMatchObject({ decision: 'refreshed', generation: 3 });
  expect(endpoint.requests).toHaveLength(3);
});

test('without a confirming endpoint a token of unknown life is refreshed on a report once', async () => {
  endpoint.answer = tokens({ expires_in: undefined });
  const { id } = await engine.register(endpointEntry(endpoint));
  expect(await engine.reportRejected(id, 1)).toMatchObject({ decision: 'refreshed', generation: 2 });
  expect(await engine.reportRejected(id, 2)).toMatchObject({ decision: 'notRefreshed' });
  expect(endpoint.requests).toHaveLength(2);
});

test('reports about a credential whose refresh fails do not hammer the endpoint', async () => {
  const { id } = await engine.register(endpointEntry(endpoint));
  endpoint.answer = json(503, {});
  for (let failure = 0; failure < 10; failure += 1) await engine.reportRejected(id, 1);
  expect(endpoint.requests).toHaveLength(2);
});

test('a report about a revoked credential is answered, not an accident', async () => {
  const { id } = await engine.register(machineEntry(server));
  await engine.revoke(id);
  const decision = await engine.reportRejected(id, 1);
  expect(decision).toMatchObject({ decision: 'notRefreshed', reason: 'revokedByUser' });
});
