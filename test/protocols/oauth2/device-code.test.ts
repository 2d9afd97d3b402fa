import { isCredentialError } from '../../../src/errors.ts';
import { silentLogger, systemRandom, type Clock, type Fetch } from '../../../src/ports.ts';
import { OAuth2Driver } from '../../../src/protocols/oauth2/driver.ts';
import { Secret } from '../../../src/secret.ts';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const DEVICE_ANSWER = {
  device_code: 'device-code-1',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://as.example/device',
  expires_in: 60,
  interval: 2,
};
const TOKENS = { access_token: 'a', token_type: 'Bearer', expires_in: 60, refresh_token: 'r' };

type Answer = readonly [status: number, body: object] | 'lost';
const undecided = (error: string): Answer => [400, { error }];

/** A driver whose clock goes on by each pause at once, and a server that answers these in turn. */
function scripted(device: object, answers: readonly Answer[]) {
  let nowMs = NOW.getTime();
  const pauses: number[] = [];
  const bodies: URLSearchParams[] = [];
  const left = [...answers];
  const clock: Clock = {
    now: () => new Date(nowMs),
    hostTime: () => ({ epoch: 'test', ms: nowMs }),
    schedule: (delayMs, callback) => {
      pauses.push(delayMs);
      nowMs += delayMs;
      queueMicrotask(callback);
      return () => undefined;
    },
  };
  const fetch: Fetch = async (url, init) => {
    if (url.endsWith('/device_authorization')) return Response.json(device);
    bodies.push(new URLSearchParams(init?.body as URLSearchParams));
    const answer = left.shift() ?? undecided('expired_token');
    if (answer === 'lost') throw Object.assign(new TypeError('fetch failed'), { code: 'ECONNRESET' });
    return Response.json(answer[1], { status: answer[0] });
  };
  const driver = new OAuth2Driver({ clock, fetch, random: systemRandom, logger: silentLogger });
  const config = driver.parseConfig({
    tokenEndpoint: 'https://as.example/token',
    deviceAuthorizationEndpoint: 'https://as.example/device_authorization',
    grantType: 'device_code',
    clientId: 'c',
    clientAuthentication: 'none',
  });
  const input = { config, registered: Secret.of({}), grant: null, signal: new AbortController().signal };
  const signIn = async (onPending: () => void = () => undefined) => {
    const { begun, prompt } = await driver.authorization.begin(input, null);
    const completion = { ...input, begun, parameters: null, onPending };
    return { prompt, issued: await driver.authorization.complete(completion, () => Promise.reject(new Error('sent'))) };
  };
  return { signIn, pauses, bodies };
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'none',
    (error: unknown) => (isCredentialError(error) ? error.code : error),
  );
}

it('asks at the pace of the server, slower when it says so, and tells of each wait', async () => {
  const pending = undecided('authorization_pending');
  const slow = undecided('slow_down');
  const { signIn, pauses, bodies } = scripted(DEVICE_ANSWER, [pending, slow, pending, slow, [200, TOKENS]]);
  let waits = 0;
  const { prompt, issued } = await signIn(() => (waits += 1));
  expect(prompt).toEqual({
    ...{ kind: 'device', userCode: 'ABCD-EFGH', verificationUri: 'https://as.example/device' },
    verificationUriComplete: null,
  });
  expect([pauses, waits]).toEqual([[2_000, 2_000, 7_000, 7_000, 12_000], 4]);
  expect(bodies.every((body) => body.get('device_code') === 'device-code-1')).toBe(true);
  // The life counts from the request that brought the token, not from the first of them.
  expect(issued.expiresAt).toEqual(new Date(NOW.getTime() + 30_000 + 60_000));
  expect(issued.refreshable).toBe(true);
});

it('waits five seconds where the server names no pace, and longer after each lost answer', async () => {
  const device = { ...DEVICE_ANSWER, interval: undefined };
  const { signIn, pauses } = scripted(device, ['lost', [503, {}], [200, TOKENS]]);
  await signIn();
  expect(pauses).toEqual([5_000, 10_000, 20_000]);
});

it.each<[string, readonly Answer[], string]>([
  ['the server says that the code is over', [undecided('expired_token')], 'ERR_AUTHORIZATION_EXPIRED'],
  ['the person says no', [undecided('authorization_pending'), undecided('access_denied')], 'ERR_AUTHORIZATION_DENIED'],
  ['the code was used', [undecided('invalid_grant')], 'ERR_OAUTH2_INVALID_GRANT'],
  ['the client is refused', [undecided('invalid_client')], 'ERR_OAUTH2_INVALID_CLIENT'],
  [
    'the server goes on for longer than the code lives',
    Array.from({ length: 100 }, () => undecided('authorization_pending')),
    'ERR_AUTHORIZATION_EXPIRED',
  ],
])('ends when %s', async (_sentence, answers, code) => {
  const { signIn, bodies } = scripted(DEVICE_ANSWER, answers);
  expect(await codeOf(signIn())).toBe(code);
  expect(bodies.length).toBeLessThanOrEqual(29);
});

it.each<[string, object]>([
  ['a link that runs a script', { verification_uri: 'javascript:alert(1)' }],
  ['a link without TLS', { verification_uri: 'http://as.example/device' }],
  ['a link to a file', { verification_uri_complete: 'file:///etc/passwd' }],
  ['a code that moves the cursor', { user_code: 'AB\u001b[2J' }],
  ['a code without end', { user_code: 'A'.repeat(65) }],
])('does not show %s', async (_sentence, changes) => {
  const { signIn, bodies } = scripted({ ...DEVICE_ANSWER, ...changes }, []);
  expect(await codeOf(signIn())).toBe('ERR_OAUTH2_RESPONSE_INVALID');
  expect(bodies).toEqual([]);
});
