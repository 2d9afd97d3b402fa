import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { introspect, refresh, requestToken } from './token-request.ts';

let server: AuthorizationServer;

afterEach(async () => {
  await server.stop();
});

describe('client credentials', () => {
  beforeEach(async () => {
    server = await startAuthorizationServer();
  });

  test('gives an access token that the resource accepts', async () => {
    const answer = await requestToken(server, 'machine', { grant_type: 'client_credentials' });
    expect(answer).toMatchObject({ status: 200, body: { token_type: 'Bearer', expires_in: 60 } });
    expect(await resourceStatus(answer.body.access_token)).toBe(200);
    expect(await resourceStatus(answer.body.access_token, '?status=404')).toBe(404);
    expect(await resourceStatus(answer.body.access_token, '?status=500')).toBe(500);
  });

  test('refuses a wrong secret and logs which client it was', async () => {
    const answer = await requestToken(server, 'machine', { grant_type: 'client_credentials' }, 'not the secret');
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect(await server.tokenRequests('machine')).toEqual([
      expect.objectContaining({ outcome: 'refused', status: 401, error: 'invalid_client' }),
    ]);
  });

  test('forgets revoked access tokens at once', async () => {
    const answer = await requestToken(server, 'machine', { grant_type: 'client_credentials' });
    await server.revokeAccessTokens('rotating');
    expect(await resourceStatus(answer.body.access_token)).toBe(200);
    await server.revokeAccessTokens();
    expect(await resourceStatus(answer.body.access_token)).toBe(401);
    expect(await introspect(server, 'machine', answer.body.access_token)).toEqual({ active: false });
  });

  test('refuses a request without a token', async () => {
    expect(await resourceStatus(undefined, '?status=404')).toBe(401);
  });
});

test('answers userinfo and introspection for a live token of a grant', async () => {
  server = await startAuthorizationServer();
  const { body } = await refresh(server, 'rotating', await server.mintRefreshToken('rotating'));
  const headers = { authorization: `Bearer ${body.access_token ?? ''}` };
  expect((await fetch(server.userinfoEndpoint, { headers })).status).toBe(200);
  expect(await introspect(server, 'rotating', body.access_token)).toMatchObject({
    active: true,
    client_id: 'sandbox-rotating',
  });
  await server.revokeGrants('rotating');
  expect((await fetch(server.userinfoEndpoint, { headers })).status).toBe(401);
  expect((await server.requests()).map(({ endpoint, outcome }) => [endpoint, outcome])).toEqual([
    ['token', 'issued'],
    ['userinfo', 'answered'],
    ['introspection', 'answered'],
    ['userinfo', 'refused'],
  ]);
});

test('lets access tokens that are out live when only refresh tokens are revoked', async () => {
  server = await startAuthorizationServer();
  const { body } = await refresh(server, 'rotating', await server.mintRefreshToken('rotating'));
  await server.revokeRefreshTokens('rotating');
  expect(await resourceStatus(body.access_token)).toBe(200);
  expect((await refresh(server, 'rotating', body.refresh_token)).body.error).toBe('invalid_grant');
});

test('takes the client secret in the body when it is told to, and only there', async () => {
  server = await startAuthorizationServer({ clientAuthentication: 'client_secret_post' });
  const { clientId, clientSecret } = server.clients.machine;
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
  });
  expect((await fetch(server.tokenEndpoint, { method: 'POST', body })).status).toBe(200);
  expect((await requestToken(server, 'machine', { grant_type: 'client_credentials' })).status).toBe(401);
});

test('counts what it was asked', async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 0 });
  const token = await server.mintRefreshToken('rotating');
  await refresh(server, 'rotating', token);
  await refresh(server, 'rotating', token);
  await resourceStatus('unknown');
  expect(await server.statistics()).toEqual({
    requests: 3,
    tokenRequests: 2,
    spentTokensPresented: 1,
    graceReuses: 0,
    refreshes: { 'sandbox-rotating': 1 },
  });
});

describe('administration', () => {
  test('answers nobody without the token of the folder', async () => {
    server = await startAuthorizationServer();
    for (const authorization of ['', 'Bearer ', 'Bearer guessed']) {
      const response = await fetch(`${server.issuer}/sandbox/log`, {
        method: 'POST',
        headers: { authorization },
        body: '{}',
      });
      expect(response.status).toBe(401);
    }
  });
});

async function resourceStatus(accessToken: string | undefined, query = ''): Promise<number> {
  const headers = accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };
  return (await fetch(server.resourceUrl + query, { headers })).status;
}
