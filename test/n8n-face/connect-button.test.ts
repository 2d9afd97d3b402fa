import { once } from 'node:events';
import { createServer, request, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { takeOverFromHost } from '../../src/n8n/connect-button.ts';
import { LifecycleConnectOAuth2Api } from '../../credentials/LifecycleConnectOAuth2Api.credentials.ts';
import { ReauthorizationRequiredError } from '../../src/errors.ts';
import { FakeClient, FakeCredential } from './fake-client.ts';

const STORED = {
  grantType: 'authorizationCode',
  accessTokenUrl: ' https://as.example/token ',
  clientId: 'crm',
  clientSecret: ' spaces belong to it ',
  authentication: 'header',
  oauthTokenData: { access_token: 'old', token_type: 'Bearer', refresh_token: 'from-the-sign-in' },
};

function hookOf(credential = new FakeCredential()) {
  const client = new FakeClient(credential);
  return { client, hook: takeOverFromHost(() => Promise.resolve(client)) };
}

describe('the hook of the connect-button type', () => {
  it('gives n8n an access token of the engine, no refresh token, and no status to refresh at', async () => {
    const { hook } = hookOf();
    const given = await hook(STORED);
    expect(given).toEqual({
      oauthTokenData: { access_token: 'token-of-generation-1', token_type: 'Bearer' },
      tokenExpiredStatusCode: -1,
    });
    expect(JSON.stringify(given)).not.toContain('from-the-sign-in');
  });

  it('changes nothing of what n8n holds', async () => {
    const data = structuredClone(STORED);
    await hookOf().hook(data);
    expect(data).toEqual(STORED);
  });

  it('hands out a token only after a refusal of the one before was dealt with', async () => {
    const { client, hook } = hookOf();
    await hook(STORED);
    const refused = Promise.withResolvers<null>();
    const report = client.credential.reportRejected.bind(client.credential);
    client.credential.reportRejected = async (generation) => {
      await refused.promise;
      return report(generation);
    };
    const server = createServer((_request, response) => response.writeHead(401).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const asked = request({
      host: '127.0.0.1',
      port,
      headers: { authorization: 'Bearer token-of-generation-1' },
    }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    const given = hook(STORED);
    refused.resolve(null);
    expect(await given).toMatchObject({ oauthTokenData: { access_token: 'token-of-generation-2' } });
    expect(client.credential.reported).toEqual([1]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it.each([
    { how: 'in the header', changes: {}, method: 'client_secret_basic', secret: ' spaces belong to it ' },
    {
      how: 'in the body',
      changes: { authentication: 'body' },
      method: 'client_secret_post',
      secret: ' spaces belong to it ',
    },
    { how: 'not at all', changes: { clientSecret: '' }, method: 'none', secret: undefined },
  ])('hands the grant of a client that authenticates $how to the engine', async ({ changes, method, secret }) => {
    const { client, hook } = hookOf();
    await hook({ ...STORED, ...changes });
    expect(client.entries).toEqual([
      {
        name: 'crm at as.example, connected in n8n',
        protocol: 'oauth2',
        config: {
          tokenEndpoint: 'https://as.example/token',
          grantType: 'refresh_token',
          clientId: 'crm',
          clientAuthentication: method,
        },
        secret: { refreshToken: 'from-the-sign-in', ...(secret !== undefined && { clientSecret: secret }) },
      },
    ]);
  });

  it.each([
    { what: 'nothing', oauthTokenData: undefined, code: 'ERR_CREDENTIAL_NOT_AUTHORIZED' },
    { what: 'an empty text', oauthTokenData: '', code: 'ERR_CREDENTIAL_NOT_AUTHORIZED' },
    { what: 'an empty object', oauthTokenData: {}, code: 'ERR_CREDENTIAL_NOT_AUTHORIZED' },
    { what: 'no refresh token', oauthTokenData: { access_token: 'a' }, code: 'ERR_OAUTH2_NO_REFRESH_TOKEN' },
    { what: 'an empty one', oauthTokenData: { refresh_token: '' }, code: 'ERR_OAUTH2_NO_REFRESH_TOKEN' },
    { what: 'a number for one', oauthTokenData: { refresh_token: 7 }, code: 'ERR_OAUTH2_NO_REFRESH_TOKEN' },
  ])('refuses a sign-in that left $what, and hands nothing over', async ({ oauthTokenData, code }) => {
    const { client, hook } = hookOf();
    const data = Object.assign(structuredClone(STORED), { oauthTokenData });
    await expect(hook(data)).rejects.toThrow(`[${code}]`);
    expect(client.entries).toEqual([]);
  });

  it('lets no request leave when the engine has no token: n8n then has nothing to refresh with either', async () => {
    const credential = new FakeCredential();
    credential.failure = new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'as.example refused the grant.');
    await expect(hookOf(credential).hook(STORED)).rejects.toThrow('[ERR_OAUTH2_INVALID_GRANT]');
  });
});

it('offers no grant type by which n8n would fetch a token itself', () => {
  const { properties, extends: parents } = new LifecycleConnectOAuth2Api();
  const grantType = properties.find(({ name }) => name === 'grantType');
  const values = grantType?.options?.map((option) => 'value' in option && option.value);
  expect({ parents, values }).toEqual({ parents: ['oAuth2Api'], values: ['authorizationCode', 'pkce'] });
});
