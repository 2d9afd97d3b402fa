import { createServer, request, type RequestOptions, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { StorageError } from '../../src/errors.ts';
import { RejectedAnswers } from '../../src/n8n/rejected-answers.ts';
import { silentLogger } from '../../src/ports.ts';
import { FakeCredential } from './fake-client.ts';

const TOKEN = 'Bearer token-of-generation-1';
let server: Server;
let status = 401;

beforeAll(async () => {
  server = createServer((_request, response) => response.writeHead(status, { location: '/elsewhere' }).end('no'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
beforeEach(() => {
  status = 401;
});

/** One request as n8n's request helpers make it. */
function ask(headers: RequestOptions['headers']): Promise<number> {
  const { port } = server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, headers }, (response) => {
      response.resume().on('end', () => {
        resolve(response.statusCode ?? 0);
      });
    })
      .on('error', reject)
      .end();
  });
}

function watching(credential = new FakeCredential(), logger = silentLogger) {
  const rejected = new RejectedAnswers(logger);
  rejected.watch(TOKEN, credential, credential.current);
  return { credential, rejected };
}

it.each([
  ['authorization', TOKEN],
  ['Authorization', TOKEN],
  ['authorization', TOKEN.replace('Bearer ', '')],
])('an answer 401 to a token that was handed out is reported: %s: %s', async (name, value) => {
  const { credential, rejected } = watching();
  expect(await ask({ [name]: value })).toBe(401);
  await rejected.settled(credential.id);
  expect(credential.reported).toEqual([1]);
});

it.each<[string, number, RequestOptions['headers']]>([
  ['another token', 401, { authorization: 'Bearer of-somebody-else' }],
  ['a longer one', 401, { authorization: `${TOKEN}0` }],
  ['the token elsewhere', 401, { 'x-authorization': TOKEN }],
  ['no token', 401, {}],
  ['any other answer', 403, { authorization: TOKEN }],
  ['an error of the server', 500, { authorization: TOKEN }],
  ['a success', 200, { authorization: TOKEN }],
])('nothing is reported of %s', async (_what, answer, headers) => {
  const { credential, rejected } = watching();
  status = answer;
  expect(await ask(headers)).toBe(answer);
  await rejected.settled(credential.id);
  expect(credential.reported).toEqual([]);
});

it('nothing is reported of a token that was replaced', async () => {
  const { credential, rejected } = watching();
  rejected.watch('Bearer token-of-generation-2', credential, 2);
  await ask({ authorization: TOKEN });
  await rejected.settled(credential.id);
  expect(credential.reported).toEqual([]);
});

it('a burst is one report while it is looked into, and a later refusal another one', async () => {
  const credential = new FakeCredential();
  credential.confirmation = 'unconfirmable';
  const open = Promise.withResolvers<null>();
  const report = credential.reportRejected.bind(credential);
  credential.reportRejected = async (generation) => {
    await open.promise;
    return report(generation);
  };
  const { rejected } = watching(credential);
  await Promise.all(Array.from({ length: 20 }, () => ask({ authorization: TOKEN })));
  open.resolve(null);
  await rejected.settled(credential.id);
  expect(credential.reported).toEqual([1]);
  await ask({ authorization: TOKEN });
  await rejected.settled(credential.id);
  expect(credential.reported).toEqual([1, 1]);
});

it('credentials are told apart', async () => {
  const { credential, rejected } = watching();
  const other = new FakeCredential('adopted-2');
  rejected.watch('Bearer another', other, 7);
  await ask({ authorization: 'Bearer another' });
  await Promise.all([rejected.settled(credential.id), rejected.settled(other.id)]);
  expect([credential.reported, other.reported]).toEqual([[], [7]]);
});

it('a report that fails is logged by its code, without the token, and harms nobody', async () => {
  const lines: unknown[] = [];
  const credential = new FakeCredential();
  credential.reportRejected = () => Promise.reject(new StorageError('ERR_STORE_UNAVAILABLE', 'The store is away.'));
  const logger = { ...silentLogger, warn: (...line: unknown[]) => lines.push(line) };
  const { rejected } = watching(credential, logger);
  expect(await ask({ authorization: TOKEN })).toBe(401);
  await rejected.settled(credential.id);
  expect(lines).toEqual([[{ credentialId: credential.id, code: 'ERR_STORE_UNAVAILABLE' }, expect.any(String)]]);
  expect(JSON.stringify(lines)).not.toContain('token-of-generation');
});
