import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SandboxAdministration } from '../../src/sandbox/administration-client.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { refresh, requestToken } from './token-request.ts';

let server: AuthorizationServer;

afterEach(async () => {
  await server.stop();
});

test('goes on after SIGKILL: same issuer, clients, grants and log', async () => {
  server = await startAuthorizationServer();
  const { issuer, clients } = server;
  const first = await refresh(server, 'rotating', await server.mintRefreshToken('rotating'));
  await server.kill();
  await server.restart();
  expect(await SandboxAdministration.connect(server.folder, fetch)).toMatchObject({ issuer, clients });
  expect((await refresh(server, 'rotating', first.body.refresh_token)).status).toBe(200);
  const headers = { authorization: `Bearer ${first.body.access_token ?? ''}` };
  expect((await fetch(server.resourceUrl, { headers })).status).toBe(200);
  expect((await server.tokenRequests()).map(({ outcome }) => outcome)).toEqual(['issued', 'issued']);
});

test('has logged every request that was answered before SIGKILL', async () => {
  server = await startAuthorizationServer();
  const machine = (): Promise<unknown> => requestToken(server, 'machine', { grant_type: 'client_credentials' });
  await Promise.all(Array.from({ length: 20 }, machine));
  await server.kill();
  await server.restart();
  expect(await server.tokenRequests('machine')).toHaveLength(20);
});

test('revokes the grant of the client "revoked" when its time has come, and only that', async () => {
  server = await startAuthorizationServer({ revokeAfterMs: 300 });
  const revoked = await server.mintRefreshToken('revoked');
  const rotating = await server.mintRefreshToken('rotating');
  const before = await refresh(server, 'revoked', revoked);
  expect(before).toMatchObject({ status: 200, body: { expires_in: 45 } });
  await delay(400);
  const after = await refresh(server, 'revoked', before.body.refresh_token);
  expect(after).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  expect((await refresh(server, 'rotating', rotating)).status).toBe(200);
  expect((await server.tokenRequests()).some((request) => request.spentTokenPresented)).toBe(false);
});

test('revokes a grant whose time came while the server was down', async () => {
  server = await startAuthorizationServer({ revokeAfterMs: 300 });
  const token = await server.mintRefreshToken('revoked');
  await server.kill();
  await delay(400);
  await server.restart();
  expect((await refresh(server, 'revoked', token)).status).toBe(400);
});

test('says in one sentence when its port is taken by someone else', async () => {
  server = await startAuthorizationServer();
  await server.kill();
  const stranger = createServer().listen(Number(new URL(server.issuer).port), '127.0.0.1');
  await once(stranger, 'listening');
  const restarted = server.restart();
  await expect(restarted).rejects.toMatchObject({ code: 'ERR_SANDBOX_PORT_TAKEN' });
  await expect(restarted).rejects.toThrow(
    /^The sandbox cannot listen on port \d+ of 127\.0\.0\.1: another program has it\./,
  );
  stranger.close();
}, 15_000);

test('refuses options that make no sense, in one line', async () => {
  server = await startAuthorizationServer();
  const restarted = server.restart({ accessTokenTtlMs: 1_500 });
  await expect(restarted).rejects.toMatchObject({ code: 'ERR_SANDBOX_UNAVAILABLE' });
  await expect(restarted).rejects.toThrow(/^[^\n]*accessTokenTtlMs[^\n]*$/);
});

test('ends when the process that started it is killed', async () => {
  server = await startAuthorizationServer();
  const entry = join(__dirname, '../../dist/src/sandbox/server-process.js');
  const folder = join(server.folder, 'orphan');
  const parent = spawn(process.execPath, ['-e', PARENT, entry, folder], {
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = await new Promise((resolve) => parent.stdout.once('data', resolve));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await expect(endOf(Number(String(pid)))).resolves.toBe('ended');
});

const PARENT = `
  const child = require('node:child_process').fork(process.argv[1], [JSON.stringify({ folder: process.argv[2] })]);
  child.once('message', () => process.stdout.write(String(child.pid)));
`;

async function endOf(pid: number): Promise<'ended' | 'alive'> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (!isAlive(pid)) return 'ended';
    await delay(50);
  }
  return 'alive';
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
