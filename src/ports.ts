import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

/** What the engine takes from its surroundings. Everything else in `src/` is a function of these and its arguments. */
export interface Ports {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly fetch: Fetch;
  readonly logger: Logger;
}

export interface Clock {
  /** Wall-clock instant, for everything that another machine also reads. */
  now(): Date;
  /** The host's boot-time clock: the same for every process of this host, never set back. For leases and durations. */
  hostTime(): HostTime;
  /** Calls `callback` once after `delayMs`. The timer keeps the process alive only when asked to. Returns the cancel function. */
  schedule(delayMs: number, callback: () => void, options?: { readonly keepAlive?: boolean }): () => void;
}

export interface HostTime {
  /** Names one boot of one host; instants of different epochs cannot be compared. */
  readonly epoch: string;
  readonly ms: number;
}

export interface RandomSource {
  bytes(length: number): Buffer;
}

/** What a client shows of itself in a TLS handshake: PEM texts. The key is SECRET. */
export interface ClientTls {
  readonly cert: string;
  readonly key: string;
}

export interface FetchInit extends RequestInit {
  /** Connects with this client certificate, on a connection that serves this request alone. */
  readonly tls?: ClientTls;
}

export type Fetch = (url: string, init?: FetchInit) => Promise<Response>;

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  hostTime: () => ({ epoch: hostEpoch, ms: Number(process.hrtime.bigint() / 1_000_000n) }),
  schedule(delayMs, callback, { keepAlive = false } = {}) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_TIMER_MS));
    if (!keepAlive) timer.unref();
    return () => {
      clearTimeout(timer);
    };
  },
};

export const systemRandom: RandomSource = { bytes: (length) => randomBytes(length) };

export const systemFetch: Fetch = (url, init) =>
  init?.tls === undefined ? globalThis.fetch(url, init) : fetchWithCertificate(url, init, init.tls);

export const silentLogger: Logger = { debug: noop, info: noop, warn: noop, error: noop };

/** No connection is kept: the next request may be another credential's, and must not be taken for this client. */
async function fetchWithCertificate(url: string, init: FetchInit, { cert, key }: ClientTls): Promise<Response> {
  const { Agent } = await import('undici');
  const dispatcher = new Agent({ connect: { cert, key }, pipelining: 0 });
  try {
    // Node's own fetch takes a dispatcher of this package, whatever the types of the two say.
    const options: object = { ...init, dispatcher };
    return await globalThis.fetch(url, options);
  } finally {
    // Ends the connection when the answer's body has been read.
    dispatcher.close().catch(noop);
  }
}

function noop(): void {
  // A logger that keeps nothing.
}

const hostEpoch = readHostEpoch();

function readHostEpoch(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Elsewhere the boot instant names the boot; a minute's grain absorbs steps of the wall clock.
    return `boot-${String(Math.round((Date.now() / 1000 - uptime()) / 60))}`;
  }
}
