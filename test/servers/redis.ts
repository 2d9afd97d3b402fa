import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../scripts/test/free-port.cjs';
import { eventually } from '../support/eventually.ts';
import { serverFolder, ServerProcess } from './process.ts';

const PASSWORD = 'rpw';

// A server shares its machine with everything else that runs there; no test of one asserts a time.
jest.setTimeout(60_000);

/** A real Redis on a free port that keeps nothing on disk: it forgets everything when it restarts. */
export class RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #folder: ReturnType<typeof serverFolder>;
  #process: ServerProcess | null = null;

  private constructor(port: number) {
    this.port = port;
    this.url = `redis://:${PASSWORD}@127.0.0.1:${String(port)}`;
    this.#folder = serverFolder('redis');
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    await server.resume();
    return server;
  }

  async resume(): Promise<void> {
    const args = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder.path];
    const settings = ['--save', '', '--appendonly', 'no', '--requirepass', PASSWORD, '--unixsocket', this.#socket];
    const running = new ServerProcess(['redis-server', ...args, ...settings]);
    this.#process = running;
    await eventually(async () => {
      if (running.hasEnded) throw new Error(`redis-server did not start: ${running.output}`);
      return this.#answers();
    });
  }

  async crash(): Promise<void> {
    await this.#process?.stop('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.#process?.stop('SIGTERM');
    this.#folder.dispose();
  }

  get #socket(): string {
    return join(this.#folder.path, 's');
  }

  async #answers(): Promise<boolean> {
    const redis = new Redis(this.url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      await redis.ping();
      return true;
    } catch {
      return false;
    } finally {
      redis.disconnect();
    }
  }
}
