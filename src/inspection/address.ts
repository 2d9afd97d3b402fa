import { ConfigurationError } from '../errors.ts';
import { Secret } from '../secret.ts';

/** Where a relay listens, and what it lets in. */
export interface InspectionAddress {
  /** 127.0.0.1, localhost or ::1. */
  readonly host: string;
  readonly port: number;
  readonly token: Secret<string>;
}

export const PUBLISH_PATH = '/publish';
const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];
const SHORTEST_TOKEN = 32;

/** `127.0.0.1:4711` and its like: what a browser on this machine says in Host when it means the relay. */
export function loopbackAuthorities(port: number): string[] {
  return LOOPBACK.map((host) => `${host}:${port}`);
}

/** Whether a page of this origin was served by this machine to itself. */
export function isLoopbackOrigin(origin: string): boolean {
  const url = URL.parse(origin);
  return url !== null && url.protocol === 'http:' && LOOPBACK.includes(url.hostname) && url.origin === origin;
}

/** Where engines connect to; the token goes into a header. */
export function publishEndpoint({ host, port }: InspectionAddress): string {
  return `ws://${authority(host, port)}${PUBLISH_PATH}`;
}

/** What goes into `CREDLIFE_INSPECT`. It holds the token. */
export function publisherUrl(address: InspectionAddress): string {
  return `${publishEndpoint(address)}?token=${encodeURIComponent(address.token.unwrap())}`;
}

/** What a person opens, and with `ws:` what a receiver of `@statelyai/inspect` connects to. It holds the token. */
export function viewerUrl({ host, port, token }: InspectionAddress): string {
  return `http://${authority(host, port)}/?token=${encodeURIComponent(token.unwrap())}`;
}

/**
 * Reads `ws://127.0.0.1:4711/publish?token=…`.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, without the value
 */
export function parseInspectionAddress(text: string): InspectionAddress {
  const url = URL.parse(text);
  if (url?.protocol !== 'ws:' || url.pathname !== PUBLISH_PATH) throw malformed();
  const token = url.searchParams.get('token') ?? '';
  // Facts travel in clear: they stay on this machine.
  if (!LOOPBACK.includes(url.hostname) || url.port === '' || token.length < SHORTEST_TOKEN) throw malformed();
  return { host: url.hostname.replace(/[[\]]/g, ''), port: Number(url.port), token: Secret.of(token) };
}

function authority(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function malformed(): ConfigurationError {
  return new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    'The setting CREDLIFE_INSPECT must be the address that "credlife inspect" printed: ws://127.0.0.1:PORT/publish?token=… ' +
      `(a loopback host, a port, a token of at least ${SHORTEST_TOKEN} characters).`,
  );
}
