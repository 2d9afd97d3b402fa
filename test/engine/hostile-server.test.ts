import { inspect } from 'node:util';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { ServerResponse } from 'node:http';
import type { CredentialEngine, RegisterInput } from '../../src/engine.ts';
import { caseOf, HostileServer, sendJson, type HostileCase } from '../servers/hostile/server.ts';
import { filesBelow, findCanaries, newCanary } from '../support/canaries.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { quietFor } from '../support/eventually.ts';

/** Twenty secrets: what the owner entered, what the server issues, and what it says back in places of its choice. */
const CANARIES = Array.from({ length: 20 }, newCanary);
const [CLIENT_SECRET = '', REFRESH_TOKEN = '', ACCESS_TOKEN = '', NEXT_REFRESH_TOKEN = '', ...PLANTED] = CANARIES;
/** Every secret in one text, for places that a server fills. */
const ECHO = CANARIES.join(' ');
const tokens = {
  access_token: ACCESS_TOKEN,
  token_type: 'bearer',
  refresh_token: NEXT_REFRESH_TOKEN,
  expires_in: 3600,
};

let server: HostileServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let seen: string[];

beforeEach(async () => {
  server = await HostileServer.start();
  folder = temporaryFolder();
  seen = [];
  const log = (fields: object, message: string): void => {
    see([fields, message]);
  };
  engine = await openEngine(folder.path, { ports: { logger: { debug: log, info: log, warn: log, error: log } } });
  engine.on('*', see);
});

afterEach(async () => {
  await engine.close();
  await server.stop();
  const stored = filesBelow(folder.path);
  folder.dispose();
  // Whatever a case was about: none of the twenty is in what was shown, nor in any byte that was stored.
  const shown = new Map([['shown', Buffer.from(seen.join('\n'))]]);
  expect(findCanaries(CANARIES, new Map([...shown, ...stored]))).toEqual([]);
});

function see(value: unknown): void {
  seen.push(inspect(value, { depth: Infinity, showHidden: true, getters: true }), JSON.stringify({ value }));
  if (value instanceof Error)
    seen.push(String(value.stack), inspect(value.cause, { depth: Infinity, showHidden: true }));
}

function entry(config: object): RegisterInput {
  return {
    protocol: 'oauth2',
    name: 'At a hostile server',
    config: { grantType: 'refresh_token', clientId: 'client', allowInsecureTransport: true, ...config },
    secret: { clientSecret: CLIENT_SECRET, refreshToken: REFRESH_TOKEN },
  };
}

/** Registers, uses, tests and refreshes against a case, looking at everything that comes out. Returns how it ended. */
async function live(config: object): Promise<{ id: string; state: string; code: string | undefined }> {
  const registered = await engine.register(entry(config));
  see(registered);
  const { id } = registered;
  see(
    await engine.use(id).then(
      ({ generation }) => generation,
      (error: unknown) => error,
    ),
  );
  see(await engine.test(id).catch((error: unknown) => error));
  const { state, failure } = registered.credential;
  see([await engine.get(id), await engine.list(), await engine.readEvents(0, 1_000)]);
  return { id, state, code: failure?.code };
}

const honest: HostileCase = (_request, response) => {
  sendJson(response, 200, tokens);
};
const raw =
  (status: number, body: string, headers: Record<string, string> = {}): HostileCase =>
  (_request, response) => {
    response.writeHead(status, headers).end(body);
  };
const said =
  (status: number, body: unknown, headers: Record<string, string> = {}): HostileCase =>
  (_request, response) => {
    sendJson(response, status, body, headers);
  };

const DISCOVERY = 'ERR_OAUTH2_DISCOVERY_FAILED';
const REFUSED = 'ERR_ENDPOINT_ADDRESS_REFUSED';

test.each<[string, (issuer: string) => object]>([
  ['another issuer', () => ({ issuer: 'https://accounts.example' })],
  ['its issuer with a slash', (issuer) => ({ issuer: `${issuer}/` })],
  ['its issuer in capitals', (issuer) => ({ issuer: issuer.replace('http:', 'HTTP:') })],
  ['an issuer below its own', (issuer) => ({ issuer: `${issuer}/tenant` })],
  ['no issuer', () => ({ issuer: undefined })],
  ['a number for an issuer', () => ({ issuer: 7 })],
])('O5 metadata with %s is refused before any secret is sent', async (_sentence, metadata) => {
  const issuer = server.add('o5', caseOf(honest, metadata));
  expect(await live({ issuer })).toMatchObject({ state: 'pending.misconfigured', code: DISCOVERY });
  expect(server.requestsOf('o5', '/token')).toEqual([]);
});

test('O5 an issuer without a path is held to its last slash as well', async () => {
  server.add('.well-known', (_request, response) => {
    sendJson(response, 200, { issuer: `${server.origin}/`, token_endpoint: `${server.origin}/token/` });
  });
  server.add('token', honest);
  expect(await live({ issuer: server.origin })).toMatchObject({ state: 'pending.misconfigured', code: DISCOVERY });
  expect(server.requestsOf('token')).toEqual([]);
  expect((await live({ issuer: `${server.origin}/` })).state).toBe('valid.fresh');
});

function idToken(header: object, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.`;
}

test.each<[string, unknown]>([
  [
    'an ID token without a signature',
    idToken({ alg: 'none' }, { iss: 'https://accounts.example', sub: 'admin', aud: 'client' }),
  ],
  [
    'an ID token of another issuer, a week old',
    idToken({ alg: 'RS256' }, { iss: 'x', aud: ['a', 'b'], exp: 1, iat: 1 }),
  ],
  ['an ID token that is none', PLANTED[0]],
  ['an ID token that is no text', { sub: 'admin' }],
])('O6 %s beside refreshed tokens is neither believed nor harmful', async (_sentence, id_token) => {
  const issuer = server.add('o6', caseOf(said(200, { ...tokens, id_token })));
  const { id, state } = await live({ issuer });
  expect(state).toBe('valid.fresh');
  see(await engine.refresh(id));
  expect(server.requestsOf('o6', '/token').at(-1)?.body).toContain(NEXT_REFRESH_TOKEN);
});

test('O7 a hundred refreshes at once are one request, and a reused token is a matter for its owner', async () => {
  const issuer = server.add('o7', (request, response) => {
    const isFirst = server.requestsOf('o7', '/token').length === 1;
    caseOf(isFirst ? honest : said(400, { error: 'invalid_grant', error_description: ECHO }))(request, response);
  });
  const { id } = await engine.register({ ...entry({ issuer }), test: false });
  await Promise.all(Array.from({ length: 100 }, () => engine.refresh(id)));
  expect(server.requestsOf('o7', '/token')).toHaveLength(1);
  const after = await engine.refresh(id);
  expect([after.state, after.failure?.code]).toEqual(['valid.degraded', 'ERR_OAUTH2_INVALID_GRANT']);
  see(after);
});

const AMBIGUOUS = 'refreshing.ambiguous';
const LEAKS: [string, string, HostileCase][] = [
  [
    'JSON that is cut off',
    AMBIGUOUS,
    raw(200, `{"access_token":"${ACCESS_TOKEN}","refresh_token":"${PLANTED[1] ?? ''}`, {
      'content-type': 'application/json',
    }),
  ],
  ['HTML', AMBIGUOUS, raw(200, `<html><title>${ECHO}</title></html>`, { 'content-type': 'text/html' })],
  ['a token that is no text', AMBIGUOUS, said(200, { access_token: [ECHO], refresh_token: { echo: ECHO } })],
  ['nothing but other members', AMBIGUOUS, said(200, { id_token: ECHO, token: ECHO })],
  ['a content type that echoes', AMBIGUOUS, raw(200, ECHO, { 'content-type': `text/${PLANTED[2] ?? ''}` })],
  [
    'an error that echoes',
    'expired.needsUser',
    said(400, { error: 'invalid_grant', error_description: ECHO, error_uri: `https://x.example/${ECHO}` }),
  ],
  ['an error that is the secret', 'pending.misconfigured', said(400, { error: CLIENT_SECRET })],
  ['an error that is an object', 'pending.misconfigured', said(400, { error: { message: ECHO } })],
  ['an error with HTTP 200', 'expired.needsUser', said(200, { error: 'invalid_grant', error_description: ECHO })],
  [
    'a challenge that echoes',
    'pending.misconfigured',
    said(401, { error: 'invalid_client' }, { 'www-authenticate': `Basic realm="${ECHO}", error="${ECHO}"` }),
  ],
  ['a bare refusal that echoes', 'pending.misconfigured', raw(403, ECHO, { 'x-echo': ECHO })],
  ['a server error that echoes', 'pending.unverified', raw(500, ECHO)],
  ['a pause that echoes', 'pending.unverified', raw(429, ECHO, { 'retry-after': PLANTED[3] ?? '' })],
  [
    'a redirect that echoes',
    'pending.misconfigured',
    raw(302, '', { location: `https://evil.example/${encodeURIComponent(ECHO)}` }),
  ],
  [
    'a connection that breaks within the answer',
    AMBIGUOUS,
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' });
      response.write(JSON.stringify(tokens), () => response.socket?.destroy());
    },
  ],
];

test.each(LEAKS)(
  'O9 %s leaves no secret in any error, log, event, summary or byte of the store',
  async (_sentence, state, token) => {
    const issuer = server.add('o9', caseOf(token));
    expect((await live({ issuer })).state).toBe(state);
    expect(seen.join('').length).toBeGreaterThan(1_000);
  },
);

test('O9 good tokens are in no log, event, summary or byte of the store either', async () => {
  const issuer = server.add('o9', caseOf(said(200, { ...tokens, scope: 'read', note: ECHO }, { 'x-echo': ECHO })));
  expect((await live({ issuer })).state).toBe('valid.fresh');
});

/** Pours `megabytes` and counts what was taken of them. */
function pouring(megabytes: number, taken: { bytes: number }): HostileCase {
  const chunk = Buffer.alloc(500_000, ' ');
  const pour = (response: ServerResponse, left: number): void => {
    if (left === 0 || response.destroyed) return;
    taken.bytes += chunk.length;
    if (response.write(chunk)) setImmediate(pour, response, left - 1);
    else
      response.once('drain', () => {
        pour(response, left - 1);
      });
  };
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    pour(response, megabytes * 2);
  };
}

test('O10 sixty megabytes are cut at one', async () => {
  const taken = { bytes: 0 };
  const issuer = server.add('o10', caseOf(pouring(60, taken)));
  expect((await live({ issuer })).code).toBe('ERR_ENDPOINT_RESPONSE_TOO_LARGE');
  expect(taken.bytes).toBeLessThan(25_000_000);
});

test.each([
  ['gzip', 'gzip', gzipSync(Buffer.alloc(60_000_000, ' '))],
  [
    'brotli',
    'br',
    brotliCompressSync(Buffer.alloc(60_000_000, ' '), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  ],
])('O10 a bomb of %s is cut at one megabyte', async (_sentence, encoding, bomb) => {
  const token: HostileCase = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding }).end(bomb);
  };
  const issuer = server.add('o10', caseOf(token));
  expect((await live({ issuer })).code).toBe('ERR_ENDPOINT_RESPONSE_TOO_LARGE');
});

test('O10 an answer that drips is given up at the deadline', async () => {
  const original = AbortSignal.timeout.bind(AbortSignal);
  const spy = jest.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => original(ms / 50));
  const issuer = server.add(
    'o10',
    caseOf((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => {
        clearInterval(timer);
      });
    }),
  );
  const { credential } = await engine.register({ ...entry({ issuer }) });
  expect(credential.failure?.code).toBe('ERR_ENDPOINT_TIMEOUT');
  spy.mockRestore();
});

test.each([301, 302, 303, 307, 308])('O10 metadata that redirects (HTTP %d) is not followed', async (status) => {
  const issuer = server.add('o10', (_request, response) => {
    response.writeHead(status, { location: `${server.origin}/elsewhere/.well-known/openid-configuration` }).end();
  });
  expect(await live({ issuer })).toMatchObject({ state: 'pending.misconfigured', code: 'ERR_ENDPOINT_REDIRECTED' });
  expect(server.requestsOf('elsewhere')).toEqual([]);
});

const METADATA_TARGETS: [string, (port: number) => string][] = [
  ['the cloud', () => 'http://169.254.169.254/latest/meta-data/iam/security-credentials/'],
  ['the cloud, in decimal', () => 'http://2852039166/token'],
  ['the cloud, in octal', () => 'http://0251.0376.0251.0376/token'],
  ['the cloud, in IPv6', () => 'http://[::ffff:169.254.169.254]/token'],
  ['the cloud, through NAT64', () => 'http://[64:ff9b::a9fe:a9fe]/token'],
  ['the cloud, by its name', () => 'http://metadata.google.internal/token'],
  ['a link-local neighbour', () => 'http://[fe80::1]/token'],
  ['another name of this machine', (port) => `http://localhost:${String(port)}/inside/token`],
  ['another address of this machine', (port) => `http://127.0.0.2:${String(port)}/inside/token`],
  ['any address of this machine', (port) => `http://0.0.0.0:${String(port)}/inside/token`],
  ['this machine in IPv6', (port) => `http://[::1]:${String(port)}/inside/token`],
  ['a private network', () => 'http://10.0.0.1/token'],
  ['a URL with a password', (port) => `http://user:password@127.0.0.1:${String(port)}/inside/token`],
  ['a file', () => 'file:///etc/passwd'],
];

test.each(METADATA_TARGETS)(
  'O11 metadata that points the token endpoint at %s is refused',
  async (_sentence, target) => {
    server.add('inside', honest);
    const issuer = server.add(
      'o11',
      caseOf(honest, () => ({ token_endpoint: target(server.port) })),
    );
    const { state, code } = await live({ issuer });
    expect([state, code]).toEqual(['pending.misconfigured', target(0).startsWith('file:') ? DISCOVERY : REFUSED]);
    expect(server.requestsOf('inside')).toEqual([]);
  },
);

test.each(['introspection_endpoint', 'revocation_endpoint'])(
  'F38 O11 no token follows metadata that points the %s inside',
  async (name) => {
    server.add('inside', said(200, { active: true }));
    const issuer = server.add(
      'o11',
      caseOf(honest, () => ({ [name]: `http://localhost:${String(server.port)}/inside/x` })),
    );
    const { id } = await live({ issuer });
    see(await engine.reportRejected(id, 1).catch((error: unknown) => error));
    see(await engine.revoke(id).catch((error: unknown) => error));
    expect(server.requestsOf('inside')).toEqual([]);
  },
);

test('F38 what an owner typed is asked wherever it is, and refused where private networks are denied', async () => {
  const issuer = server.add('typed', caseOf(honest));
  const typed = `http://localhost:${String(server.port)}/typed/token`;
  expect((await live({ issuer, tokenEndpoint: typed })).state).toBe('valid.fresh');
  const before = server.requests.length;
  const strictFolder = temporaryFolder();
  const strict = await openEngine(strictFolder.path, { outbound: { allowPrivateNetworks: false } });
  for (const tokenEndpoint of [typed, typed.replace('http:', 'https:'), 'https://10.0.0.1/token']) {
    const { credential } = await strict.register(entry({ tokenEndpoint }));
    expect([credential.state, credential.failure?.code]).toEqual(['pending.misconfigured', REFUSED]);
    see(credential);
  }
  await strict.close();
  strictFolder.dispose();
  expect(server.requests).toHaveLength(before);
});

test.each([
  'http://169.254.169.254/token',
  'http://[fd00:ec2::254]/token',
  'http://168.63.129.16/token',
  'http://metadata.google.internal/token',
])('F38 a token endpoint at %s is refused although its owner typed it', async (tokenEndpoint) => {
  expect(await live({ tokenEndpoint })).toMatchObject({ state: 'pending.misconfigured', code: REFUSED });
});

test.each(['testUrl', 'userinfoEndpoint'])('F38 a %s at a metadata address is given no token', async (field) => {
  const issuer = server.add('f38', caseOf(honest));
  const { id } = await engine.register({ ...entry({ issuer, [field]: 'http://169.254.169.254/latest' }), test: false });
  const result = await engine.test(id);
  see(result);
  expect([result.success, result.message.includes(`169.254.169.254 is a link-local`)]).toEqual([false, true]);
});

test.each<[string, object]>([
  ['no expires_in', { expires_in: undefined }],
  ['an expires_in of zero', { expires_in: 0 }],
  ['a negative expires_in', { expires_in: -1 }],
  ['a text for expires_in', { expires_in: 'soon' }],
  ['an expires_in of 1e12', { expires_in: 1e12 }],
  ['a token type in odd case', { token_type: 'bEaReR' }],
  ['a token type of null', { token_type: null }],
  ['a narrowed scope', { scope: 'less' }],
])('O12 %s is a living grant, without a request per use', async (_sentence, odd) => {
  const issuer = server.add('o12', caseOf(said(200, { ...tokens, ...odd })));
  const { id, state } = await live({ issuer });
  expect(state).toBe('valid.fresh');
  for (let uses = 0; uses < 30; uses += 1) await engine.use(id);
  await quietFor(50);
  expect(server.requestsOf('o12', '/token')).toHaveLength(1);
});
