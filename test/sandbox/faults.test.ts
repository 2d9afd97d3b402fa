import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { refresh, requestToken } from './token-request.ts';

let server: AuthorizationServer;

beforeEach(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  await server.stop();
});

const clientCredentials = { grant_type: 'client_credentials' };

test('answers the ordered statuses in their order, then works again', async () => {
  await server.failNext({ kind: 'status', status: 500 });
  await server.failNext({ kind: 'status', status: 429, retryAfterSeconds: 7 }, 2);
  const answers = [];
  for (let request = 0; request < 4; request += 1)
    answers.push(await requestToken(server, 'machine', clientCredentials));
  expect(answers.map(({ status, retryAfter }) => [status, retryAfter])).toEqual([
    [500, null],
    [429, '7'],
    [429, '7'],
    [200, null],
  ]);
  expect((await server.tokenRequests('machine')).map(({ outcome }) => outcome)).toEqual([
    'failed',
    'failed',
    'failed',
    'issued',
  ]);
});

test('loses a request that it drops, without having spent the token', async () => {
  const token = await server.mintRefreshToken('rotating');
  await server.failNext({ kind: 'dropRequest' });
  await expect(refresh(server, 'rotating', token)).rejects.toThrow('fetch failed');
  expect((await refresh(server, 'rotating', token)).status).toBe(200);
  expect((await server.tokenRequests('rotating')).map(({ graceReuse }) => graceReuse)).toEqual([false, false]);
});

test('spends the token of a request whose answer it drops', async () => {
  const token = await server.mintRefreshToken('rotating');
  await server.failNext({ kind: 'dropAnswer' });
  await expect(refresh(server, 'rotating', token)).rejects.toThrow('fetch failed');
  expect((await refresh(server, 'rotating', token)).status).toBe(200);
  expect(await server.tokenRequests('rotating')).toEqual([
    expect.objectContaining({ outcome: 'dropped', graceReuse: false }),
    expect.objectContaining({ outcome: 'issued', graceReuse: true }),
  ]);
});

test('forgets faults that were cleared', async () => {
  await server.failNext({ kind: 'status', status: 503 }, 100);
  await server.clearFaults();
  expect((await requestToken(server, 'machine', clientCredentials)).status).toBe(200);
});

test('delays its answers by the ordered time', async () => {
  await server.setLatency(300);
  const startedAt = performance.now();
  await requestToken(server, 'machine', clientCredentials);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(295);
});
