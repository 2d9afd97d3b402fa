import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { systemFetch } from '../../src/ports.ts';
import { boundedFetch, parseRetryAfter } from '../../src/protocols/bounded-fetch.ts';
import { NOW } from '../support/record.ts';

let server: Server;
let url: string;
let listener: RequestListener;
let requests: number;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
});
beforeEach(() => {
  requests = 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const bounded = boundedFetch(systemFetch, () => NOW, { deadlineMs: 300, maxBodyBytes: 1000 });

it('gives back status, headers and body', async () => {
  listener = (_request, response) => response.writeHead(201, { 'x-kind': 'a' }).end('hello');
  const response = await bounded(url);
  expect([response.status, response.headers.get('x-kind'), await response.text()]).toEqual([201, 'a', 'hello']);
});

it('decodes a compressed body and describes it rightly', async () => {
  listener = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('hello'));
  const response = await bounded(url);
  expect([response.headers.get('content-encoding'), await response.text()]).toEqual([null, 'hello']);
});

it.each<[string, string, RequestListener]>([
  [
    'a redirect, which it does not follow',
    'ERR_ENDPOINT_REDIRECTED',
    (_q, r) => r.writeHead(307, { location: url }).end(),
  ],
  ['too many requests', 'ERR_ENDPOINT_RATE_LIMITED', (_q, r) => r.writeHead(429).end()],
  ['a server error', 'ERR_ENDPOINT_UNAVAILABLE', (_q, r) => r.writeHead(503).end()],
  ['a body over the limit', 'ERR_ENDPOINT_RESPONSE_TOO_LARGE', (_q, r) => r.end(Buffer.alloc(1001))],
  [
    'a small body that unpacks to a large one',
    'ERR_ENDPOINT_RESPONSE_TOO_LARGE',
    (_q, r) => r.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(100_000))),
  ],
  ['no answer at all', 'ERR_ENDPOINT_TIMEOUT', () => undefined],
  ['an answer that drips', 'ERR_ENDPOINT_TIMEOUT', (_q, r) => void r.writeHead(200).write('x')],
  ['a broken connection', 'ERR_ENDPOINT_CONNECTION_LOST', (q) => q.socket.destroy()],
  [
    'a connection that breaks within the body',
    'ERR_ENDPOINT_CONNECTION_LOST',
    (q, r) => void r.writeHead(200, { 'content-length': 50 }).write('x', () => q.socket.destroy()),
  ],
])('answers %s with %s', async (_sentence, code, listen) => {
  listener = listen;
  await expect(bounded(url)).rejects.toMatchObject({ code });
  expect(requests).toBe(1);
});

it.each([
  ['nobody listens', 'http://127.0.0.1:9/'],
  ['the name does not exist', 'http://does-not-exist.invalid/'],
  ['the other side does not speak TLS', 'https://127.0.0.1:PORT/'],
])('says that nothing was sent when %s', async (_sentence, address) => {
  const error = await bounded(address.replace('PORT', new URL(url).port)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: 'TransientError' });
  expect(requests).toBe(0);
});

it("ends with the caller's own reason when he aborts", async () => {
  listener = () => undefined;
  const controller = new AbortController();
  const reason = new Error('enough');
  const pending = bounded(url, { signal: controller.signal });
  controller.abort(reason);
  await expect(pending).rejects.toBe(reason);
});

it.each([
  [null, null],
  ['5', 5_000],
  ['0', 0],
  ['999999', 3_600_000],
  ['99999999999999999999', null],
  ['-5', null],
  ['Sun, 01 Mar 2026 12:01:00 GMT', 60_000],
  ['Sun, 01 Mar 2026 11:00:00 GMT', 0],
  ['soon', null],
])('reads Retry-After %p as %p ms', (value, expected) => {
  expect(parseRetryAfter(value, NOW)).toBe(expected);
});
