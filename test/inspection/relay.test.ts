import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { text } from 'node:stream/consumers';
import { WebSocket } from 'ws';
import { InspectionRelay } from '../../src/inspection/relay.ts';
import type { InspectionMessage } from '../../src/inspection/messages.ts';
import { Secret } from '../../src/secret.ts';
import { rejectionOf } from '../support/codes.ts';
import { eventually } from '../support/eventually.ts';
import { attempt, Viewer } from './viewer.ts';

// A machine that is busy with other suites is slow, not wrong.
jest.setTimeout(30_000);

let relay: InspectionRelay;
let port: number;
let token: string;

beforeEach(async () => {
  relay = await InspectionRelay.start();
  port = relay.address.port;
  token = relay.address.token.unwrap();
});

afterEach(async () => {
  await relay.close();
});

function message(sessionId: string, filler = ''): InspectionMessage {
  const about = { sessionId, rootId: sessionId, createdAt: '0', _version: '0' };
  return { type: '@xstate.actor', ...about, name: sessionId, snapshot: { status: 'active', context: { filler } } };
}

async function publisher(): Promise<WebSocket> {
  const socket = new WebSocket(relay.publisherUrl);
  await once(socket, 'open');
  return socket;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

async function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  asked.end();
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  asked.on('error', reject);
  asked.on('response', (response) => {
    text(response).then((body) => {
      resolve({ status: response.statusCode, headers: response.headers, body });
    }, reject);
  });
  return promise;
}

describe('lets in', () => {
  it.each<[string, () => Promise<string>]>([
    ['a viewer with the token in its address', () => attempt(`ws://127.0.0.1:${port}/?token=${token}`)],
    [
      'a viewer with the token in a header',
      () => attempt(`ws://127.0.0.1:${port}/`, { headers: { authorization: `Bearer ${token}` } }),
    ],
    ['a viewer by the name localhost', () => attempt(`ws://localhost:${port}/?token=${token}`)],
    ['a viewer by IPv6', () => attempt(`ws://[::1]:${port}/?token=${token}`)],
    ['its own page', () => attempt(`ws://127.0.0.1:${port}/?token=${token}`, { origin: `http://127.0.0.1:${port}` })],
    [
      'a viewer that somebody builds on this machine',
      () => attempt(`ws://127.0.0.1:${port}/?token=${token}`, { origin: 'http://localhost:5173' }),
    ],
    ['a publisher', () => attempt(relay.publisherUrl)],
  ])('%s', async (_sentence, trying) => {
    expect(await trying()).toBe('open');
  });
});

describe('turns away', () => {
  const viewing = (options: { token?: string; headers?: Record<string, string>; origin?: string; path?: string }) => {
    const { path = '/', headers = {}, origin } = options;
    return attempt(`ws://127.0.0.1:${port}${path}?token=${options.token ?? token}`, {
      headers,
      ...(origin !== undefined && { origin }),
    });
  };

  it.each<[string, string, () => Promise<string>]>([
    ['a viewer without a token', '401', () => attempt(`ws://127.0.0.1:${port}/`)],
    ['an empty token', '401', () => viewing({ token: '' })],
    ['another token', '401', () => viewing({ token: Buffer.alloc(32).toString('base64url') })],
    ['the token without its last character', '401', () => viewing({ token: token.slice(0, -1) })],
    ['the token with a character more', '401', () => viewing({ token: `${token}A` })],
    [
      'a wrong token in the header beside the right one in the address',
      '401',
      () => viewing({ headers: { authorization: 'Bearer wrong' } }),
    ],
    ['a publisher without a token', '401', () => attempt(`ws://127.0.0.1:${port}/publish`)],
    ['a foreign Host', '403', () => viewing({ headers: { host: `rebound.example:${port}` } })],
    ['a Host of another port', '403', () => viewing({ headers: { host: `127.0.0.1:${port + 1}` } })],
    ['a Host without a port', '403', () => viewing({ headers: { host: 'localhost' } })],
    ['a Host that begins like ours', '403', () => viewing({ headers: { host: `localhost:${port}.example` } })],
    ['a page of a foreign site', '403', () => viewing({ origin: 'https://evil.example' })],
    ['the page of stately.ai itself', '403', () => viewing({ origin: 'https://stately.ai' })],
    ['a page whose name begins like ours', '403', () => viewing({ origin: 'http://localhost.evil.example' })],
    ['a page in a sandbox or of a file', '403', () => viewing({ origin: 'null' })],
    ['a foreign page that publishes', '403', () => viewing({ path: '/publish', origin: 'https://evil.example' })],
    ['another path', '404', () => viewing({ path: '/other' })],
  ])('%s', async (_sentence, status, trying) => {
    expect(await trying()).toBe(status);
  });

  it.each<[string, number, () => Promise<Answer>]>([
    ['a page request without a token', 401, () => get('/')],
    ['a page request with another token', 401, () => get('/?token=wrong')],
    ['a page request for a foreign Host', 403, () => get(`/?token=${token}`, { host: 'rebound.example' })],
    ['a page request of a foreign page', 403, () => get(`/?token=${token}`, { origin: 'https://evil.example' })],
    ['a request that is no GET', 405, () => get(`/?token=${token}`, {}, 'POST')],
    ['a path that is none', 404, () => get(`/favicon.ico?token=${token}`)],
  ])('%s', async (_sentence, status, asking) => {
    const answer = await asking();
    expect([answer.status, answer.body]).toEqual([status, '']);
  });
});

test('listens on loopback addresses only', async () => {
  const others = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outside = others.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address);
  // A server that listens on all interfaces is there at every address of the loopback network too.
  for (const host of [...outside, '127.0.0.2']) {
    const socket = connect({ host, port });
    const outcome = await rejectionOf(once(socket, 'connect'));
    socket.destroy();
    expect([host, outcome]).toEqual([host, expect.objectContaining({ code: 'ECONNREFUSED' })]);
  }
});

test('has another token at each start, and says neither in what it refuses', async () => {
  const other = await InspectionRelay.start();
  expect(other.address.token.unwrap()).not.toBe(token);
  expect(token).toMatch(/^[\w-]{43}$/);
  const refused = await get('/?token=wrong');
  expect(JSON.stringify(refused)).not.toContain(token);
  await other.close();
});

test('a port that is taken is refused in one line', async () => {
  const again = InspectionRelay.start({ port, token: Secret.of(token) });
  expect(await rejectionOf(again)).toMatchObject({ code: 'ERR_INSPECT_PORT_TAKEN' });
});

test('serves a page that may show the inspector, talk to its relay, and do nothing else', async () => {
  const { status, headers, body } = await get(`/?token=${token}`);
  expect([status, body]).toEqual([200, expect.stringContaining('https://stately.ai/inspect')]);
  expect(body).not.toContain(token);
  expect(headers).toMatchObject({ 'referrer-policy': 'no-referrer', 'cache-control': 'no-store' });
  const policy = String(headers['content-security-policy']);
  for (const part of ["default-src 'none'", `connect-src ws://127.0.0.1:${port}`, "frame-ancestors 'none'"])
    expect(policy.split('; ')).toContain(part);
  const [, nonce] = /'nonce-([\w-]{22})'/.exec(policy) ?? [];
  expect(body).toContain(`<script nonce="${nonce ?? ''}">`);
  expect((await get(`/?token=${token}`)).body).not.toContain(nonce);
});

describe('a publisher', () => {
  it.each<[string, string | Buffer]>([
    ['text that is no JSON', 'hello'],
    ['a JSON value that is no message', '{"type":"@xstate.actor"}'],
    ['a type that the protocol does not have', JSON.stringify({ ...message('a'), type: '@xstate.microstep' })],
    ['an id without end', JSON.stringify(message('a'.repeat(201)))],
    ['bytes', Buffer.from(JSON.stringify(message('a')))],
  ])('that says %s is dropped, and nobody hears it', async (_sentence, said) => {
    const viewer = await Viewer.connect(relay.viewerUrl);
    const socket = await publisher();
    socket.send(said);
    const [code] = (await once(socket, 'close')) as [number];
    const good = await publisher();
    good.send(JSON.stringify(message('good')));
    await eventually(() => viewer.texts.length > 0);
    expect([code, viewer.messages.map(({ sessionId }) => sessionId)]).toEqual([1008, ['good']]);
    good.terminate();
    await viewer.close();
  });

  it('that says too much at once is dropped', async () => {
    const socket = await publisher();
    socket.on('error', () => undefined);
    socket.send(JSON.stringify(message('a', 'x'.repeat(1_100_000))));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1009);
  });

  it('that goes leaves no actor alive in the picture', async () => {
    const viewer = await Viewer.connect(relay.viewerUrl);
    const socket = await publisher();
    socket.send(JSON.stringify(message('root')));
    await eventually(() => viewer.texts.length === 1);
    socket.terminate();
    const messages = await viewer.untilEnded(1);
    expect(messages.at(-1)).toMatchObject({ sessionId: 'root', event: { type: 'publisher.gone' } });
    await viewer.close();
  });
});

test('a viewer that speaks is sent away', async () => {
  const socket = new WebSocket(relay.viewerUrl.replace('http:', 'ws:'));
  await once(socket, 'open');
  socket.send(JSON.stringify(message('forged')));
  const [code] = (await once(socket, 'close')) as [number];
  const viewer = await Viewer.connect(relay.viewerUrl);
  expect([code, viewer.texts]).toEqual([1008, []]);
  await viewer.close();
});

test('a viewer that does not read is dropped, and the others see everything', async () => {
  const slow = new WebSocket(relay.viewerUrl.replace('http:', 'ws:'));
  await once(slow, 'open');
  slow.pause();
  const quick = await Viewer.connect(relay.viewerUrl);
  const socket = await publisher();
  let viewersLeft = 2;
  relay.onTraffic(({ viewers }) => {
    viewersLeft = viewers;
  });
  const count = 60;
  try {
    for (let index = 0; index < count; index += 1) {
      socket.send(JSON.stringify(message(`m${index}`, 'x'.repeat(900_000))));
      await eventually(() => quick.texts.length > index, { everyMs: 1 });
    }
    expect([viewersLeft, quick.texts.length, socket.readyState]).toEqual([1, count, WebSocket.OPEN]);
  } finally {
    slow.terminate();
    socket.terminate();
    await quick.close();
  }
}, 30_000);

test('ends although a viewer does not answer', async () => {
  const deaf = new WebSocket(relay.viewerUrl.replace('http:', 'ws:'));
  await once(deaf, 'open');
  deaf.pause();
  await relay.close();
  expect(await attempt(`ws://127.0.0.1:${port}/?token=${token}`)).toBe('ECONNREFUSED');
  deaf.terminate();
});

test('remembers a bounded picture for who comes late: the newest of the living, fifty of the ended', async () => {
  const socket = await publisher();
  const viewer = await Viewer.connect(relay.viewerUrl);
  const all = 300;
  for (let index = 0; index < all; index += 1) socket.send(JSON.stringify(message(`m${index}`)));
  await eventually(() => viewer.texts.length === all);
  const late = await Viewer.connect(relay.viewerUrl);
  await eventually(() => late.texts.length === 200);
  expect(late.messages[0]).toMatchObject({ sessionId: 'm100' });
  socket.terminate();
  await viewer.untilEnded(all);
  const later = await Viewer.connect(relay.viewerUrl);
  await eventually(() => later.texts.length === 100);
  expect(later.messages.at(-1)).toMatchObject({ sessionId: 'm299', snapshot: { status: 'stopped' } });
  await Promise.all([viewer.close(), late.close(), later.close()]);
});
