import fc from 'fast-check';
import type { JsonObject, JsonValue } from '../../../src/json.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { silentLogger, type Fetch } from '../../../src/ports.ts';
import { ClockSkew } from '../../../src/protocols/clock-skew.ts';
import { parseOAuth2Config, parseOAuth2Grant } from '../../../src/protocols/oauth2/config.ts';
import { PROFILE_NAMES, profileOf } from '../../../src/protocols/oauth2/profile.ts';
import { refreshTokenGrantRequest } from '../../../src/protocols/oauth2/request.ts';
import { processTokenResponse } from '../../../src/protocols/oauth2/response.ts';
import { readTokenAnswer } from '../../../src/protocols/oauth2/token-answer.ts';
import { tokenEndpointFetch } from '../../../src/protocols/oauth2/token-endpoint.ts';
import { TestClock } from '../../support/clock.ts';

const reading = { status: 200, companions: [], wantsIdToken: false };

function tokensOf(text: string): JsonObject | string {
  const answer = readTokenAnswer(text, reading);
  return answer.kind === 'tokens' ? answer.members : answer.kind;
}

it.each<[string, string]>([
  ['JSON', '{"access_token":"a","token_type":"Bearer","refresh_token":"r","scope":"x y"}'],
  [
    'JSON behind a byte order mark',
    '\uFEFF{"access_token":"a","token_type":"Bearer","refresh_token":"r","scope":"x y"}',
  ],
  ['JSON with white space around it', ' \n{"access_token":"a","refresh_token":"r","scope":"x y"}\r\n'],
  ['a form', 'access_token=a&refresh_token=r&scope=x+y&token_type=bearer'],
  ['a form with escapes', 'scope=x%20y&access_token=a&refresh_token=%72'],
  ['a scope in a list', '{"access_token":"a","refresh_token":"r","scope":["x","y"]}'],
  ['a scope with commas', '{"access_token":"a","refresh_token":"r","scope":"x,y"}'],
  ['a token type in another case', '{"access_token":"a","token_type":"BEARER","refresh_token":"r","scope":"x y"}'],
  ['no token type', '{"access_token":"a","refresh_token":"r","scope":"x y"}'],
  ['a token type of null', '{"access_token":"a","token_type":null,"refresh_token":"r","scope":"x y"}'],
  [
    'a token type with more in it',
    '{"access_token":"a","token_type":"Bearer Token","refresh_token":"r","scope":"x y"}',
  ],
  ['an ID token that nobody looks at', '{"access_token":"a","id_token":7,"refresh_token":"r","scope":"x y"}'],
])('F26 reads an answer in %s', (_sentence, text) => {
  expect(tokensOf(text)).toEqual({ access_token: 'a', token_type: 'bearer', refresh_token: 'r', scope: 'x y' });
});

it.each<[string, string, string]>([
  ['nothing', '', 'unreadable'],
  ['HTML', '<html><body>access_token=a</body></html>', 'unreadable'],
  ['a text', 'access denied', 'unreadable'],
  ['a list', '[{"access_token":"a"}]', 'unreadable'],
  ['a number', '7', 'unreadable'],
  ['JSON that is cut off', '{"access_token":"a","refresh_tok', 'unreadable'],
  ['JSON without a token', '{"token_type":"bearer"}', 'unreadable'],
  ['an empty access token', '{"access_token":""}', 'unreadable'],
  ['a number for an access token', '{"access_token":7}', 'unreadable'],
  ['an error', '{"error":"invalid_grant"}', 'refusal'],
  ['an error in a form', 'error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect', 'refusal'],
  ['"ok": false beside a token', '{"ok":false,"access_token":"a"}', 'refusal'],
])('F24 takes %s for no token', (_sentence, text, kind) => {
  expect(tokensOf(text)).toBe(kind);
});

it('takes an answer with a token and an empty error for tokens', () => {
  expect(tokensOf('{"ok":true,"error":null,"access_token":"a"}')).toMatchObject({ access_token: 'a' });
});

/** What the engine makes of an answer, by way of the library: the grant, or the code of the error. */
async function refreshed(text: string, status: number, profile: (typeof PROFILE_NAMES)[number]) {
  const config = parseOAuth2Config({
    profile,
    issuer: 'https://as.example',
    tokenEndpoint: 'https://as.example/token',
    grantType: 'refresh_token',
    clientId: 'c',
    clientAuthentication: 'client_secret_post',
  });
  const answer: Fetch = async () => new Response(text, { status, headers: { 'content-type': 'text/plain' } });
  const fetch = tokenEndpointFetch(answer, {
    profile: profileOf(profile),
    clockSkew: new ClockSkew(new TestClock()),
    logger: silentLogger,
    beforeSend: async () => () => undefined,
  });
  const server = { issuer: 'https://as.example', token_endpoint: 'https://as.example/token' };
  const { signal } = new AbortController();
  const bearing = { dpopKey: null, serverAheadMs: () => 0 };
  const exchange = { config, secret: { clientSecret: 's' }, server, fetch, signal, ...bearing };
  try {
    const response = await refreshTokenGrantRequest(exchange, 'r0');
    const requestedAt = new Date('2026-03-01T12:00:00Z');
    const issued = processTokenResponse(response, { config, previousRefreshToken: 'r0', requestedAt });
    return parseOAuth2Grant(issued.grant.unwrap());
  } catch (error) {
    if (isCredentialError(error)) return error.code;
    throw error;
  }
}

const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(null, '', 0, -1, '3600abc', '__proto__', [], {}, true, 'Bearer', 'bearer', 'DPoP', 'mac'),
) as fc.Arbitrary<JsonValue>;
const NAMES = [
  'token_type',
  'expires_in',
  'scope',
  'id_token',
  'refresh_token_expires_in',
  'error_description',
  'ok2',
  '__proto__',
  'authed_user',
  'status',
  'constructor',
  'toString',
  'expires_at',
];
const optional = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string()), odd);
const word = fc.string({ minLength: 1 });
const DROPPED = new Set(['access_token', 'refresh_token', 'error', 'ok', 'stated_expires_in']);

test('F25 whatever is odd about the rest, an access token is taken and no new refresh token is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      optional,
      word,
      word,
      fc.constantFrom(...PROFILE_NAMES),
      async (rest, accessToken, refreshToken, profile) => {
        const harmless = Object.fromEntries(Object.entries(rest).filter(([name]) => !DROPPED.has(name)));
        const text = JSON.stringify({ ...harmless, access_token: accessToken, refresh_token: refreshToken });
        expect(await refreshed(text, 200, profile)).toMatchObject({ accessToken, refreshToken });
      },
    ),
    { numRuns: 400 },
  );
});

test('F24 whatever an endpoint answers, it is tokens or an error of the catalogue', async () => {
  const members = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES, ...DROPPED), fc.string()), odd);
  const texts = fc.oneof(
    members.map((value) => JSON.stringify(value)),
    fc.string(),
    fc.webQueryParameters(),
    fc.json(),
  );
  const statuses = fc.constantFrom(200, 201, 400, 401, 403, 404, 418);
  await fc.assert(
    fc.asyncProperty(texts, statuses, fc.constantFrom(...PROFILE_NAMES), async (text, status, profile) => {
      const result = await refreshed(text, status, profile);
      if (typeof result === 'string') expect(result).toMatch(/^ERR_(OAUTH2|ENDPOINT)_/);
      else expect(status).toBeLessThan(400);
    }),
    { numRuns: 600 },
  );
});
