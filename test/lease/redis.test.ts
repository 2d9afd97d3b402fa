import { Redis } from 'ioredis';
import { RedisLeases } from '../../src/lease/redis.ts';
import { silentLogger, systemRandom } from '../../src/ports.ts';
import { openMemory } from '../../src/storage/memory.ts';
import { leaseConformance } from '../conformance/lease.ts';
import { RedisServer } from '../servers/redis.ts';
import { eventually } from '../support/eventually.ts';
import { aRecord } from '../support/record.ts';
import { StillClock } from '../support/still-clock.ts';

const ports = { random: systemRandom, logger: silentLogger };

let server: RedisServer;
let inspector: Redis;
beforeAll(async () => {
  server = await RedisServer.start();
  inspector = new Redis(server.url);
  inspector.on('error', () => undefined);
}, 60_000);
afterAll(async () => {
  inspector.disconnect();
  await server.stop();
});

/** Leases run on the server's clock: time passes for them when their ends are moved. */
async function advance(ms: number): Promise<void> {
  for (const key of await inspector.keys('credlife:lease:*')) {
    const left = await inspector.pttl(key);
    await inspector.pexpire(key, Math.max(left - ms, 0));
  }
}

leaseConformance('Redis', async () => {
  await inspector.flushall();
  const leases = await RedisLeases.open(server.url, ports);
  return { leases, advance, dispose: () => leases.close() };
});

it('a Redis that forgot its leases lets two hold one, and the record store still lets one write', async () => {
  const leases = await RedisLeases.open(server.url, ports);
  const { records } = openMemory(new StillClock());
  await records.insert(aRecord(), []);
  expect(await leases.acquire('work', 60_000)).not.toBeNull();
  await server.crash();
  await server.resume();
  expect(await eventually(() => leases.acquire('work', 60_000).catch(() => null))).toMatchObject({ fence: 1 });
  const claims = await Promise.all(['a', 'b'].map((owner) => records.claim(aRecord().id, owner, 60_000)));
  expect(claims.filter((claim) => claim !== null)).toHaveLength(1);
  await leases.close();
});

it('says at once that the server is away, and works again when it is back', async () => {
  const leases = await RedisLeases.open(server.url, ports);
  await server.crash();
  const away = await leases.acquire('work', 1_000).catch((error: unknown) => error);
  expect(away).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  expect(String(away)).not.toContain('rpw');
  await expect(RedisLeases.open(server.url, ports)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  await server.resume();
  expect(await eventually(() => leases.acquire('work', 1_000).catch(() => null))).toMatchObject({ name: 'work' });
  await leases.close();
});

it.each(['http://x', 'redis://', 'not a URL'])('refuses the URL %s', async (url) => {
  await expect(RedisLeases.open(url, ports)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
});
