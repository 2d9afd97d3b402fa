import { once } from 'node:events';
import type { Server } from 'node:http';
import { ConfigurationError } from '../errors.ts';
import { isPlainObject } from '../json.ts';

const TRIES = 5;

/**
 * Makes servers listen on both loopback addresses, on one port, and on nothing else. A host without IPv6 has one of them.
 *
 * @param port 0 for a free one
 * @returns the port and the servers that listen
 * @throws ConfigurationError `ERR_INSPECT_PORT_TAKEN`
 */
export async function listenOnLoopback(
  makeServer: () => Server,
  port: number,
): Promise<{ readonly port: number; readonly servers: readonly Server[] }> {
  for (let tries = port === 0 ? TRIES : 1; tries > 0; tries -= 1) {
    const first = makeServer();
    if ((await listen(first, '127.0.0.1', port)) !== 'listening') continue;
    const taken = portOf(first);
    const second = makeServer();
    const outcome = await listen(second, '::1', taken);
    if (outcome === 'listening') return { port: taken, servers: [first, second] };
    if (outcome === 'noAddress') return { port: taken, servers: [first] };
    first.close();
  }
  throw new ConfigurationError(
    'ERR_INSPECT_PORT_TAKEN',
    `The inspector cannot listen on port ${port} of 127.0.0.1 and ::1: another program has it.`,
  );
}

async function listen(server: Server, host: string, port: number): Promise<'listening' | 'taken' | 'noAddress'> {
  try {
    server.listen({ host, port, exclusive: true, ipv6Only: true });
    await once(server, 'listening');
    return 'listening';
  } catch (error) {
    const code = isPlainObject(error) ? error['code'] : null;
    if (code === 'EADDRINUSE' || code === 'EACCES') return 'taken';
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return 'noAddress';
    throw error;
  }
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server has no port');
  return address.port;
}
