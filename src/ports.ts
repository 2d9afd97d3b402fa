import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import { uptime } from 'node:os';
import type { Agent } from 'undici';
import { connectedFetch, type BeforeWrite } from './connected-fetch.ts';

export { NotSentError } from './connected-fetch.ts';

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
  /** Host of the remote document that named the URL; absent when an owner typed it. Read by the outbound policy. */
  readonly learnedFrom?: string;
  /**
   * Finds the addresses to connect to. Connections are kept and shared by requests that bring the same function, but for those
   * with `tls` or `beforeWrite`: they have a connection of their own.
   */
  readonly lookup?: LookupFunction;
  /**
   * Called once, when the connection stands and nothing has left yet. What it answers is called in the same turn in which the
   * first byte is written. When either throws, nothing is sent. Only a fetch that `connectsFirst` knows it.
   */
  readonly beforeWrite?: BeforeWrite;
}

export interface Fetch {
  (url: string, init?: FetchInit): Promise<Response>;
  /** Whether it calls `beforeWrite`. Any other fetch may be held up, unseen, between its call and the first byte. */
  readonly connectsFirst?: boolean;
}

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

/** Resolves when everything that arrived in this turn of the event loop has been dealt with. No time, so nothing to inject. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export const systemRandom: RandomSource = { bytes: (length) => randomBytes(length) };

export const systemFetch: Fetch = Object.assign(fetchOfSystem, { connectsFirst: true });

function fetchOfSystem(url: string, init: FetchInit = {}): Promise<Response> {
  const { beforeWrite, ...rest } = init;
  // Node's own fetch can neither say when it is connected nor show a certificate.
  if (beforeWrite !== undefined || rest.tls !== undefined) return connectedFetch(url, rest, beforeWrite ?? allow);
  return rest.lookup === undefined ? globalThis.fetch(url, rest) : fetchByLookup(url, rest, rest.lookup);
}

function allow(): Promise<() => void> {
  return Promise.resolve(noop);
}

const agents = new WeakMap<LookupFunction, Agent>();

/** Node's own fetch takes no look-up; that of the package which it is made of does. */
async function fetchByLookup(url: string, init: FetchInit, lookup: LookupFunction): Promise<Response> {
  const undici = await import('undici');
  const agent = agents.get(lookup) ?? new undici.Agent({ connect: { lookup } });
  agents.set(lookup, agent);
  // The package's types and those of Node differ in what neither of them uses here.
  const fetch: (url: string, init: object) => Promise<Response> = undici.fetch;
  return fetch(url, { ...init, dispatcher: agent });
}

export const silentLogger: Logger = { debug: noop, info: noop, warn: noop, error: noop };

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
