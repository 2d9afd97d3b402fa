import { setTimeout as delay } from 'node:timers/promises';
import { Issuer, type IssuerFault } from './issuer.ts';

const CLIENTS = [
  { clientId: 'none', clientSecret: 'secret', reuseGraceMs: 0 },
  { clientId: 'same', clientSecret: 'secret', reuseGraceMs: 60_000, reuseAnswer: 'same' as const },
  { clientId: 'sibling', clientSecret: 'secret', reuseGraceMs: 60_000, reuseAnswer: 'sibling' as const },
  { clientId: 'short', clientSecret: 'secret', reuseGraceMs: 50 },
];

let issuer: Issuer;

beforeAll(async () => {
  issuer = await Issuer.start({ clients: CLIENTS });
});

afterAll(async () => {
  await issuer.stop();
});

afterEach(async () => {
  await issuer.setFaults({});
});

interface Body {
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly error?: string;
}

/** One token request, written out by hand so that the issuer is not judged by the client that it judges. */
async function post(clientId: string, body: string, secret = 'secret'): Promise<{ status: number; text: string }> {
  const authorization = `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`;
  const headers = { authorization, 'content-type': 'application/x-www-form-urlencoded' };
  const response = await fetch(issuer.tokenEndpoint, { method: 'POST', headers, body });
  return { status: response.status, text: await response.text() };
}

async function refresh(clientId: string, token = ''): Promise<Body & { status: number }> {
  const { status, text } = await post(clientId, `grant_type=refresh_token&refresh_token=${token}`);
  return { status, ...(JSON.parse(text) as Body) };
}

async function seenBy(work: () => Promise<unknown>) {
  const before = (await issuer.log()).length;
  await work();
  return issuer.log(before);
}

test('counts each use, and ends the family at the second one where there is no grace', async () => {
  const { refreshToken } = await issuer.mint('none');
  const log = await seenBy(async () => {
    const first = await refresh('none', refreshToken);
    const second = await refresh('none', refreshToken);
    const successor = await refresh('none', first.refresh_token);
    expect([first.status, second, successor.error]).toEqual([
      200,
      { status: 400, error: 'invalid_grant' },
      'invalid_grant',
    ]);
  });
  expect(log).toMatchObject([
    { verdict: 'rotated', use: 1, status: 200, delivered: true },
    { verdict: 'reuseDetected', use: 2, successorWasUsed: false },
    { verdict: 'familyEnded', use: 1 },
  ]);
});

test.each(['same', 'sibling'])('gives the %s answer inside the grace window, and says so', async (clientId) => {
  const { refreshToken } = await issuer.mint(clientId);
  const log = await seenBy(async () => {
    const first = await refresh(clientId, refreshToken);
    const again = await refresh(clientId, refreshToken);
    expect(again.status).toBe(200);
    expect(again.refresh_token === first.refresh_token).toBe(clientId === 'same');
    expect((await refresh(clientId, again.refresh_token)).status).toBe(200);
    await refresh(clientId, refreshToken);
  });
  expect(log).toMatchObject([
    { verdict: 'rotated', successorWasUsed: false },
    { verdict: 'reanswered', use: 2, successorWasUsed: false },
    { verdict: 'rotated', use: 1 },
    { verdict: 'reanswered', use: 3, successorWasUsed: true },
  ]);
});

test('detects reuse after the grace window', async () => {
  const { refreshToken, familyId } = await issuer.mint('short');
  await refresh('short', refreshToken);
  await delay(80);
  expect(await refresh('short', refreshToken)).toMatchObject({ error: 'invalid_grant' });
  expect((await issuer.families()).find((family) => family.familyId === familyId)?.endedAt).not.toBeNull();
});

const FAULTS: [IssuerFault, { status: number | null; rotates: boolean }][] = [
  [
    { kind: 'drop', afterRotating: false },
    { status: null, rotates: false },
  ],
  [
    { kind: 'drop', afterRotating: true },
    { status: null, rotates: true },
  ],
  [
    { kind: 'corrupt', how: 'truncated' },
    { status: 200, rotates: true },
  ],
  [
    { kind: 'corrupt', how: 'html' },
    { status: 200, rotates: true },
  ],
  [
    { kind: 'corrupt', how: 'empty' },
    { status: 200, rotates: true },
  ],
  [
    { kind: 'status', status: 429, retryAfterSeconds: 1, afterRotating: false },
    { status: 429, rotates: false },
  ],
  [
    { kind: 'status', status: 500, afterRotating: false },
    { status: 500, rotates: false },
  ],
  [
    { kind: 'status', status: 500, afterRotating: true },
    { status: 500, rotates: true },
  ],
];

test.each(FAULTS)('%j spends the token or does not, as it says', async (fault, { status, rotates }) => {
  const { refreshToken, familyId } = await issuer.mint('none');
  const log = await seenBy(async () => {
    await issuer.failNext(fault);
    const answer = await post('none', `grant_type=refresh_token&refresh_token=${refreshToken}`).catch(() => null);
    expect(answer?.status ?? null).toBe(status);
    expect((await refresh('none', refreshToken)).status).toBe(rotates ? 400 : 200);
  });
  expect(log[0]?.familyId).toBe(familyId);
  expect(log.map(({ verdict }) => verdict)).toEqual(rotates ? ['rotated', 'reuseDetected'] : ['turnedAway', 'rotated']);
});

test('delays an answer after the token was spent', async () => {
  const { refreshToken } = await issuer.mint('none');
  await issuer.failNext({ kind: 'delay', ms: 100 });
  expect((await refresh('none', refreshToken)).status).toBe(200);
  expect((await issuer.log()).at(-1)?.fault).toBe('delay 100 ms');
});

test.each([
  ['a wrong secret', 'grant_type=refresh_token&refresh_token=x', 'wrong', 401, 'clientRefused'],
  ['another grant type', 'grant_type=password', 'secret', 400, 'requestRefused'],
  ['no token', 'grant_type=refresh_token', 'secret', 400, 'requestRefused'],
  ['a parameter twice', 'grant_type=refresh_token&refresh_token=x&refresh_token=y', 'secret', 400, 'requestRefused'],
  ['an unknown token', 'grant_type=refresh_token&refresh_token=x', 'secret', 400, 'unknownToken'],
])('refuses %s', async (_, body, secret, status, verdict) => {
  const log = await seenBy(async () => {
    expect((await post('none', body, secret)).status).toBe(status);
  });
  expect(log).toMatchObject([{ verdict, status }]);
});

test('refuses the refresh token of another client without spending it', async () => {
  const { refreshToken } = await issuer.mint('none');
  expect((await refresh('same', refreshToken)).error).toBe('invalid_grant');
  expect((await refresh('none', refreshToken)).status).toBe(200);
});
