import fc from 'fast-check';
import { expiryOf, refreshTokenExpiresAt, type ExpiryContext } from '../../../src/protocols/oauth2/expiry.ts';
import type { JsonObject, JsonValue } from '../../../src/json.ts';
import { NOW, secondsAfter } from '../../support/record.ts';

const context: ExpiryContext = {
  requestedAt: NOW,
  serverAheadMs: 0,
  profileLifetimeMs: null,
  learnedLifetimeMs: null,
};
const nowSeconds = NOW.getTime() / 1000;

function jwt(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256', typ: 'at+jwt' })}.${part(claims)}.c2ln`;
}

function read(
  answer: JsonObject,
  change: Partial<ExpiryContext> = {},
  token = 'opaque',
): [string, number | null, boolean] {
  const { expiresAt, source, odd } = expiryOf(answer, token, { ...context, ...change });
  return [source, expiresAt === null ? null : (expiresAt.getTime() - NOW.getTime()) / 1000, odd];
}

it.each<[string, JsonValue, number | null]>([
  ['seconds', 3600, 3600],
  ['a fraction', 3599.5, 3599.5],
  ['digits in a text', '3600', 3600],
  ['digits in a text with white space', ' 3600 ', 3600],
  ['digits with a fraction in a text', '3600.5', 3600.5],
  ['seconds with their unit', '3600s', 3600],
  ['zero', 0, null],
  ['zero in a text', '0', null],
  ['a negative number', -60, null],
  ['a negative number in a text', '-60', null],
  ['3600abc', '3600abc', null],
  ['a word', 'never', null],
  ['an empty text', '', null],
  ['true', true, null],
  ['a list', [3600], null],
  ['an object', { seconds: 3600 }, null],
  ['a number beyond all bounds', 1e300, null],
  ['a thousandth of a millisecond', 1e-9, null],
  ['milliseconds where seconds would be ten years and more', 604_800_000, 604_800],
  ['an instant in seconds in its place', nowSeconds + 3600, 3600],
  ['an instant in milliseconds in its place', NOW.getTime() + 3_600_000, 3600],
  ['ten years in seconds', 315_360_000, 315_360_000],
])('F23 reads an expires_in that is %s as defined', (_sentence, value, seconds) => {
  expect(read({ expires_in: value })).toEqual([seconds === null ? 'unknown' : 'response', seconds, seconds === null]);
});

it('F23 takes an expires_in of null for none', () => {
  expect(read({ expires_in: null })).toEqual(['unknown', null, false]);
});

it.each<[string, Partial<ExpiryContext>, string]>([
  ['the documented lifetime', { profileLifetimeMs: 3_600_000 }, 'opaque'],
  ['what the server said before', { learnedLifetimeMs: 3_600_000 }, 'opaque'],
  ['the token itself', {}, jwt({ iat: nowSeconds, exp: nowSeconds + 3600 })],
])('F23 reads 3600000 as milliseconds when %s says an hour, and else as seconds', (_sentence, change, token) => {
  expect(read({ expires_in: 3_600_000 }, change, token)).toEqual(['response', 3600, false]);
  expect(read({ expires_in: 3_600_000 })).toEqual(['response', 3_600_000, false]);
});

it('F23 asks the answer, then the token, then the profile, then what was learned', () => {
  const token = jwt({ iat: nowSeconds, exp: nowSeconds + 1800 });
  const all = { profileLifetimeMs: 900_000, learnedLifetimeMs: 600_000 };
  expect(read({ expires_in: 3600 }, all, token)).toEqual(['response', 3600, false]);
  expect(read({}, all, token)).toEqual(['token', 1800, false]);
  expect(read({ expires_in: 'soon' }, all, token)).toEqual(['token', 1800, true]);
  expect(read({}, all)).toEqual(['profile', 900, false]);
  expect(read({}, { learnedLifetimeMs: 600_000 })).toEqual(['learned', 600, false]);
  expect(read({})).toEqual(['unknown', null, false]);
});

it.each<[string, object | string, number | null]>([
  ['an exp', { exp: nowSeconds + 300 }, 300],
  ['an exp of a clock that is wrong, with its iat', { iat: nowSeconds + 600, exp: nowSeconds + 900 }, 300],
  ['no exp', { iat: nowSeconds }, null],
  ['an exp in the past', { exp: nowSeconds - 1 }, null],
  ['an exp in a text', { exp: String(nowSeconds + 300) }, null],
  ['an exp of 1e308', { exp: 1e308 }, null],
  ['an exp in milliseconds', { exp: NOW.getTime() + 300_000 }, null],
  ['a payload that is no JSON', 'a.bm8ganNvbg.c', null],
  ['a payload that is a list', 'a.W10.c', null],
  ['five parts, as an encrypted one has', 'a.e30.c.d.e', null],
])('reads the life of a token in JWT form with %s', (_sentence, claims, seconds) => {
  const token = typeof claims === 'string' ? claims : jwt(claims);
  expect(read({}, {}, token)).toEqual([seconds === null ? 'unknown' : 'token', seconds, false]);
});

it("F40 turns instants of the server's clock into ours", () => {
  const serverAheadMs = 600_000;
  const token = jwt({ exp: nowSeconds + 600 + 300 });
  expect(read({}, { serverAheadMs }, token)).toEqual(['token', 300, false]);
  expect(read({ expires_at: nowSeconds + 600 + 300 }, { serverAheadMs })).toEqual(['response', 300, false]);
  expect(read({ expires_in: 300 }, { serverAheadMs })).toEqual(['response', 300, false]);
});

it.each<[string, JsonObject, number | null]>([
  ['expires_at in seconds', { expires_at: nowSeconds + 60 }, 60],
  ['expires_on in a text', { expires_on: String(nowSeconds + 60) }, 60],
  ['expires_at in ISO 8601', { expires_at: secondsAfter(NOW, 60).toISOString() }, 60],
  ['expires', { expires: '60' }, 60],
  ['expires_in beside an odd expires_at', { expires_in: 60, expires_at: 'x' }, 60],
  ['an odd expires_in beside expires_at', { expires_in: 'x', expires_at: nowSeconds + 60 }, 60],
  ['an expires_at in the past', { expires_at: nowSeconds - 60 }, null],
])('reads %s', (_sentence, answer, seconds) => {
  expect(read(answer)[1]).toBe(seconds);
});

it.each<[string, JsonObject, number | null]>([
  ['GitHub', { refresh_token_expires_in: '15811200' }, 15_811_200],
  ['Keycloak', { refresh_expires_in: 1800 }, 1800],
  ['Keycloak, of an offline token', { refresh_expires_in: 0 }, null],
  ['Intuit', { x_refresh_token_expires_in: 8_726_400 }, 8_726_400],
  ['nobody', {}, null],
])('reads the end of a refresh token as %s states it', (_sentence, answer, seconds) => {
  const expected = seconds === null ? null : secondsAfter(NOW, seconds);
  expect(refreshTokenExpiresAt(answer, context)).toEqual(expected);
});

it('F23 never throws, and never gives an end that is past or beyond ten years', () => {
  const odd = fc.oneof(fc.jsonValue(), fc.double(), fc.string(), fc.integer()) as fc.Arbitrary<JsonValue>;
  const answers = fc.record({ expires_in: odd, expires_at: odd, expires: odd }, { requiredKeys: [] });
  const tokens = fc.oneof(
    fc.string(),
    fc.jsonValue().map((claims) => jwt(Object(claims))),
  );
  fc.assert(
    fc.property(answers, tokens, fc.integer({ min: -1e9, max: 1e9 }), (answer, token, serverAheadMs) => {
      const [source, seconds] = read(answer, { serverAheadMs }, token);
      if (source === 'unknown') expect(seconds).toBeNull();
      else {
        expect(seconds).toBeGreaterThan(0);
        expect(seconds).toBeLessThanOrEqual(10 * 365 * 86_400);
      }
    }),
    { numRuns: 2_000 },
  );
});
