import { createHash, createSign } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { claimsFor, HostileSignIns, KEYS, signed, unsigned, type BegunSignIn } from './support/hostile-sign-in.ts';
import { CLIENT_SECRET } from './support/sign-in.ts';

const INVALID = 'ERR_OAUTH2_RESPONSE_INVALID';
const WEEK_S = 7 * 86_400;
const nowS = (): number => Math.floor(Date.now() / 1_000);

let place: HostileSignIns;

beforeEach(async () => {
  place = await HostileSignIns.start();
});

afterEach(async () => {
  expect(await place.stop()).toEqual([]);
});

type MakeIdToken = (begun: BegunSignIn) => Promise<unknown> | string | null | undefined;

/** A sign-in that is answered with good tokens and this ID token. */
async function answeredWith(idToken: MakeIdToken, metadata?: object): Promise<BegunSignIn> {
  let made: unknown;
  const begun = await place.begin(place.giving('as', () => ({ id_token: made }), metadata));
  made = await idToken(begun);
  return begun;
}

async function refusedWith(idToken: MakeIdToken): Promise<void> {
  const begun = await answeredWith(idToken);
  const callbackUrl = place.callback(begun);
  expect(await place.refused(begun.id, { callbackUrl })).toBe(INVALID);
  // The code is spent, and the sign-in with it.
  expect(await place.refused(begun.id, { callbackUrl })).toBe('ERR_AUTHORIZATION_REPLAYED');
  expect(place.tokenRequests(begun.issuer)).toHaveLength(1);
}

const claiming =
  (changes: object): MakeIdToken =>
  (begun) =>
    signed(claimsFor(begun, changes));

const halfOf = (text: string): string =>
  createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');

function hmacOf(claims: JWTPayload, key: string): Promise<string> {
  return signed(claims, { alg: 'HS256' }, Buffer.from(key) as never);
}

test.each<[string, () => MakeIdToken]>([
  ['that says no more than it has to', () => claiming({})],
  ['of the other key', () => (begun) => signed(claimsFor(begun), { alg: 'RS256', kid: 'two' }, KEYS.two.privateKey)],
  ['for this client among others', () => claiming({ aud: ['other', 'client'], azp: 'client' })],
  [
    'with the hashes of its token and its code',
    () => claiming({ at_hash: halfOf(place.tokens.access_token), c_hash: halfOf(place.code) }),
  ],
  ['made half an hour ago', () => claiming({ iat: nowS() - 1_800 })],
])('O6 an ID token %s is taken', async (_sentence, idToken) => {
  const begun = await answeredWith(idToken());
  const { credential } = await place.engine.reauthorize(begun.id, { callbackUrl: place.callback(begun) });
  expect(credential).toMatchObject({ state: 'valid.fresh', generation: 1 });
});

test.each<[string, MakeIdToken]>([
  ['another nonce', claiming({ nonce: 'x'.repeat(43) })],
  ['no nonce', claiming({ nonce: undefined })],
  ['an empty nonce', claiming({ nonce: '' })],
  ['its nonce in a list', (begun) => signed(claimsFor(begun, { nonce: [begun.asked.get('nonce')] }))],
  ['the hash of another token', claiming({ at_hash: halfOf('another token') })],
  ['the hash of another code', claiming({ c_hash: halfOf('another code') })],
  ['a hash that is none', claiming({ c_hash: 7 })],
])('O4 an ID token with %s belongs to another answer, and the answer is refused', async (_sentence, idToken) => {
  await refusedWith(idToken);
});

test.each<[string, MakeIdToken]>([
  ['that is missing', () => undefined],
  ['that is null', () => null],
  ['that is empty', () => ''],
  ['that is no JWT', () => 'canary.of.none'],
  ['with alg none and no signature', (begun) => unsigned(claimsFor(begun))],
  ['with alg None', (begun) => unsigned(claimsFor(begun), { alg: 'None', kid: 'one' })],
  ['with no alg', (begun) => unsigned(claimsFor(begun), { kid: 'one' }, 'AAAA')],
  ['with an empty signature', (begun) => unsigned(claimsFor(begun), { alg: 'RS256', kid: 'one' })],
  ['with a signature of somebody else', (begun) => signed(claimsFor(begun), undefined, KEYS.foreign.privateKey)],
  ['with the kid of the other key', (begun) => signed(claimsFor(begun), { alg: 'RS256', kid: 'two' })],
  ['with an unknown kid', (begun) => signed(claimsFor(begun), { alg: 'RS256', kid: '__proto__' })],
  ['without kid, where there are several keys', (begun) => signed(claimsFor(begun), { alg: 'RS256' })],
  [
    'with a key of its own in the header',
    (begun) => {
      const jwk = KEYS.foreign.publicKey.export({ format: 'jwk' });
      return signed(claimsFor(begun), { alg: 'RS256', jwk } as never, KEYS.foreign.privateKey);
    },
  ],
  ['with a MAC by the client secret', (begun) => hmacOf(claimsFor(begun), CLIENT_SECRET)],
  [
    'with a MAC by the public key',
    (begun) => hmacOf(claimsFor(begun), String(KEYS.one.publicKey.export({ type: 'spki', format: 'pem' }))),
  ],
  ['with an algorithm that was not announced', (begun) => signed(claimsFor(begun), { alg: 'RS512', kid: 'one' })],
  [
    'whose claims were exchanged after it was signed',
    async (begun) => {
      const [header = '', , signature = ''] = (await signed(claimsFor(begun))).split('.');
      const claims = Buffer.from(JSON.stringify(claimsFor(begun, { sub: 'admin' }))).toString('base64url');
      return `${header}.${claims}.${signature}`;
    },
  ],
  [
    'with a signature over the claims alone',
    (begun) => {
      const claims = claimsFor(begun);
      const signature = createSign('RSA-SHA256').update(JSON.stringify(claims)).sign(KEYS.one.privateKey, 'base64url');
      return unsigned(claims, { alg: 'RS256', kid: 'one' }, signature);
    },
  ],
  ['for another client', claiming({ aud: 'other' })],
  ['for no client', claiming({ aud: undefined })],
  ['for this client and others, without azp', claiming({ aud: ['client', 'other'] })],
  ['for this client and others, made for another', claiming({ aud: ['client', 'other'], azp: 'other' })],
  ['for this client alone, made for another', claiming({ azp: 'other' })],
  ['of another issuer', claiming({ iss: 'https://accounts.example' })],
  ['of its issuer with a slash', (begun) => signed(claimsFor(begun, { iss: `${begun.issuer}/` }))],
  ['of no issuer', claiming({ iss: undefined })],
  ['of nobody', claiming({ sub: undefined })],
  ['made a week ago', claiming({ iat: nowS() - WEEK_S })],
  ['made in a week', claiming({ iat: nowS() + WEEK_S })],
  ['made at no time', claiming({ iat: undefined })],
  ['made at a time in words', claiming({ iat: 'now' as never })],
  ['that has ended', claiming({ exp: nowS() - 600 })],
  ['that never ends', claiming({ exp: undefined })],
])('O6 an ID token %s is refused with the tokens beside it', async (_sentence, idToken) => {
  await refusedWith(idToken);
});

test('O6 keys that cannot be had are no reason to believe an ID token', async () => {
  const metadata = { jwks_uri: `${place.server.origin}/nowhere` };
  const begun = await answeredWith((one) => signed(claimsFor(one)), metadata);
  expect(await place.refused(begun.id, { callbackUrl: place.callback(begun) })).toMatch(/^ERR_/);
});

test('O6 the ID token that comes to a device is checked by the same keys', async () => {
  const claims = { ...claimsFor({ id: '', issuer: '', asked: new URLSearchParams() }), nonce: undefined };
  let key = KEYS.foreign.privateKey;
  const issuer: string = place.giving('as', async () => ({
    id_token: await signed({ ...claims, iss: issuer }, undefined, key),
  }));
  const { id, authorizationId } = await place.beginDevice(issuer);
  expect(await place.refused(id, { authorizationId })).toBe(INVALID);
  key = KEYS.one.privateKey;
  const again = await place.engine.authorize(id);
  const { credential } = await place.engine.reauthorize(id, { authorizationId: again.authorizationId });
  expect(credential.state).toBe('valid.fresh');
});
