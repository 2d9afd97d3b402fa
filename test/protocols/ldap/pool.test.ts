import { LdapDriver } from '../../../src/protocols/ldap/driver.ts';
import { FairGate } from '../../../src/protocols/ldap/gate.ts';
import type { Directory } from '../../../src/protocols/directory.ts';
import { FakeLdapServer, OPERATIONS, type Script } from '../../servers/fake-ldap.ts';
import { TestClock } from '../../support/clock.ts';
import { rejectedCode } from '../../support/codes.ts';
import { eventually } from '../../support/eventually.ts';
import { directoryOf, NEVER, PORTS } from './support.ts';

let clock: TestClock;
let server: FakeLdapServer;
let driver: LdapDriver;
let script: { answer?: NonNullable<Script['answer']> };

beforeEach(async () => {
  clock = new TestClock();
  script = {};
  server = await FakeLdapServer.start({ answer: (pdu, socket) => script.answer?.(pdu, socket) });
  driver = new LdapDriver({ ...PORTS, clock });
});
afterEach(async () => {
  await driver.close();
  await server.stop();
});

function directory(config: object = {}): Directory {
  const where = { url: server.url, allowInsecureTransport: true, baseDn: 'dc=example,dc=test' };
  const account = { bindDn: 'cn=service,dc=example,dc=test' };
  return directoryOf(driver, { config: { ...where, ...account, ...config }, secret: { password: 'password' } });
}

/** Searches stay without an answer until they are let go. */
function holdSearches(): void {
  script.answer = ({ operation }) => (operation === OPERATIONS.search ? Buffer.alloc(0) : undefined);
}

function operationsOf(connection: number): number[] {
  return server.pdus.filter((pdu) => pdu.connection === connection).map(({ operation }) => operation);
}

describe('a gate', () => {
  it('lets in first who came first, and nobody overtakes', async () => {
    const gate = new FairGate({ host: 'x', clock, places: 2, waitMs: 60_000 });
    const entered: number[] = [];
    const releases: (() => void)[] = [];
    const visit = (name: number): Promise<void> =>
      gate.run(async () => {
        entered.push(name);
        await new Promise<void>((resolve) => releases.push(resolve));
      }, NEVER);
    const visits = Array.from({ length: 20 }, (_, name) => visit(name));
    for (let served = 0; served < 20; served += 1) {
      await eventually(() => releases.length > served);
      expect(gate.inside).toBeLessThanOrEqual(2);
      releases[served]?.();
      // Comes when a place is about to be free, and still stands at the end.
      if (served === 5) visits.push(visit(99));
    }
    await eventually(() => releases.length > 20);
    releases[20]?.();
    await Promise.all(visits);
    expect(entered).toEqual([...Array.from({ length: 20 }, (_, name) => name), 99]);
    expect([gate.inside, gate.waiting]).toEqual([0, 0]);
  });

  it('gives a place back when its task fails', async () => {
    const gate = new FairGate({ host: 'x', clock, places: 1, waitMs: 60_000 });
    await expect(gate.run(() => Promise.reject(new Error('no')), NEVER)).rejects.toThrow('no');
    expect(await gate.run(() => Promise.resolve('yes'), NEVER)).toBe('yes');
  });

  it('is left by who does not want to wait any longer', async () => {
    const gate = new FairGate({ host: 'x', clock, places: 1, waitMs: 60_000 });
    let release = (): void => undefined;
    const first = gate.run(() => new Promise<void>((resolve) => (release = resolve)), NEVER);
    const controller = new AbortController();
    const second = gate.run(() => Promise.resolve(), controller.signal);
    controller.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    expect(gate.waiting).toBe(0);
    release();
    await first;
  });
});

describe('the pool', () => {
  it('lets nobody wait longer than allowed', async () => {
    holdSearches();
    const one = directory({ maxConnections: 1, acquireTimeoutMs: 5_000, operationTimeoutMs: 60_000 });
    const first = rejectedCode(one.search({}));
    await eventually(() => operationsOf(1).includes(OPERATIONS.search));
    const second = rejectedCode(one.search({}));
    clock.advance(5_000);
    expect(await second).toBe('ERR_LDAP_POOL_EXHAUSTED');
    expect(server.connections).toBe(1);
    server.dropAll();
    expect(await first).toBe('ERR_ENDPOINT_CONNECTION_LOST');
  });

  it('uses one connection again and again', async () => {
    for (let times = 0; times < 5; times += 1) await directory().search({});
    expect(server.connections).toBe(1);
    expect(server.binds).toBe(1);
  });

  it('proves a connection that was idle, and only then', async () => {
    const it = directory();
    await it.search({});
    const asked = operationsOf(1).length;
    await it.search({});
    expect(operationsOf(1).slice(asked)).toEqual([OPERATIONS.search]);
    clock.advance(30_000);
    await it.search({});
    expect(operationsOf(1).slice(asked + 1)).toEqual([OPERATIONS.extended, OPERATIONS.search]);
  });

  it('replaces a connection at its greatest age', async () => {
    const it = directory({ idleTimeoutMs: 3_600_000, idleCheckAfterMs: 3_600_000 });
    await it.search({});
    clock.advance(1_800_000);
    await it.search({});
    expect(server.connections).toBe(2);
    expect(operationsOf(2)[0]).toBe(OPERATIONS.bind);
  });

  it('ends what nobody uses', async () => {
    let closed = 0;
    script.answer = (pdu, socket) => {
      if (pdu.operation === OPERATIONS.bind) socket.once('close', () => (closed += 1));
      return undefined;
    };
    await directory().search({});
    clock.advance(120_000);
    await eventually(() => closed === 1);
  });

  it('asks a question once more when its connection turns out to be dead, and only once', async () => {
    const it = directory();
    await it.search({});
    let drops = 1;
    script.answer = ({ operation }, socket) => {
      if (operation !== OPERATIONS.search || drops === 0) return undefined;
      drops -= 1;
      socket.destroy();
      return Buffer.alloc(0);
    };
    await it.search({});
    expect(server.connections).toBe(2);
    drops = 5;
    expect(await rejectedCode(it.search({}))).toBe('ERR_ENDPOINT_CONNECTION_LOST');
    expect(drops).toBe(3);
  });

  it('says that the server does not answer, and gives the connection up', async () => {
    holdSearches();
    expect(await rejectedCode(directory({ operationTimeoutMs: 50 }).search({}))).toBe('ERR_ENDPOINT_TIMEOUT');
    script = {};
    await directory({ operationTimeoutMs: 50 }).search({});
    expect(server.connections).toBe(2);
  });
});
