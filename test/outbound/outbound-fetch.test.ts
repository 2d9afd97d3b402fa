import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { checkedLookup, outboundFetch, type Resolve } from '../../src/outbound/outbound-fetch.ts';
import { OutboundPolicy, type OutboundOptions } from '../../src/outbound/policy.ts';
import { systemFetch } from '../../src/ports.ts';
import { boundedFetch } from '../../src/protocols/bounded-fetch.ts';
import { rejectionOf } from '../support/codes.ts';
import { NOW } from '../support/record.ts';

let server: Server;
let port: string;
let hosts: (string | undefined)[];
let resolved: string[];

beforeAll(async () => {
  server = createServer((request, response) => {
    hosts.push(request.headers.host);
    // Each request opens a connection of its own, so that each resolves anew.
    response.writeHead(200, { connection: 'close' }).end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = String((server.address() as AddressInfo).port);
});
beforeEach(() => {
  hosts = [];
  resolved = [];
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** A resolver that gives one list after the other, and the last one for ever. */
function resolverOf(...answers: string[][]): Resolve {
  return async (hostname) => {
    resolved.push(hostname);
    const addresses = answers[Math.min(resolved.length, answers.length) - 1] ?? [];
    return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
}

function guarded(resolve: Resolve, options: OutboundOptions = {}) {
  return boundedFetch(outboundFetch(systemFetch, new OutboundPolicy(options), resolve), () => NOW);
}

const url = (host: string): string => `http://${host}:${port}/`;

it('connects to the address that it checked, under the name that was asked for', async () => {
  const fetch = guarded(resolverOf(['127.0.0.1']));
  expect(await (await fetch(url('idp.test'))).text()).toBe('hello');
  expect([resolved, hosts]).toEqual([['idp.test'], [`idp.test:${port}`]]);
});

it.each<[string, string[], string | undefined]>([
  ['a metadata address', ['169.254.169.254'], undefined],
  ['a good and a metadata address', ['127.0.0.1', '169.254.169.254'], undefined],
  ['a metadata address in IPv6', ['::ffff:169.254.169.254'], undefined],
  ['a private address, when another host named it', ['127.0.0.1'], 'other.test'],
  ['a public and a private address, when another host named it', ['8.8.8.8', '127.0.0.1'], 'other.test'],
])('F38 sends nothing to a name that resolves to %s', async (_sentence, addresses, learnedFrom) => {
  const fetch = guarded(resolverOf(addresses));
  const error = await rejectionOf(fetch(url('idp.test'), learnedFrom === undefined ? {} : { learnedFrom }));
  expect(error).toMatchObject({ code: 'ERR_ENDPOINT_ADDRESS_REFUSED', name: 'ConfigurationError' });
  expect(hosts).toEqual([]);
});

it('F38 a name that is rebound after its check leads nowhere else', async () => {
  const fetch = guarded(resolverOf(['127.0.0.1'], ['169.254.169.254']));
  await fetch(url('rebinding.test'));
  expect(hosts).toHaveLength(1);
  // The first connection asked the resolver once; the second finds the other answer and refuses it.
  expect(resolved).toHaveLength(1);
  await expect(fetch(url('rebinding.test'))).rejects.toMatchObject({ code: 'ERR_ENDPOINT_ADDRESS_REFUSED' });
  expect(hosts).toHaveLength(1);
});

it('keeps no connection of a trusted URL for one that a remote document named', async () => {
  const keepAlive = createServer((_request, response) => response.end('hello'));
  await new Promise<void>((resolve) => keepAlive.listen(0, '127.0.0.1', resolve));
  const address = `http://idp.test:${String((keepAlive.address() as AddressInfo).port)}/`;
  const fetch = guarded(resolverOf(['127.0.0.1']));
  await fetch(address);
  await expect(fetch(address, { learnedFrom: 'other.test' })).rejects.toMatchObject({
    code: 'ERR_ENDPOINT_ADDRESS_REFUSED',
  });
  keepAlive.closeAllConnections();
  keepAlive.close();
});

it('says that nothing was sent when a name has no address', async () => {
  await expect(guarded(resolverOf([]))(url('idp.test'))).rejects.toMatchObject({ code: 'ERR_ENDPOINT_UNREACHABLE' });
});

it.each([
  [4, ['127.0.0.1']],
  [6, ['::1']],
  [0, ['127.0.0.1', '::1']],
])('gives the addresses of family %d', async (family, expected) => {
  const lookup = checkedLookup(resolverOf(['127.0.0.1', '::1']), false);
  const found = await new Promise((resolve) => {
    lookup('idp.test', { all: true, family }, (_error, addresses) => {
      resolve(addresses);
    });
  });
  expect(found).toEqual(expected.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
});
