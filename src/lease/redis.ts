import type { Redis } from 'ioredis';
import { ConfigurationError, StorageError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Lease, LeaseStore } from './lease.ts';
import { newOwner, requireTerms } from './terms.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const COMMAND_TIMEOUT_MS = 5_000;

/** Takes the name if it is free, and counts its holders. KEYS: lease, fence. ARGV: owner, ttl. */
const ACQUIRE = `
  if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('INCR', KEYS[2]) end
  return 0`;
/** Without the comparison a late holder would prolong or end the lease of his successor. */
const RENEW = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
  return 0`;
const RELEASE = `
  if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
  return 0`;

/**
 * Leases in Redis, which run on its clock. Redis may forget them, with their fences, when it fails over or loses its data: then two
 * holders believe in one lease, and the compare-and-set of the record store decides between them.
 */
export class RedisLeases implements LeaseStore {
  readonly #redis: Redis;
  readonly #place: string;
  readonly #ports: Pick<Ports, 'random'>;

  private constructor(redis: Redis, place: string, ports: Pick<Ports, 'random'>) {
    this.#redis = redis;
    this.#place = place;
    this.#ports = ports;
  }

  /**
   * Connects to a `redis://` or (TLS) `rediss://` URL. Commands fail at once while the server is away; the connection comes back by
   * itself.
   *
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_STORE_DRIVER_MISSING`
   * @throws StorageError `ERR_STORE_UNAVAILABLE`
   */
  static async open(url: string, ports: Pick<Ports, 'random' | 'logger'>): Promise<RedisLeases> {
    const place = placeOf(url);
    const { Redis: Client } = await loadLibrary();
    const redis = new Client(url, {
      lazyConnect: true,
      connectTimeout: CONNECT_TIMEOUT_MS,
      commandTimeout: COMMAND_TIMEOUT_MS,
      // A queued acquire would take a lease long after its caller has given up.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
    });
    redis.on('error', () => {
      ports.logger.warn({ place }, 'The connection to Redis was lost.');
    });
    const leases = new RedisLeases(redis, place, ports);
    try {
      await leases.#run(() => redis.connect());
      return leases;
    } catch (error) {
      redis.disconnect();
      throw error;
    }
  }

  async acquire(name: string, ttlMs: number): Promise<Lease | null> {
    requireTerms(name, ttlMs);
    const owner = newOwner(this.#ports.random);
    const fence = await this.#run(() => this.#redis.eval(ACQUIRE, 2, leaseKey(name), fenceKey(name), owner, ttlMs));
    return fence === 0 ? null : { name, owner, fence: Number(fence) };
  }

  async renew(lease: Lease, ttlMs: number): Promise<boolean> {
    requireTerms(lease.name, ttlMs);
    return (await this.#run(() => this.#redis.eval(RENEW, 1, leaseKey(lease.name), lease.owner, ttlMs))) === 1;
  }

  async release(lease: Lease): Promise<boolean> {
    return (await this.#run(() => this.#redis.eval(RELEASE, 1, leaseKey(lease.name), lease.owner))) === 1;
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
    return Promise.resolve();
  }

  async #run<T>(operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      const why = Error.isError(error) && 'code' in error ? String(error.code) : 'no connection';
      throw new StorageError('ERR_STORE_UNAVAILABLE', `Redis at ${this.#place} cannot be used (${why}).`);
    }
  }
}

/** The braces make a Redis cluster keep both keys of a lease on one node, where one script can see them. */
function leaseKey(name: string): string {
  return `credlife:lease:{${name}}`;
}

function fenceKey(name: string): string {
  return `credlife:fence:{${name}}`;
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED`, without the URL: it holds a password */
function placeOf(text: string): string {
  const url = URL.parse(text);
  if (url && /^rediss?:$/.test(url.protocol) && url.host !== '') return url.host;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    'The Redis URL is not of the form redis://user:password@host:port.',
  );
}

async function loadLibrary(): Promise<{ Redis: typeof Redis }> {
  try {
    return await import('ioredis');
  } catch {
    throw new ConfigurationError(
      'ERR_STORE_DRIVER_MISSING',
      'Leases in Redis need the package "ioredis", which is not installed.',
    );
  }
}
