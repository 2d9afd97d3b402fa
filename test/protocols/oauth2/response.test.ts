import { parseOAuth2Config, parseOAuth2Grant } from '../../../src/protocols/oauth2/config.ts';
import { processTokenResponse } from '../../../src/protocols/oauth2/response.ts';
import { NOW, secondsAfter } from '../../support/record.ts';

const base = { issuer: 'https://as.example', clientId: 'c' };
const refreshing = parseOAuth2Config({ ...base, grantType: 'refresh_token' });
const machine = parseOAuth2Config({ ...base, grantType: 'client_credentials' });

function process(members: object, config = refreshing) {
  const response = {
    access_token: 'at',
    token_type: 'bearer',
    expiresIn: () => 1,
    claims: () => undefined,
    ...members,
  } as Parameters<typeof processTokenResponse>[0];
  const issued = processTokenResponse(response, { config, previousRefreshToken: 'rt0', requestedAt: NOW });
  return { ...issued, grant: parseOAuth2Grant(issued.grant.unwrap()) };
}

it.each<[string, object, string | null]>([
  ['replaces the refresh token by a new one', { refresh_token: 'rt1' }, 'rt1'],
  ['keeps the refresh token that was omitted', {}, 'rt0'],
  ['keeps it when an empty one comes', { refresh_token: '' }, 'rt0'],
  ['keeps it when null comes', { refresh_token: null }, 'rt0'],
])('%s', (_sentence, members, refreshToken) => {
  expect(process(members).grant.refreshToken).toBe(refreshToken);
});

it.each<[unknown, number | null]>([
  [3600, 3600],
  [1.5, 1.5],
  [undefined, null],
  [0, null],
  [-1, null],
  ['3600', 3600],
  ['3600abc', null],
  [Number.NaN, null],
  [1e12, null],
])('reads expires_in %p as a life of %p seconds', (value, seconds) => {
  expect(process({ expires_in: value }).expiresAt).toEqual(seconds === null ? null : secondsAfter(NOW, seconds));
});

it('counts the life from the request, not from the answer', () => {
  expect(process({ expires_in: 60 }).issuedAt).toEqual(NOW);
});

it('keeps no refresh token for client credentials, which stay refreshable without one', () => {
  const issued = process({ refresh_token: 'rt1' }, machine);
  expect([issued.grant.refreshToken, issued.refreshable]).toEqual([null, true]);
});

it('keeps the granted scope', () => {
  expect(process({ scope: 'a b' }).grant.scope).toBe('a b');
  expect(process({}).grant.scope).toBeNull();
});
