import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { silentLogger, systemClock, systemRandom } from '../../src/ports.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import type { RecordStore } from '../../src/storage/record-store.ts';
import { PostgresServer } from '../servers/postgres.ts';
import { eventually, quietFor } from '../support/eventually.ts';
import { aRecord, NOW } from '../support/record.ts';
import { startHolder } from './support/workers.ts';

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
const HOUR = 3_600_000;
const id = 'cr_held';
/** The holders are looked at four times a second. */
const NEXT_LOOK_MS = 300;

let server: PostgresServer;
let url: string;
let schema: string;
let records: RecordStore;
let holder: ChildProcess | null = null;
beforeAll(async () => {
  server = await PostgresServer.start();
}, 60_000);
afterAll(() => server.stop());
beforeEach(async () => {
  url = server.freshUrl();
  schema = new URL(url).searchParams.get('schema') ?? '';
  records = (await openPostgres(url, ports)).records;
});
afterEach(async () => {
  if (holder?.exitCode === null && holder.signalCode === null) await end(holder);
  holder = null;
  await records.close();
});

const insert = (state: 'refreshing.sent' | 'valid.fresh'): Promise<void> =>
  records.insert(aRecord({ id, state, refreshDueAt: NOW }), []);
const due = async (): Promise<string[]> =>
  (await records.listDue({ now: new Date(), limit: 10, exceptEndpoints: [] })).map(({ credentialId }) => credentialId);
const claim = () => records.claim(id, 'me', 1_000);

async function hold(owner: string, database = url): Promise<ChildProcess> {
  holder = await startHolder({ database, owner, ids: [id], leaseMs: HOUR });
  return holder;
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** A claim in use is renewed each second; of this one nothing was heard for a minute. */
async function silent(): Promise<void> {
  await server.query(`UPDATE records SET claim_bound_at = claim_bound_at - interval '1 minute'`, schema);
}

async function locks(): Promise<number> {
  const sql = `SELECT count(*)::int AS count FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2`;
  const [row] = await server.query(sql);
  return Number(row?.['count']);
}

describe('a claim of a process', () => {
  it('is over when the process was killed in the middle of a refresh, whatever its lease was', async () => {
    await insert('refreshing.sent');
    const child = await hold('other');
    expect(await claim()).toBeNull();
    await end(child);
    expect(await eventually(claim)).toMatchObject({ owner: 'me', fence: 2 });
  });

  it('lets the scheduler list the refresh that was cut off', async () => {
    await insert('refreshing.sent');
    const child = await hold('other');
    expect(await due()).toEqual([]);
    await end(child);
    await eventually(async () => (await due()).length === 1);
  });

  it('lasts as long as the process, even when that is stopped', async () => {
    await insert('refreshing.sent');
    const child = await hold('other');
    child.kill('SIGSTOP');
    await silent();
    await quietFor(NEXT_LOOK_MS);
    expect(await claim()).toBeNull();
    expect(await due()).toEqual([]);
  });

  it('lasts a moment longer than the process, in case that only its connection has broken', async () => {
    await insert('refreshing.sent');
    await end(await hold('other'));
    await server.query(`UPDATE records SET claim_bound_at = clock_timestamp() + interval '1 minute'`, schema);
    await quietFor(NEXT_LOOK_MS);
    expect(await claim()).toBeNull();
  });

  it('lasts when the server has ended the session of a living process, which takes another one', async () => {
    await insert('refreshing.sent');
    await hold('other');
    const before = await locks();
    await server.query(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2`);
    await eventually(async () => (await locks()) === before);
    await silent();
    await quietFor(NEXT_LOOK_MS);
    expect(await claim()).toBeNull();
  });

  it('keeps to its lease where no refresh was under way', async () => {
    await insert('valid.fresh');
    await end(await hold('other'));
    await silent();
    await quietFor(NEXT_LOOK_MS);
    expect(await claim()).toBeNull();
  });

  it('keeps to its lease when it was made without a lock', async () => {
    await insert('refreshing.sent');
    await end(await hold('other'));
    await server.query('UPDATE records SET claim_bound_at = NULL', schema);
    await quietFor(NEXT_LOOK_MS);
    expect(await claim()).toBeNull();
  });

  it('is no dead one because another engine of the same process looks at it', async () => {
    await insert('refreshing.sent');
    const other = (await openPostgres(url, ports)).records;
    await other.claim(id, 'beside', HOUR);
    await silent();
    await quietFor(NEXT_LOOK_MS);
    expect(await claim()).toBeNull();
    await other.close();
    expect(await eventually(claim)).toMatchObject({ owner: 'me', fence: 2 });
  });

  it('is over although an owner of the same name lives in another schema', async () => {
    await insert('refreshing.sent');
    const namesake = (await openPostgres(server.freshUrl(), ports)).records;
    await namesake.claim('cr_none', 'other', HOUR);
    await end(await hold('other'));
    await silent();
    expect(await eventually(claim)).toMatchObject({ owner: 'me', fence: 2 });
    await namesake.close();
  });

  it('is renewed as one whose end would be noticed', async () => {
    await insert('refreshing.sent');
    const taken = await records.claim(id, 'me', HOUR);
    if (!taken) throw new Error('not claimed');
    await server.query('UPDATE records SET claim_bound_at = NULL', schema);
    expect(await records.renewClaim(taken, HOUR)).toBe(true);
    const [row] = await server.query('SELECT claim_bound_at IS NOT NULL AS bound FROM records', schema);
    expect(row).toEqual({ bound: true });
  });
});
