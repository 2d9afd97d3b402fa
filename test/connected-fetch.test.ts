import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, Socket, type AddressInfo, type LookupFunction } from 'node:net';
import { text } from 'node:stream/consumers';
import { getCACertificates, setDefaultCACertificates, TLSSocket } from 'node:tls';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { connectedFetch, NotSentError } from '../src/connected-fetch.ts';
import { systemFetch } from '../src/ports.ts';
import { CertificateAuthority } from './servers/certificate-authority.ts';
import { eventually, quietFor } from './support/eventually.ts';
import { temporaryFolder } from './support/folder.ts';

let server: Server;
let url: string;
let listener: RequestListener;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  server = createServer((request, response) => {
    listener(request, response);
  });
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/token`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const allowed = () => Promise.resolve(() => undefined);
const POST = { method: 'POST', headers: { 'x-kind': 'a' }, body: new URLSearchParams({ grant: 'g&h' }) };

it('sends what fetch would send, and gives the answer back', async () => {
  listener = (request, response) => {
    void text(request).then((body) => {
      response.writeHead(201, { 'x-method': request.method, 'set-cookie': ['a=1', 'b=2'] });
      response.end(JSON.stringify([request.url, request.headers, body]));
    });
  };
  const response = await connectedFetch(url, POST, allowed);
  expect([response.status, response.headers.get('x-method'), response.headers.getSetCookie()]).toEqual([
    201,
    'POST',
    ['a=1', 'b=2'],
  ]);
  expect(await response.json()).toEqual([
    '/token',
    expect.objectContaining({
      'x-kind': 'a',
      'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
      'content-length': '11',
    }),
    'grant=g%26h',
  ]);
});

it('asks when the connection stands, before a byte has left', async () => {
  listener = (_request, response) => response.end('ok');
  const asked = Promise.withResolvers<() => void>();
  const response = connectedFetch(url, POST, () => asked.promise);
  await eventually(() => sockets.length === 1);
  await quietFor(50);
  expect(sockets[0]?.bytesRead).toBe(0);
  asked.resolve(() => undefined);
  expect(await (await response).text()).toBe('ok');
});

it('writes in the very turn of the last question', async () => {
  listener = (_request, response) => response.end('ok');
  const written = jest.spyOn(Socket.prototype, 'write');
  let writesBetween = -1;
  const response = await connectedFetch(url, POST, () =>
    Promise.resolve(() => {
      const before = written.mock.calls.length;
      // The first thing that any other work of this process could be.
      process.nextTick(() => (writesBetween = written.mock.calls.length - before));
    }),
  );
  expect(response.status).toBe(200);
  expect(writesBetween).toBeGreaterThan(0);
});

it.each<[string, () => Promise<() => void>]>([
  ['when the first question is refused', () => Promise.reject(new Error('no'))],
  [
    'when the last one is',
    () =>
      Promise.resolve(() => {
        throw new Error('no');
      }),
  ],
])('sends nothing %s', async (_sentence, beforeWrite) => {
  let requests = 0;
  listener = () => (requests += 1);
  const error = await connectedFetch(url, POST, beforeWrite).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(NotSentError);
  expect(error).toMatchObject({ refused: true, cause: { message: 'no' } });
  await eventually(() => sockets[0]?.destroyed === true);
  expect([requests, sockets[0]?.bytesRead]).toEqual([0, 0]);
});

it('knows that nothing was sent where nobody listens', async () => {
  const asked = jest.fn(allowed);
  server.close();
  const error = await connectedFetch(url, POST, asked).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ refused: false, cause: { code: 'ECONNREFUSED' } });
  expect(asked).not.toHaveBeenCalled();
});

it('knows that nothing was sent when TLS fails', async () => {
  const plain = createTcpServer((socket) => socket.resume().end('this is not TLS'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  const asked = jest.fn(allowed);
  const { port } = plain.address() as AddressInfo;
  const error = await connectedFetch(`https://127.0.0.1:${String(port)}/`, POST, asked).catch((e: unknown) => e);
  expect(error).toMatchObject({ refused: false });
  expect(asked).not.toHaveBeenCalled();
  await new Promise((resolve) => plain.close(resolve));
});

it('ends at its signal, before it is connected and after', async () => {
  listener = () => undefined;
  await expect(connectedFetch(url, { ...POST, signal: AbortSignal.abort() }, allowed)).rejects.toBeInstanceOf(
    NotSentError,
  );
  const waiting = new AbortController();
  const response = connectedFetch(url, { ...POST, signal: waiting.signal }, allowed);
  await eventually(() => (sockets.at(-1)?.bytesRead ?? 0) > 0);
  waiting.abort();
  await expect(response).rejects.toMatchObject({ name: 'AbortError' });
});

it.each([
  ['gzip', gzipSync('hello')],
  ['deflate', deflateSync('hello')],
  ['br', brotliCompressSync('hello')],
])('decodes %s', async (encoding, body) => {
  listener = (_request, response) => response.writeHead(200, { 'content-encoding': encoding }).end(body);
  expect(await (await connectedFetch(url, POST, allowed)).text()).toBe('hello');
});

it('asks for each request, on a connection of its own: one that was kept may just have been closed', async () => {
  listener = (request, response) => {
    request.resume();
    response.end('ok');
  };
  const asked = jest.fn(allowed);
  for (let count = 0; count < 3; count += 1) await (await connectedFetch(url, POST, asked)).text();
  expect(asked).toHaveBeenCalledTimes(3);
  expect(sockets).toHaveLength(3);
});

it.each<[string, RequestListener]>([
  ['no answer', (request) => request.socket.destroy()],
  [
    'half an answer',
    (request, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('x');
      setImmediate(() => request.socket.destroy());
    },
  ],
])('fails at %s, after the request had left', async (_sentence, listen) => {
  listener = listen;
  const whole = connectedFetch(url, POST, allowed).then((response) => response.text());
  const error: unknown = await whole.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ message: expect.stringMatching(/hang up|aborted|terminated|ECONNRESET/) });
  expect(error).not.toBeInstanceOf(NotSentError);
});

describe('with a look-up and a client certificate', () => {
  const trusted = getCACertificates('default');
  let folder: ReturnType<typeof temporaryFolder>;
  let authority: CertificateAuthority;
  beforeEach(() => {
    folder = temporaryFolder();
    authority = new CertificateAuthority(folder.path);
    setDefaultCACertificates([...trusted, authority.certificate]);
  });
  afterEach(() => {
    setDefaultCACertificates(trusted);
    folder.dispose();
  });

  it.each([true, false])('connects to what was looked up, shows it, and keeps nothing (asked: %p)', async (asks) => {
    const shown: unknown[] = [];
    const { certificate: cert, key } = authority.issue('/CN=server', { names: 'DNS:idp.test' });
    const client = authority.issue('/CN=client', { names: 'DNS:client.test' });
    const secure = createTlsServer({ cert, key, ca: authority.certificate, requestCert: true }, (request, response) => {
      const { socket } = request;
      shown.push(socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : null, request.headers.host);
      response.end('ok');
    });
    let connections = 0;
    secure.on('connection', () => (connections += 1));
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const { port } = secure.address() as AddressInfo;
    const lookup = jest.fn<ReturnType<LookupFunction>, Parameters<LookupFunction>>((_name, { all }, callback) => {
      if (all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
      else callback(null, '127.0.0.1', 4);
    });
    const init = {
      ...POST,
      lookup,
      tls: { cert: client.certificate, key: client.key },
      ...(asks && { beforeWrite: allowed }),
    };
    const host = `idp.test:${String(port)}`;
    for (let count = 0; count < 2; count += 1)
      expect(await (await systemFetch(`https://${host}/`, init)).text()).toBe('ok');
    expect(shown).toEqual(['client', host, 'client', host]);
    expect([lookup.mock.calls.length, connections]).toEqual([2, 2]);
    const refusing: LookupFunction = (_name, _options, callback) => {
      callback(new Error('not there'), '', 0);
    };
    await expect(systemFetch(`https://${host}/`, { ...init, lookup: refusing })).rejects.toMatchObject({
      refused: false,
      cause: { message: 'not there' },
    });
    await new Promise((resolve) => secure.close(resolve));
  });
});
