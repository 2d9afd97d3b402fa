import { execFileSync } from 'node:child_process';
import { chownSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { CredentialEngine } from '../../src/engine.ts';
import { silentLogger, systemClock, systemRandom } from '../../src/ports.ts';
import { PostgresDatabase, type PostgresTransaction } from '../../src/storage/postgres-database.ts';
import { translate } from '../../src/storage/postgres-errors.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import { freePort } from '../../scripts/test/free-port.cjs';
import { PostgresServer } from '../servers/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { aRecord } from '../support/record.ts';

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
const SERVER_TIMEOUT_MS = 60_000;

let server: PostgresServer;
beforeAll(async () => {
  server = await PostgresServer.start(withCertificate);
}, SERVER_TIMEOUT_MS);
afterAll(() => server.stop());

/** A certificate for 127.0.0.1 that is its own authority. */
function withCertificate(folder: string): string[] {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const subject = ['-subj', '/CN=credlife test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files], {
    stdio: 'pipe',
  });
  if (process.getuid?.() === 0) {
    const id = Number(execFileSync('id', ['-u', 'postgres'], { encoding: 'utf8' }));
    chownSync(key, id, -1);
  }
  return ['ssl=on', `ssl_key_file=${key}`, `ssl_cert_file=${certificate}`];
}

async function refusalOf(url: string): Promise<{ code: string; text: string }> {
  const error: unknown = await openPostgres(url, ports).then(
    async ({ records }) => {
      await records.close();
      return new Error('opened');
    },
    (refused: unknown) => refused,
  );
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'none';
  return { code, text: String(error) };
}

describe('a PostgreSQL server', () => {
  it('that is away is named, without the password, and the code of the network', async () => {
    const port = await freePort();
    const { code, text } = await refusalOf(`postgres://app:canary-pw@127.0.0.1:${String(port)}/app`);
    expect(code).toBe('ERR_STORE_UNAVAILABLE');
    expect(text).toContain(`127.0.0.1:${String(port)}/app`);
    expect(text).toContain('ECONNREFUSED');
    expect(text).not.toContain('canary-pw');
  });

  it(
    'that accepts and never answers is given up',
    async () => {
      const silent: Server = createServer((socket) => socket.on('error', () => undefined).resume());
      const port = await freePort();
      await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
      expect(await refusalOf(`postgres://app:pw@127.0.0.1:${String(port)}/app`)).toMatchObject({
        code: 'ERR_STORE_UNAVAILABLE',
      });
      await new Promise((resolve) => silent.close(resolve));
    },
    SERVER_TIMEOUT_MS,
  );

  it.each([
    ['a wrong password', (url: URL) => (url.password = 'canary-pw'), '28P01'],
    ['a database that is not there', (url: URL) => (url.pathname = '/missing'), '3D000'],
  ])('says why it refuses %s', async (_sentence, change, why) => {
    const url = new URL(server.freshUrl());
    change(url);
    const { code, text } = await refusalOf(url.href);
    expect([code, text.includes(why), text.includes('canary-pw')]).toEqual(['ERR_STORE_UNAVAILABLE', true, false]);
  });

  it.each(['postgres://', 'postgres:app', 'postgres://h/d?schema=a-b', 'postgres://h/d?schema=x;DROP'])(
    'is not looked for at %s',
    async (url) => {
      expect((await refusalOf(url)).code).toBe('ERR_CONFIG_MALFORMED');
    },
  );

  it('is spoken to by TLS when the URL says so, and only if its certificate fits', async () => {
    const certificate = join(server.folder, 'certificate.pem');
    const trusted = `&sslmode=verify-full&sslrootcert=${encodeURIComponent(certificate)}`;
    const { records } = await openPostgres(server.url('tls', trusted), ports);
    const sql = `SELECT bool_and(s.ssl) AS tls FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
      WHERE a.application_name = 'credlife'`;
    expect(await server.query(sql)).toEqual([{ tls: true }]);
    await records.insert(aRecord(), []);
    await records.close();
    expect(readFileSync(certificate, 'utf8')).toContain('BEGIN CERTIFICATE');
    const { code, text } = await refusalOf(server.url('tls', '&sslmode=verify-full'));
    expect(code).toBe('ERR_STORE_UNAVAILABLE');
    expect(text).toMatch(/SELF_SIGNED|UNABLE_TO_VERIFY|SIGNATURE/);
    const elsewhere = server.url('tls', trusted).replace('127.0.0.1', 'localhost');
    expect((await refusalOf(elsewhere)).code).toBe('ERR_STORE_UNAVAILABLE');
  });

  it('refuses a schema of a newer version and changes nothing', async () => {
    await (await openPostgres(server.url('newer'), ports)).records.close();
    await server.query('UPDATE schema_version SET version = 99', 'newer');
    expect((await refusalOf(server.url('newer'))).code).toBe('ERR_STORE_SCHEMA_TOO_NEW');
    expect(await server.query('SELECT version FROM schema_version', 'newer')).toEqual([{ version: 99 }]);
  });

  it('tells one process of the writes of another, and no process of its own', async () => {
    const url = server.freshUrl();
    const one = (await openPostgres(url, ports)).records;
    const two = (await openPostgres(url, ports)).records;
    const before = two.changeMark();
    expect(two.changeMark()).toBe(before);
    await one.insert(aRecord(), []);
    await eventually(() => two.changeMark() !== before);
    const own = one.changeMark();
    await two.get(aRecord().id);
    expect(one.changeMark()).toBe(own);
    await Promise.all([one.close(), two.close()]);
  });

  it(
    'that crashes fails the calls under way, makes every mark stale, and is used again once it is back',
    async () => {
      const url = server.freshUrl();
      const { records } = await openPostgres(url, ports);
      await records.insert(aRecord({ config: { count: 1 } }), []);
      await server.crash();
      await expect(records.get(aRecord().id)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      await expect(records.claim(aRecord().id, 'o', 1_000)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
      // What cannot be heard may have happened: nothing that was read before may be served from memory.
      expect(records.changeMark()).not.toBe(records.changeMark());
      await server.resume();
      expect(await eventually(() => records.get(aRecord().id).catch(() => null))).toMatchObject({
        config: { count: 1 },
      });
      await eventually(() => records.changeMark() === records.changeMark());
      const other = (await openPostgres(url, ports)).records;
      const before = records.changeMark();
      await other.compareAndSet({ record: aRecord({ revision: 2 }), expectedRevision: 1 });
      await eventually(() => records.changeMark() !== before);
      await Promise.all([records.close(), other.close()]);
    },
    SERVER_TIMEOUT_MS,
  );

  it('ends what stalls or hangs, and waits for the disk even where the server is set not to', async () => {
    const database = await PostgresDatabase.open(server.freshUrl(), ports);
    const settings = `SELECT current_setting('idle_in_transaction_session_timeout') AS stalled,
      current_setting('statement_timeout') AS hanging, current_setting('synchronous_commit') AS durable`;
    await server.query('ALTER SYSTEM SET synchronous_commit = off');
    await server.query('SELECT pg_reload_conf()');
    await eventually(async () => (await database.find<{ durable: string }>(settings, []))[0]?.durable === 'off');
    expect(await database.transaction((tx) => tx.find(settings, []))).toEqual([
      { stalled: '3s', hanging: '30s', durable: 'on' },
    ]);
    const noted = `INSERT INTO meta SELECT 'durable', current_setting('synchronous_commit') FROM written RETURNING name`;
    await database.runAtOnce('written AS (SELECT count(*) FROM durable)', noted, []);
    expect(await database.find(`SELECT value FROM meta WHERE name = 'durable'`, [])).toEqual([{ value: 'on' }]);
    await server.query('ALTER SYSTEM RESET synchronous_commit');
    await database.close();
  });

  it('runs a transaction anew that lost to another one', async () => {
    const database = await PostgresDatabase.open(server.freshUrl(), ports);
    await database.run(`INSERT INTO meta VALUES ('a', '0'), ('b', '0')`);
    // Both connections are there before either waits in its transaction.
    await Promise.all([1, 2].map(() => database.find('SELECT pg_sleep(0.1)', [])));
    const add = (name: string) => `UPDATE meta SET value = (value::int + 1)::text WHERE name = '${name}'`;
    const runs = { ab: 0, ba: 0 };
    const bothHold = eventually(() => runs.ab > 0 && runs.ba > 0);
    const inOrder = (order: 'ab' | 'ba') =>
      database.transaction(async (tx) => {
        await tx.run(add(order.charAt(0)));
        runs[order] += 1;
        await bothHold;
        return tx.run(add(order.charAt(1)));
      });
    expect(await Promise.all([inOrder('ab'), inOrder('ba')])).toEqual([1, 1]);
    expect(runs.ab + runs.ba).toBeGreaterThan(2);
    const values = await database.find<{ value: string }>('SELECT value FROM meta WHERE name = ANY ($1)', [['a', 'b']]);
    expect(values).toEqual([{ value: '2' }, { value: '2' }]);
    await database.close();
  });

  it('that ended the session of a stalled transaction is said to be away, and serves the next one', async () => {
    const database = await PostgresDatabase.open(server.freshUrl(), ports);
    const ended = async (tx: PostgresTransaction): Promise<void> => {
      await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'`);
      await tx.run('SELECT 1');
    };
    await expect(database.transaction(ended)).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
    expect(await database.transaction((tx) => tx.run('SELECT 1'))).toBe(1);
    await database.close();
  });

  it('that ends a transaction by itself when it stalls has not failed in an unknown way', () => {
    const stalled = Object.assign(new Error('terminating connection due to idle-in-transaction timeout'), {
      code: '25P03',
    });
    expect(translate('db', stalled)).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' });
  });

  it('holds an engine, which finds its credentials again after a restart of both', async () => {
    const database = server.freshUrl();
    const masterKey = Buffer.alloc(32, 7);
    const entry = {
      protocol: 'oauth2',
      name: 'Machine',
      config: { tokenEndpoint: 'https://as.example/token', grantType: 'client_credentials', clientId: 'c' },
      secret: { clientSecret: 'canary-secret' },
      test: false,
    };
    const first = await CredentialEngine.open({ database, masterKey });
    const { id } = await first.register(entry);
    await first.close();
    const second = await CredentialEngine.open({ database, masterKey });
    expect(await second.get(id)).toMatchObject({ name: 'Machine', state: 'pending.unverified' });
    expect((await second.list({ name: 'mach' })).credentials).toHaveLength(1);
    await second.close();
    await expect(CredentialEngine.open({ database, masterKey: Buffer.alloc(32, 8) })).rejects.toMatchObject({
      code: 'ERR_KEYRING_MASTER_KEY_MISMATCH',
    });
  });
});
