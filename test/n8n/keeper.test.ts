import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import type { CredentialReference } from './workflow.ts';
import { World } from './world.ts';

const TTL_MS = 4_000;
const PATIENCE_MS = 30_000;

const started = Started.inSuite();
let world: World;
let credential: CredentialReference;

beforeAll(async () => {
  world = await started.add(World.start({ accessTokenTtlMs: TTL_MS }));
  const { clientId, clientSecret } = world.server.clients.rotating;
  const refreshToken = await world.server.mintRefreshToken('rotating');
  credential = await world.lifecycleOAuth2({
    grantType: 'refresh_token',
    clientId,
    clientSecret,
    refreshToken,
    scope: '',
  });
  await (await world.calling(credential)).run(1);
});

/** Waits for token requests that nobody but the keeper can have made. */
async function tokenRequestsWithoutWorkflows(atLeast: number): Promise<number> {
  const before = (await world.server.tokenRequests()).length;
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (;;) {
    const count = (await world.server.tokenRequests()).length - before;
    if (count >= atLeast || Date.now() > giveUpAt) return count;
    await sleep(100);
  }
}

async function spentTokensPresented(): Promise<number> {
  return (await world.server.tokenRequests()).filter(({ spentTokenPresented }) => spentTokenPresented).length;
}

describe('a rotating grant that was entered in n8n', () => {
  it('is kept alive while no workflow runs', async () => {
    await expect(tokenRequestsWithoutWorkflows(2)).resolves.toBeGreaterThanOrEqual(2);
  });

  it('is kept alive again after n8n was restarted, before any workflow has run', async () => {
    await world.restartN8n();
    await expect(tokenRequestsWithoutWorkflows(2)).resolves.toBeGreaterThanOrEqual(2);
  });

  it('still works after that, and no refresh token was ever presented twice', async () => {
    const calls = await world.calling(credential);
    expect(await calls.run(20)).toMatchObject({ status: 200 });
    await expect(spentTokensPresented()).resolves.toBe(0);
  });

  it('is left alone when the keeper is switched off, until a workflow asks', async () => {
    await world.restartN8n({ CREDLIFE_KEEPER: 'off' });
    const before = (await world.server.tokenRequests()).length;
    await sleep(2 * TTL_MS);
    expect(await world.server.tokenRequests()).toHaveLength(before);
    const calls = await world.calling(credential);
    expect(await calls.run(20)).toMatchObject({ status: 200 });
    expect(await world.server.tokenRequests()).toHaveLength(before + 1);
  });

  it("lives in a database that only n8n's user can read", () => {
    const folder = join(world.n8n.n8nFolder, 'credential-lifecycle');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});
