import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { isCredentialError, ProtocolError, TransientError } from '../../errors.ts';
import type { Clock } from '../../ports.ts';
import { MalformedBerError } from './ber.ts';
import { tlsFailed } from './errors.ts';
import { GuardedSocket, RECEIVE_BOUNDS, type ReceiveBounds } from './guarded-socket.ts';
import { encodeStartTlsRequest, extendedResultOf, MessageReader } from './message.ts';

export type Protection = 'ldaps' | 'startTls' | 'none';

/** Where a server is and how it is spoken to. */
export interface TransportOptions {
  readonly host: string;
  readonly port: number;
  readonly protection: Protection;
  /** PEM certificates of the authorities that may vouch for the server; without them, those of the system. */
  readonly ca: string | null;
  /** The name that the certificate must have, when it is not `host`. */
  readonly serverName: string | null;
  /** For SASL EXTERNAL: who we are is said by our own certificate. */
  readonly clientCertificate: { readonly certificate: string; readonly key: string } | null;
  readonly connectTimeoutMs: number;
  readonly bounds?: ReceiveBounds;
}

/**
 * Opens a connection and protects it. Nothing but a StartTLS request leaves before TLS stands and the server's certificate
 * was found good, so there is no moment in which a password could go in the clear.
 *
 * Errors: `ERR_ENDPOINT_UNREACHABLE`, `ERR_ENDPOINT_TIMEOUT`, `ERR_ENDPOINT_CONNECTION_LOST`, `ERR_LDAP_TLS_FAILED`,
 * `ERR_LDAP_RESPONSE_INVALID`
 */
export async function openTransport(
  options: TransportOptions,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<GuardedSocket> {
  signal.throwIfAborted();
  const { host, port, protection, connectTimeoutMs, bounds = RECEIVE_BOUNDS } = options;
  const tcp = connectTcp({ host, port, noDelay: true, keepAlive: true });
  const abort = (): void => {
    tcp.destroy(new TransportAborted());
  };
  const cancelTimer = clock.schedule(connectTimeoutMs, () => {
    tcp.destroy(new TransientError('ERR_ENDPOINT_TIMEOUT', `${host} did not answer in time.`));
  });
  signal.addEventListener('abort', abort, { once: true });
  try {
    await opened(tcp, 'connect');
    if (protection === 'none') return new GuardedSocket(tcp, bounds);
    if (protection === 'startTls') await startTls(tcp, host);
    return new GuardedSocket(await secured(tcp, options), bounds);
  } catch (error) {
    tcp.destroy();
    signal.throwIfAborted();
    throw isCredentialError(error) ? error : unreachable(error, host);
  } finally {
    cancelTimer();
    signal.removeEventListener('abort', abort);
  }
}

class TransportAborted extends Error {}

/** The other side went away: that says nothing about its certificate. */
const BROKEN = new Set(['closed', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** Waits until a socket is open. A close without an error is one, too. */
async function opened(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    const onClose = (): void => {
      onError(new Error('closed'));
    };
    const onOpen = (): void => {
      settle();
      resolve();
    };
    const settle = (): void => {
      socket.off('error', onError).off('close', onClose).off(event, onOpen);
      // What fails later has listeners of its own; until they are there, no error may go unheard.
      socket.on('error', ignore);
    };
    socket.on('error', onError).on('close', onClose).on(event, onOpen);
  });
}

function ignore(): void {
  // The close that follows is what counts.
}

/** StartTLS, RFC 4511 §4.14: one request, one answer, and not a byte beside it. */
async function startTls(tcp: Socket, host: string): Promise<void> {
  tcp.write(encodeStartTlsRequest());
  const result = extendedResultOf(await onlyMessage(tcp, host));
  if (result !== 0) throw tlsFailed('the server does not offer StartTLS', host);
}

/** Whoever sits in between could send answers ahead of the handshake, to be taken for the server's own afterwards. */
async function onlyMessage(tcp: Socket, host: string): Promise<Buffer> {
  const reader = new MessageReader(65_536);
  return new Promise((resolve, reject) => {
    const onClose = (): void => {
      settle();
      reject(new TransientError('ERR_ENDPOINT_CONNECTION_LOST', `The connection to ${host} broke before TLS began.`));
    };
    const onError = (error: Error): void => {
      settle();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      try {
        const [message, ...more] = reader.read(chunk);
        if (message === undefined) return;
        settle();
        // Paused, what still comes in is the handshake's.
        tcp.pause();
        if (more.length === 0 && reader.pendingBytes === 0) resolve(message);
        else reject(tlsFailed('something was slipped in before TLS began', host));
      } catch (error) {
        settle();
        reject(
          error instanceof MalformedBerError
            ? new ProtocolError('ERR_LDAP_RESPONSE_INVALID', `${host} gave an answer that cannot be read.`)
            : tlsFailed('the answer to StartTLS cannot be read', host),
        );
      }
    };
    const settle = (): void => {
      tcp.off('data', onData).off('close', onClose).off('error', onError);
    };
    tcp.on('data', onData).on('close', onClose).on('error', onError);
  });
}

async function secured(tcp: Socket, options: TransportOptions): Promise<TLSSocket> {
  const { host, ca, serverName, clientCertificate } = options;
  const expected = serverName ?? host;
  const tls: ConnectionOptions = {
    socket: tcp,
    host: expected,
    // An address may not be asked for by name (RFC 6066 §3).
    ...(isIP(expected) === 0 && { servername: expected }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    // The name must be a subject alternative name (RFC 6125 §6.4.4): Node would also take the common name.
    checkServerIdentity: (_name, certificate) =>
      checkServerIdentity(expected, { ...certificate, subject: { ...certificate.subject, CN: '' } }),
    ...(ca !== null && { ca }),
    ...(clientCertificate !== null && { cert: clientCertificate.certificate, key: clientCertificate.key }),
  };
  const socket = tlsSocket(tls, host);
  try {
    await opened(socket, 'secureConnect');
  } catch (error) {
    socket.destroy();
    if (isCredentialError(error) || error instanceof TransportAborted) throw error;
    const code = codeOf(error);
    if (BROKEN.has(code)) {
      throw new TransientError('ERR_ENDPOINT_CONNECTION_LOST', `The connection to ${host} broke (${code}).`);
    }
    throw tlsFailed(code, host);
  }
  return socket;
}

function tlsSocket(options: ConnectionOptions, host: string): TLSSocket {
  try {
    return connectTls(options);
  } catch {
    throw tlsFailed('the client certificate, its key or ca is no valid PEM', host);
  }
}

function unreachable(error: unknown, host: string): TransientError {
  return new TransientError('ERR_ENDPOINT_UNREACHABLE', `${host} cannot be reached (${codeOf(error)}).`);
}

/** The code alone: messages of certificates quote names, those of sockets addresses. */
function codeOf(error: unknown): string {
  if (!Error.isError(error)) return 'unknown';
  // Several addresses of one host: what the first said.
  if ('errors' in error && Array.isArray(error.errors) && error.errors.length > 0) return codeOf(error.errors[0]);
  return 'code' in error && typeof error.code === 'string'
    ? error.code
    : error.message === 'closed'
      ? 'closed'
      : 'unknown';
}
