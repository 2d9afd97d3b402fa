import { createHash, generateKeyPairSync } from 'node:crypto';
import { decodeJwt } from 'jose';
import { LoopbackCallback } from '../../src/cli/sign-in/loopback.ts';
import { systemFetch } from '../../src/ports.ts';
import { sendJson, type HostileCase } from '../servers/hostile/server.ts';
import { claimsFor, DEVICE_INTERVAL_MS, HostileSignIns, signed, type BegunSignIn } from './support/hostile-sign-in.ts';
import { REDIRECT_URI } from './support/sign-in.ts';

const MISMATCH = 'ERR_AUTHORIZATION_ISSUER_MISMATCH';
const UNKNOWN = 'ERR_AUTHORIZATION_UNKNOWN';
/** Without an ID token: that has a suite of its own. */
const PLAIN = { scope: 'offline_access' };
const SILENT = { authorization_response_iss_parameter_supported: undefined };
const MINUTE_MS = 60_000;

let place: HostileSignIns;

beforeEach(async () => {
  place = await HostileSignIns.start();
});

afterEach(async () => {
  expect(await place.stop()).toEqual([]);
});

const begin = (issuer: string, redirectUri?: string): Promise<BegunSignIn> =>
  place.begin(issuer, { config: PLAIN, ...(redirectUri !== undefined && { redirectUri }) });

/** Given this URL, the engine refuses and asks nobody. */
async function refusedUnsent(begun: BegunSignIn, callbackUrl: string, code: string): Promise<void> {
  expect(await place.refused(begun.id, { callbackUrl })).toBe(code);
  expect(place.tokenRequests(begun.issuer)).toEqual([]);
}

async function taken(begun: BegunSignIn, callbackUrl = place.callback(begun)): Promise<void> {
  const { credential } = await place.engine.reauthorize(begun.id, { callbackUrl });
  expect(credential).toMatchObject({ state: 'valid.fresh', generation: 1 });
}

type Change = (issuer: string) => (url: string) => string;
const issuedBy =
  (iss: (issuer: string) => string | null): Change =>
  (issuer) =>
  (url) => {
    const changed = new URL(url);
    const said = iss(issuer);
    if (said === null) changed.searchParams.delete('iss');
    else changed.searchParams.set('iss', said);
    return changed.href;
  };
const FOREIGN_ISSUERS: [string, Change][] = [
  ['of another issuer', issuedBy(() => 'https://accounts.example')],
  ['of its issuer with a slash', issuedBy((issuer) => `${issuer}/`)],
  ['of its issuer in capitals', issuedBy((issuer) => issuer.toUpperCase())],
  ['of an empty issuer', issuedBy(() => '')],
  ['of its issuer, twice', (issuer) => (url) => `${url}&iss=${encodeURIComponent(issuer)}`],
  ['of its issuer and another', () => (url) => `${url}&iss=https://accounts.example`],
];

test.each<[string, Change]>([...FOREIGN_ISSUERS, ['of no issuer', issuedBy(() => null)]])(
  'O1 where the server names itself, an answer %s is refused, and the code goes nowhere',
  async (_sentence, change) => {
    const begun = await begin(place.giving('as'));
    await refusedUnsent(begun, change(begun.issuer)(place.callback(begun)), MISMATCH);
    await refusedUnsent(begun, place.callback(begun), 'ERR_AUTHORIZATION_REPLAYED');
  },
);

test.each(FOREIGN_ISSUERS)(
  'O1 where the server does not say that it names itself, an answer %s is refused all the same',
  async (_sentence, change) => {
    const begun = await begin(place.giving('as', undefined, SILENT));
    await refusedUnsent(begun, change(begun.issuer)(place.callback(begun)), MISMATCH);
  },
);

test('O1 a code of an honest server, led into a sign-in at another, is not given to that', async () => {
  const honest = place.giving('honest');
  const begun = await begin(place.giving('attacker', undefined, SILENT));
  await refusedUnsent(begun, place.callback(begun, { iss: honest }), MISMATCH);
});

test('O1 servers that do not name themselves are told apart by redirect URIs of their own', async () => {
  const [honest, attacker] = ['honest', 'attacker'].map((name) => place.giving(name, undefined, SILENT));
  const begun = await begin(attacker ?? '', `${REDIRECT_URI}/attacker`);
  const elsewhere = place.callback(begun, { iss: null }, `${REDIRECT_URI}/honest`);
  await refusedUnsent(begun, elsewhere, MISMATCH);
  const own = await begin(honest ?? '', `${REDIRECT_URI}/honest`);
  await taken(own, place.callback(own, { iss: null }));
});

test.each<[string, (url: string, state: string) => string]>([
  ['no state', (url, state) => url.replace(`&state=${state}`, '')],
  ['an empty state', (url, state) => url.replace(state, '')],
  ['another state', (url, state) => url.replace(state, 'x'.repeat(43))],
  ['its state in capitals', (url, state) => url.replace(state, state.toUpperCase())],
  ['its state cut short', (url, state) => url.replace(state, state.slice(0, -1))],
  ['its state twice', (url, state) => `${url}&state=${state}`],
  ['its state and another', (url) => `${url}&state=x`],
  ['its state in the fragment', (url, state) => url.replace(`&state=${state}`, '').concat(`#state=${state}`)],
  ['its state by another name', (url, state) => url.replace('&state=', '&State=').concat(`&state[]=${state}`)],
])('O2 an answer with %s changes nothing, and the right one still counts', async (_sentence, change) => {
  const begun = await begin(place.giving('as'));
  const before = place.recordOf(begun.id);
  await refusedUnsent(begun, change(place.callback(begun), begun.asked.get('state') ?? ''), UNKNOWN);
  expect(place.recordOf(begun.id)).toEqual(before);
  await taken(begun);
});

test('O2 a state is of one credential and one session, counts once, and for ten minutes', async () => {
  const issuer = place.giving('as');
  const [one, other] = [await begin(issuer), await begin(issuer)];
  await refusedUnsent(other, place.callback(one), UNKNOWN);
  const { id } = one;
  const bound = await place.engine.authorize(id, { redirectUri: REDIRECT_URI, session: 'alice' });
  const asked = new URL(bound.kind === 'redirect' ? bound.url : '').searchParams;
  await refusedUnsent(one, place.callback({ ...one, asked }), UNKNOWN);
  const late = await begin(issuer);
  await taken(one);
  expect(place.tokenRequests(issuer)).toHaveLength(1);
  await expect(place.engine.reauthorize(id, { callbackUrl: place.callback(one) })).rejects.toMatchObject({
    code: 'ERR_AUTHORIZATION_REPLAYED',
  });
  place.clock.advance(10 * MINUTE_MS);
  expect(await place.refused(late.id, { callbackUrl: place.callback(late) })).toBe('ERR_AUTHORIZATION_EXPIRED');
  expect(place.tokenRequests(issuer)).toHaveLength(1);
});

test('O2 there is no way to give an answer without a state', async () => {
  const begun = await begin(place.giving('as'));
  expect(await place.refused(begun.id, { parameters: { code: place.code, iss: begun.issuer } })).toBe(UNKNOWN);
  expect(await place.refused(begun.id, { authorizationId: 'x' })).toBe(UNKNOWN);
  expect(place.tokenRequests(begun.issuer)).toEqual([]);
});

test.each<[string, unknown]>([
  ['plain alone', ['plain']],
  ['nothing', []],
  ['s256 in small letters', ['s256']],
  ['a text with S256 in it', 'notS256'],
  ['null', null],
  ['a number', 7],
  ['an object', { S256: true }],
])('O3 metadata that offer %s for PKCE are an error, not a sign-in without', async (_sentence, methods) => {
  const issuer = place.giving('as', undefined, { code_challenge_methods_supported: methods });
  const id = await place.register(issuer, PLAIN);
  const before = place.recordOf(id);
  const code = 'ERR_OAUTH2_PKCE_UNSUPPORTED';
  await expect(place.engine.authorize(id, { redirectUri: REDIRECT_URI })).rejects.toMatchObject({ code });
  expect(place.recordOf(id)).toEqual(before);
});

test.each<[string, object]>([
  ['S256 beside plain', { code_challenge_methods_supported: ['plain', 'S256'] }],
  ['no word about it', { code_challenge_methods_supported: undefined }],
])('O3 metadata with %s get a challenge by S256, and the code goes with its verifier', async (_sentence, metadata) => {
  const begun = await begin(place.giving('as', undefined, metadata));
  expect(begun.asked.get('code_challenge_method')).toBe('S256');
  await taken(begun);
  const verifier = place.tokenRequests(begun.issuer)[0]?.get('code_verifier') ?? '';
  expect(verifier).toMatch(/^[\w-]{43}$/);
  expect(createHash('sha256').update(verifier).digest('base64url')).toBe(begun.asked.get('code_challenge'));
});

test.each(['code_challenge_method', 'code_challenge', 'state', 'nonce', 'redirect_uri', 'response_type', 'client_id'])(
  'O3 an owner cannot set %s',
  async (name) => {
    const config = { ...PLAIN, authorizationParameters: { [name]: 'plain' } };
    await expect(place.register(place.giving('as'), config)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
  },
);

test('O4 a code is sent once, whatever came of it', async () => {
  const refuse: HostileCase = (_request, response) => {
    sendJson(response, 400, { error: 'invalid_grant', error_description: place.code });
  };
  const begun = await begin(place.issuer('as', refuse));
  const callbackUrl = place.callback(begun);
  expect(await place.refused(begun.id, { callbackUrl })).toBe('ERR_OAUTH2_INVALID_GRANT');
  expect(await place.refused(begun.id, { callbackUrl })).toBe('ERR_AUTHORIZATION_REPLAYED');
  expect(place.tokenRequests(begun.issuer)).toHaveLength(1);
});

test('O4 a code that comes ten times at once is sent once', async () => {
  const begun = await begin(place.giving('as'));
  const answer = { callbackUrl: place.callback(begun) };
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, () => place.engine.reauthorize(begun.id, answer)),
  );
  place.see(outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : [])));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(place.tokenRequests(begun.issuer)).toHaveLength(1);
});

test('O4 an ID token of one sign-in does not fit into another', async () => {
  let idToken = '';
  const issuer = place.giving('as', () => ({ id_token: idToken }));
  const [alice, mallory] = [await place.begin(issuer), await place.begin(issuer)];
  idToken = await signed(claimsFor(mallory));
  const callbackUrl = place.callback(alice);
  expect(await place.refused(alice.id, { callbackUrl })).toBe('ERR_OAUTH2_RESPONSE_INVALID');
});

const AT = 'http://127.0.0.1:4000/Call/back';
test.each([
  ['another port', 'http://127.0.0.1:4001/Call/back'],
  ['no port', 'http://127.0.0.1/Call/back'],
  ['another scheme', 'https://127.0.0.1:4000/Call/back'],
  ['another name of the host', 'http://localhost:4000/Call/back'],
  ['a host that only begins so', 'http://127.0.0.1.evil.example:4000/Call/back'],
  ['its host as a user', 'http://127.0.0.1:4000@evil.example/Call/back'],
  ['a user', 'http://user@127.0.0.1:4000/Call/back'],
  ['another case', 'http://127.0.0.1:4000/call/back'],
  ['a slash at the end', `${AT}/`],
  ['two slashes', 'http://127.0.0.1:4000/Call//back'],
  ['a slash in code', 'http://127.0.0.1:4000/Call%2Fback'],
  ['a letter in code', 'http://127.0.0.1:4000/Call/bac%6B'],
  ['a path below', `${AT}/more`],
  ['a path above', 'http://127.0.0.1:4000/Call'],
  ['a parameter of the path', `${AT};x=1`],
])('O8 an answer that came to the redirect URI with %s is refused', async (_sentence, arrivedAt) => {
  const begun = await begin(place.giving('as'), AT);
  await refusedUnsent(begun, place.callback(begun, {}, arrivedAt), MISMATCH);
});

test.each(['http://127.0.0.1:80/cb', 'HTTP://LOCALHOST/Cb', 'http://127.0.0.1', 'http://127.0.0.1/a/../b%2fc', AT])(
  'O8 %s goes to the server letter by letter, both times',
  async (redirectUri) => {
    const begun = await begin(place.giving('as'), redirectUri);
    expect(begun.asked.get('redirect_uri')).toBe(redirectUri);
    await taken(begun);
    expect(place.tokenRequests(begun.issuer)[0]?.get('redirect_uri')).toBe(redirectUri);
  },
);

test.each([
  ...['javascript:alert(1)//', 'file:///etc/passwd', 'data:text/html,x', 'vbscript:x'],
  ...['credlife', '/authorize', '', 7, { href: 'https://as.example' }],
])('O8 a server that sends people to %j is refused: no browser opens that', async (endpoint) => {
  const id = await place.register(place.giving('as', undefined, { authorization_endpoint: endpoint }), PLAIN);
  await expect(place.engine.authorize(id, { redirectUri: REDIRECT_URI })).rejects.toMatchObject({
    code: 'ERR_OAUTH2_DISCOVERY_FAILED',
  });
});

test.each(['credlife', '', 7, {}, []])('O11 a token endpoint of %j is an error of the metadata', async (endpoint) => {
  const id = await place.register(place.giving('as', undefined, { token_endpoint: endpoint }), PLAIN);
  await expect(place.engine.authorize(id, { redirectUri: REDIRECT_URI })).rejects.toMatchObject({
    code: 'ERR_OAUTH2_DISCOVERY_FAILED',
  });
  expect(place.server.requestsOf('as').map(({ path }) => path)).toEqual(['/.well-known/openid-configuration']);
});

test('O11 a token endpoint of null is none', async () => {
  const id = await place.register(place.giving('as', undefined, { token_endpoint: null }), PLAIN);
  await expect(place.engine.authorize(id, { redirectUri: REDIRECT_URI })).rejects.toMatchObject({
    code: 'ERR_OAUTH2_ENDPOINT_MISSING',
  });
});

test('O8 the page of the callback leads nowhere, whatever it is asked for', async () => {
  const targets = [
    ...['https://evil.example', '//evil.example', '/\\evil.example', '/%09/evil.example', 'https:evil.example'],
    ...['javascript:alert(1)', '%0d%0aLocation:%20https://evil.example', '"><script>alert(1)</script>evil.example'],
  ];
  const names = ['return_to', 'returnTo', 'next', 'redirect', 'redirect_uri', 'url', 'continue', 'error_uri', 'state'];
  const callback = await LoopbackCallback.listen(0);
  const answer = callback.awaitAnswer(
    (url) => Promise.resolve(url.includes('state=right') ? 'taken' : null),
    10 * MINUTE_MS,
  );
  const { origin } = new URL(callback.redirectUri);
  const pages = targets.flatMap((target) => [
    ...names.map((name) => `${callback.redirectUri}?${name}=${target}`),
    `${origin}/${target}`,
    `${callback.redirectUri}/${target}`,
  ]);
  for (const url of [...pages, `${callback.redirectUri}?state=right&return_to=https://evil.example`]) {
    const page = await systemFetch(url, { redirect: 'manual' });
    const text = await page.text();
    expect([page.headers.get('location'), page.headers.get('refresh'), [200, 400, 404]]).toEqual([
      ...[null, null, expect.arrayContaining([page.status])],
    ]);
    expect(text).not.toMatch(/evil|<script|http-equiv|href/);
  }
  expect(await answer).toBe('taken');
  await callback.close();
});

/** A server that has these to say to a device, one after another, and then no more than the last. */
function scripted(name: string, answers: readonly (() => [status: number, body: object])[]): string {
  let asked = 0;
  return place.issuer(name, (_request, response) => {
    const answer = answers[Math.min(asked, answers.length - 1)];
    asked += 1;
    sendJson(response, ...(answer?.() ?? [500, {}]));
  });
}

const saying = (error: string) => (): [number, object] => [400, { error, error_description: place.deviceCode }];

test('O13 a device that is told to slow down does', async () => {
  const slow = saying('slow_down');
  const issuer = scripted('as', [slow, saying('authorization_pending'), slow, () => [200, place.tokens]]);
  const { id, authorizationId } = await place.beginDevice(issuer);
  const { credential } = await place.engine.reauthorize(id, { authorizationId });
  expect(credential.state).toBe('valid.fresh');
  const waits = [0, 5_000, 5_000, 10_000].map((more) => DEVICE_INTERVAL_MS + more);
  expect(place.clock.waits).toEqual(waits);
});

test.each<[string, readonly ReturnType<typeof saying>[], number]>([
  ['that the server calls expired', [saying('authorization_pending'), saying('expired_token')], 2],
  ['whose time is over, whatever the server says', [saying('authorization_pending')], 8],
])('O13 a device code %s is not asked for again', async (_sentence, answers, requests) => {
  const issuer = scripted('as', answers);
  const { id, authorizationId } = await place.beginDevice(issuer);
  expect(await place.refused(id, { authorizationId })).toBe('ERR_AUTHORIZATION_EXPIRED');
  expect(place.tokenRequests(issuer)).toHaveLength(requests);
  expect(await place.refused(id, { authorizationId })).toMatch(/^ERR_AUTHORIZATION_(REPLAYED|EXPIRED)$/);
  expect(place.tokenRequests(issuer)).toHaveLength(requests);
});

test('O13 each request has an assertion of its own, for its own server', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const clientKey = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const config = { ...PLAIN, clientAuthentication: 'private_key_jwt' };
  const issuers = ['one', 'two'].map((name) => place.giving(name));
  for (const issuer of issuers) {
    const begun = await place.begin(issuer, { config, secret: { clientKey } });
    await taken(begun);
    await place.engine.refresh(begun.id);
  }
  const claims = issuers.map((issuer) =>
    place.tokenRequests(issuer).map((sent) => decodeJwt(sent.get('client_assertion') ?? '')),
  );
  expect(claims.map((each) => each.map(({ aud }) => aud))).toEqual(issuers.map((issuer) => [issuer, issuer]));
  expect(new Set(claims.flat().map(({ jti }) => jti)).size).toBe(4);
});

test('O13 a server that wants one nonce after another gets one more proof, and no third', async () => {
  let nonces = 0;
  const token: HostileCase = (_request, response) => {
    nonces += 1;
    sendJson(response, 400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': `nonce-${String(nonces)}` });
  };
  const issuer = place.issuer('as', token, { dpop_signing_alg_values_supported: ['ES256'] });
  const begun = await place.begin(issuer, { config: { ...PLAIN, dpop: true } });
  const callbackUrl = place.callback(begun);
  expect(await place.refused(begun.id, { callbackUrl })).toBe('ERR_OAUTH2_REQUEST_REFUSED');
  const proofs = place.server.requestsOf('as', '/token').map(({ headers }) => decodeJwt(String(headers['dpop'])));
  expect(proofs.map(({ nonce }) => nonce)).toEqual([undefined, 'nonce-1']);
  expect(new Set(proofs.map(({ jti }) => jti)).size).toBe(2);
  expect(await place.refused(begun.id, { callbackUrl })).toBe('ERR_AUTHORIZATION_REPLAYED');
});
