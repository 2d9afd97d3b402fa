import { once } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigurationError } from '../errors.ts';

const HOST = '127.0.0.1';
/** A server that was killed may leave its port a moment after its successor asks for it. */
const TRIES = 12;
const PAUSE_MS = 250;

export function issuerAt(port: number): string {
  return `http://${HOST}:${String(port)}`;
}

/**
 * Listens on the kept port, or on a free one when none is kept. Returns the port.
 *
 * @throws ConfigurationError `ERR_SANDBOX_PORT_TAKEN` when the kept port stays taken.
 */
export async function listenOnLoopback(server: Server, keptPort: number | null): Promise<number> {
  for (let tried = 1; !(await tryToListen(server, keptPort ?? 0)); tried += 1) {
    if (tried >= TRIES) throw portTaken(keptPort);
    await delay(PAUSE_MS);
  }
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('the server has no port');
  return address.port;
}

async function tryToListen(server: Server, port: number): Promise<boolean> {
  try {
    server.listen({ host: HOST, port, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return false;
    throw error;
  }
}

function portTaken(port: number | null): ConfigurationError {
  const where = port === null ? 'a free port' : `port ${String(port)}`;
  return new ConfigurationError(
    'ERR_SANDBOX_PORT_TAKEN',
    `The sandbox cannot listen on ${where} of 127.0.0.1: another program has it.`,
  );
}
