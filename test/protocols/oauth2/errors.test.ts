import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { silentLogger, systemClock, systemFetch, systemRandom } from '../../../src/ports.ts';
import { OAuth2Driver } from '../../../src/protocols/oauth2/driver.ts';
import { Secret } from '../../../src/secret.ts';
import { rejectionOf } from '../../support/codes.ts';

const CANARIES = ['canary-client-secret', 'canary-refresh-token', 'canary-access-token'];
const driver = new OAuth2Driver({ clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger });

let server: Server;
let origin: string;
let listener: RequestListener;
beforeAll(async () => {
  server = createServer((request, response) => {
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function refresh(endpoint: object): Promise<unknown> {
  const config = driver.parseConfig({
    ...endpoint,
    grantType: 'refresh_token',
    clientId: 'c',
    allowInsecureTransport: true,
  });
  const registered = Secret.of({ clientSecret: 'canary-client-secret', refreshToken: 'canary-refresh-token' });
  return driver.refresh(
    { config, registered, grant: null, signal: new AbortController().signal },
    async () => () => undefined,
  );
}

function json(status: number, body: object | string, headers: Record<string, string> = {}): RequestListener {
  return (_request, response) => {
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

const echo = 'echo canary-client-secret canary-refresh-token canary-access-token';
const token = { access_token: 'canary-access-token', token_type: 'bearer' };

it.each<[string, string, RequestListener]>([
  ['invalid_client', 'ERR_OAUTH2_INVALID_CLIENT', json(401, { error: 'invalid_client', error_description: echo })],
  [
    'invalid_client with a challenge',
    'ERR_OAUTH2_INVALID_CLIENT',
    json(401, { error: 'invalid_client' }, { 'www-authenticate': `Basic realm="${echo}"` }),
  ],
  ['a bare 401', 'ERR_OAUTH2_INVALID_CLIENT', json(401, echo)],
  ['invalid_grant', 'ERR_OAUTH2_INVALID_GRANT', json(400, { error: 'invalid_grant', error_description: echo })],
  ['invalid_scope', 'ERR_OAUTH2_REQUEST_REFUSED', json(400, { error: 'invalid_scope' })],
  ['an error name that holds a secret', 'ERR_OAUTH2_REQUEST_REFUSED', json(400, { error: echo })],
  ['a bare 404', 'ERR_OAUTH2_REQUEST_REFUSED', json(404, echo)],
  ['temporarily_unavailable', 'ERR_ENDPOINT_UNAVAILABLE', json(400, { error: 'temporarily_unavailable' })],
  ['a server error', 'ERR_ENDPOINT_UNAVAILABLE', json(500, echo)],
  ['200 with an error body', 'ERR_OAUTH2_REQUEST_REFUSED', json(200, { error: 'x', access_token: 5, echo })],
  ['200 with an error that is no text', 'ERR_OAUTH2_REQUEST_REFUSED', json(200, { error: { code: echo } })],
  ['200 without a token', 'ERR_OAUTH2_RESPONSE_INVALID', json(200, { ...token, access_token: undefined, echo })],
  ['200 with broken JSON', 'ERR_OAUTH2_RESPONSE_INVALID', json(200, `{"access_token":"canary-access-token`)],
  ['200 with HTML', 'ERR_OAUTH2_RESPONSE_INVALID', json(200, `<html>${echo}`, { 'content-type': 'text/html' })],
  ['200 with nothing', 'ERR_OAUTH2_RESPONSE_INVALID', json(200, '')],
  ['a redirect', 'ERR_ENDPOINT_REDIRECTED', json(302, '', { location: 'https://elsewhere.example' })],
])('translates %s and keeps no secret', async (_sentence, code, listen) => {
  listener = listen;
  const error = await rejectionOf(refresh({ tokenEndpoint: `${origin}/token` }));
  expect(error).toMatchObject({ code });
  const printed = inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error) + String(error);
  expect(CANARIES.filter((canary) => printed.includes(canary))).toEqual([]);
});

it.each<[string, RequestListener]>([
  ['no metadata', json(404, echo)],
  [
    'metadata of another issuer',
    json(200, { issuer: 'https://other.example', token_endpoint: 'https://other.example/t' }),
  ],
  ['metadata that is no JSON', json(200, echo, { 'content-type': 'text/plain' })],
])('names the issuer as the fault when it serves %s', async (_sentence, listen) => {
  listener = listen;
  await expect(refresh({ issuer: origin })).rejects.toMatchObject({ code: 'ERR_OAUTH2_DISCOVERY_FAILED' });
});

it('does not touch the token endpoint before beforeSend has been heard', async () => {
  let requests = 0;
  listener = (request, response) => {
    requests += 1;
    json(200, token)(request, response);
  };
  const config = driver.parseConfig({
    tokenEndpoint: `${origin}/token`,
    grantType: 'client_credentials',
    clientId: 'c',
    allowInsecureTransport: true,
  });
  const input = {
    config,
    registered: Secret.of({ clientSecret: 's' }),
    grant: null,
    signal: new AbortController().signal,
  };
  const refused = new Error('claim lost');
  await expect(driver.refresh(input, () => Promise.reject(refused))).rejects.toBe(refused);
  expect(requests).toBe(0);
});
