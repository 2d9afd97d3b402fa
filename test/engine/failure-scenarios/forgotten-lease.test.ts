import type { CredentialEngine } from '../../../src/engine.ts';
import { HeldLease } from '../../../src/lease/held-lease.ts';
import { RedisLeases } from '../../../src/lease/redis.ts';
import { silentLogger, systemClock, systemRandom } from '../../../src/ports.ts';
import type { Issuer } from '../../servers/issuer.ts';
import { RedisServer } from '../../servers/redis.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { judgedEntry, startJudge } from '../support/judge.ts';

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
/** What a host may put around its refreshes, so that it need not ask the database. */
const LEASE = { ttlMs: 60_000 };

let issuer: Issuer;
let redis: RedisServer;
let leases: RedisLeases;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let other: EngineProcess;

beforeAll(async () => {
  issuer = await startJudge();
  redis = await RedisServer.start();
  leases = await RedisLeases.open(redis.url, ports);
  folder = temporaryFolder();
  engine = await openEngine(folder.path);
  other = await EngineProcess.start(folder.path);
}, 60_000);

afterAll(async () => {
  await other.close();
  await engine.close();
  await leases.close();
  await redis.stop();
  await issuer.stop();
  folder.dispose();
});

const acquire = (name: string): Promise<HeldLease | null> => HeldLease.acquire(leases, name, LEASE, ports);

test('F05 a Redis that forgets its leases in the middle of a refresh lets two in, and the claim in the database lets one request leave', async () => {
  const { entry, log } = await judgedEntry(issuer, 'grace-0');
  const { id } = await engine.register(entry);
  const spent = (await log()).length;
  await issuer.setFaults({ latencyMs: [5_000, 5_000] });
  const first = await acquire(id);
  expect(first).not.toBeNull();
  expect(await acquire(id)).toBeNull();
  const refreshing = engine.refresh(id);
  await eventually(async () => (await engine.get(id)).state === 'refreshing.sent');
  await redis.crash();
  await redis.resume();
  const second = await eventually(() => acquire(id).catch(() => null));
  expect((await engine.get(id)).state).toBe('refreshing.sent');
  const there = other.ask('refresh', id);
  const here = refreshing.then(({ generation }) => generation);
  expect(await Promise.all([here, there])).toEqual([2, 2]);
  expect((await log()).slice(spent).map(({ verdict }) => verdict)).toEqual(['rotated']);
  await second.release();
  await first?.release();
}, 60_000);
