import { setTimeout as delay } from 'node:timers/promises';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { introspect, refresh } from './token-request.ts';

let server: AuthorizationServer;

afterEach(async () => {
  await server.stop();
});

test('gives a new refresh token at every use', async () => {
  server = await startAuthorizationServer();
  const first = await server.mintRefreshToken('rotating');
  const second = await refresh(server, 'rotating', first);
  const third = await refresh(server, 'rotating', second.body.refresh_token);
  expect(new Set([first, second.body.refresh_token, third.body.refresh_token]).size).toBe(3);
  expect(await server.tokenRequests()).toEqual([
    expect.objectContaining({ clientId: 'sandbox-rotating', grantType: 'refresh_token', outcome: 'issued' }),
    expect.objectContaining({ outcome: 'issued', graceReuse: false, spentTokenPresented: false }),
  ]);
});

test('gives a sibling for a spent refresh token within the grace window', async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 60_000 });
  const spent = await server.mintRefreshToken('rotating');
  const first = await refresh(server, 'rotating', spent);
  const sibling = await refresh(server, 'rotating', spent);
  expect(sibling.status).toBe(200);
  expect(sibling.body.refresh_token).not.toBe(first.body.refresh_token);
  expect(await server.tokenRequests('rotating')).toEqual([
    expect.objectContaining({ graceReuse: false, spentTokenPresented: false }),
    expect.objectContaining({ outcome: 'issued', graceReuse: true, spentTokenPresented: false }),
  ]);
  for (const token of [first, sibling]) {
    expect((await refresh(server, 'rotating', token.body.refresh_token)).status).toBe(200);
  }
});

test('revokes the whole grant when a spent refresh token comes after the grace window', async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 100 });
  const spent = await server.mintRefreshToken('rotating');
  const successor = await refresh(server, 'rotating', spent);
  await delay(150);
  expect(await refresh(server, 'rotating', spent)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  expect(await refresh(server, 'rotating', successor.body.refresh_token)).toMatchObject({ status: 400 });
  expect(await introspect(server, 'rotating', successor.body.access_token)).toEqual({ active: false });
  expect(await server.tokenRequests()).toEqual([
    expect.objectContaining({ outcome: 'issued', spentTokenPresented: false }),
    expect.objectContaining({
      outcome: 'refused',
      error: 'invalid_grant',
      graceReuse: false,
      spentTokenPresented: true,
    }),
    expect.objectContaining({ outcome: 'refused', error: 'invalid_grant', spentTokenPresented: false }),
  ]);
});

test('does not prolong the grace window at reuse', async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 600 });
  const spent = await server.mintRefreshToken('rotating');
  await refresh(server, 'rotating', spent);
  await delay(400);
  expect((await refresh(server, 'rotating', spent)).status).toBe(200);
  await delay(300);
  expect((await refresh(server, 'rotating', spent)).status).toBe(400);
});

test('knows a spent refresh token as spent after its grant was revoked', async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 0 });
  const spent = await server.mintRefreshToken('rotating');
  await refresh(server, 'rotating', spent);
  await refresh(server, 'rotating', spent);
  await refresh(server, 'rotating', spent);
  const presented = (await server.tokenRequests()).map((request) => request.spentTokenPresented);
  expect(presented).toEqual([false, true, true]);
});

test('lets one of many simultaneous uses through when there is no grace', async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 0 });
  const token = await server.mintRefreshToken('rotating');
  const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(server, 'rotating', token)));
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
  expect((await server.tokenRequests()).filter((request) => request.spentTokenPresented)).toHaveLength(9);
});
