import type { CredentialEngine } from '../../src/engine.ts';
import type { Directory } from '../../src/protocols/directory.ts';
import type { CredentialEvent } from '../../src/lifecycle/events.ts';
import { CountingProxy } from '../servers/counting-proxy.ts';
import {
  serviceDn,
  servicePassword,
  SlapdServer,
  SPECIAL_PASSWORD,
  PEOPLE,
  uidOf,
  userDn,
  userPassword,
} from '../servers/slapd.ts';
import { rejectedCode } from '../support/codes.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { DirectoryPoll } from '../support/poll.ts';
import { slapdEntry } from '../protocols/ldap/support.ts';

let server: SlapdServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let events: CredentialEvent[];

beforeAll(async () => {
  server = await SlapdServer.start();
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  folder = temporaryFolder();
  engine = await openEngine(folder.path);
  events = [];
  engine.on('*', (event) => events.push(event));
});
afterEach(async () => {
  await engine.close();
  folder.dispose();
});

async function register(config: object = {}, secret: object = {}) {
  return engine.register({ protocol: 'ldap', name: 'Directory', ...slapdEntry(server, { config, secret }) });
}

async function directoryOf(id: string): Promise<Directory> {
  const { directory } = await engine.use(id);
  if (directory === undefined) throw new Error('no directory');
  return directory;
}

function types(): string[] {
  return events.map(({ type }) => type);
}

describe('a directory credential', () => {
  it('is valid after its registration, is used without a login of its own, and shows what was learned', async () => {
    const { id, state, test } = await register();
    expect(state).toBe('valid.fresh');
    expect(test).toMatchObject({ success: true, details: { permissionsVerified: ['bind', 'search'] } });
    const material = await engine.use(id);
    expect(material).toMatchObject({ headers: {}, expiresAt: null, generation: 1 });
    expect(await material.directory?.whoAmI()).toBe(`dn:${serviceDn('service')}`);
    expect((await engine.refresh(id)).generation).toBe(2);
  });

  it.each<[string, object, string, string, string]>([
    ['a wrong password', {}, 'wrong-password', 'pending.misconfigured', 'ERR_LDAP_INVALID_CREDENTIALS'],
    ['another host name', { serverName: 'other.test' }, 'x', 'pending.misconfigured', 'ERR_LDAP_TLS_FAILED'],
    [
      'an expired password',
      { bindDn: `uid=expired,${PEOPLE}` },
      SPECIAL_PASSWORD,
      'expired.needsUser',
      'ERR_LDAP_PASSWORD_EXPIRED',
    ],
    [
      'a password to be changed',
      { bindDn: `uid=mustchange,${PEOPLE}` },
      SPECIAL_PASSWORD,
      'expired.needsUser',
      'ERR_LDAP_PASSWORD_MUST_CHANGE',
    ],
  ])('F51 with %s waits for a person', async (_what, config, password, state, code) => {
    const registered = await register(config, { password });
    expect(registered.state).toBe(state);
    expect(registered.credential.failure?.code).toBe(code);
    expect(await rejectedCode(engine.use(registered.id))).toBe(code);
  });

  it('is tried again when asked after a failure that presented no password, and only then', async () => {
    const failedAtOf = async (id: string) => (await engine.get(id)).failure?.at.getTime() ?? 0;
    const strangeHost = await register({ serverName: 'other.test' });
    const wrongPassword = await register({ bindDn: userDn(911) }, { password: 'wrong-password' });
    const before = await Promise.all([strangeHost, wrongPassword].map(({ id }) => failedAtOf(id)));
    for (const { id } of [strangeHost, wrongPassword]) await engine.test(id, { cached: true });
    expect(await failedAtOf(strangeHost.id)).toBeGreaterThan(before[0] ?? Infinity);
    expect(await failedAtOf(wrongPassword.id)).toBe(before[1]);
    expect(await server.failedLogins(userDn(911))).toBe(1);
  });

  it('F51 a wrong password costs one login, whatever is asked afterwards', async () => {
    const dn = userDn(901);
    const { id } = await register({ bindDn: dn }, { password: 'wrong-password' });
    expect(await server.failedLogins(dn)).toBe(1);
    for (let tries = 0; tries < 5; tries += 1)
      expect(await rejectedCode(engine.use(id))).toBe('ERR_LDAP_INVALID_CREDENTIALS');
    expect(await server.failedLogins(dn)).toBe(1);
  });

  it('F51 a password that was changed elsewhere costs two logins at most, and the account stays open', async () => {
    const dn = userDn(902);
    const { id } = await register({ bindDn: dn }, { password: userPassword(902) });
    const { generation } = await engine.use(id);
    await server.as(dn, userPassword(902), async (client) => {
      await client.exop('1.3.6.1.4.1.4203.1.11.1', passwordModify(userPassword(902), 'An0ther-Password'));
    });
    for (let tries = 0; tries < 3; tries += 1) await engine.reportRejected(id, generation);
    for (let tries = 0; tries < 3; tries += 1) await engine.test(id);
    expect((await engine.get(id)).state).toBe('valid.degraded');
    expect(await server.failedLogins(dn)).toBeLessThanOrEqual(2);
    expect(await server.accepts(dn, 'An0ther-Password')).toBe(true);
  });

  it('F51 a locked account is told apart from a wrong password', async () => {
    const dn = userDn(903);
    for (let tries = 0; tries < 3; tries += 1) await server.accepts(dn, 'wrong-password');
    const { state, credential } = await register({ bindDn: dn }, { password: userPassword(903) });
    expect(state).toBe('expired.needsUser');
    expect(credential.failure?.code).toBe('ERR_LDAP_ACCOUNT_LOCKED');
  });

  it('reads when its password ends', async () => {
    const { credential } = await register({ bindDn: `uid=warned,${PEOPLE}` }, { password: SPECIAL_PASSWORD });
    expect(credential.secretExpiresAt?.getTime()).toBeGreaterThan(Date.now());
    expect(credential.secretExpiresAt?.getTime()).toBeLessThan(Date.now() + 86_400_000);
  });

  it('ends its connections with the engine', async () => {
    const proxy = await CountingProxy.start(server.port);
    const { id } = await register({ url: `ldap://localhost:${String(proxy.port)}` });
    await (await directoryOf(id)).whoAmI();
    expect(proxy.open).toBeGreaterThan(0);
    await engine.close();
    await eventually(() => proxy.open === 0);
    await proxy.stop();
  });
});

describe('many at once', () => {
  it('get the answer that is theirs, over no more sockets than allowed', async () => {
    const proxy = await CountingProxy.start(server.port);
    const { id } = await register({
      url: `ldap://localhost:${String(proxy.port)}`,
      maxConnections: 10,
      maxUserBinds: 10,
      acquireTimeoutMs: 60_000,
    });
    const directory = await directoryOf(id);
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        // Every fourth has a wrong password: the one of somebody else.
        const isRight = index % 4 !== 3;
        const password = isRight ? userPassword(index) : userPassword(index + 1);
        const answer = await directory.authenticate(uidOf(index), password);
        return answer.outcome === 'authenticated'
          ? `${String(index)} ${answer.user.dn}`
          : `${String(index)} ${answer.reason}`;
      }),
    );
    const expected = Array.from({ length: 200 }, (_, index) =>
      index % 4 === 3 ? `${String(index)} invalidCredentials` : `${String(index)} ${userDn(index)}`,
    );
    expect(answers).toEqual(expected);
    expect(proxy.most).toBeLessThanOrEqual(20);
    // The pool is still bound as the account, not as any of them.
    const identities = await Promise.all(Array.from({ length: 20 }, () => directory.whoAmI()));
    expect(new Set(identities)).toEqual(new Set([`dn:${serviceDn('service')}`]));
    await proxy.stop();
  });
});

describe('a server that dies and comes back', () => {
  it('F51 is told apart from a refusal, once each way, and answers again by itself, as the account', async () => {
    const { id } = await register({ connectTimeoutMs: 2_000 });
    const directory = await directoryOf(id);
    await Promise.all(Array.from({ length: 10 }, () => directory.whoAmI()));
    events = [];
    await server.crash();
    expect(['ERR_ENDPOINT_UNREACHABLE', 'ERR_ENDPOINT_CONNECTION_LOST']).toContain(
      await rejectedCode(directory.whoAmI()),
    );
    for (let tries = 0; tries < 3; tries += 1) expect((await engine.test(id)).success).toBe(false);
    await engine.refresh(id);
    expect(await engine.get(id)).toMatchObject({ health: 'failing', state: 'valid.expiringSoon' });
    await server.resume();
    const identities = await Promise.all(Array.from({ length: 20 }, () => directory.whoAmI()));
    expect(new Set(identities)).toEqual(new Set([`dn:${serviceDn('service')}`]));
    await engine.refresh(id);
    for (let tries = 0; tries < 3; tries += 1) expect((await engine.test(id)).success).toBe(true);
    expect(await engine.get(id)).toMatchObject({ health: 'healthy', state: 'valid.fresh' });
    expect(types().filter((type) => type.startsWith('health.'))).toEqual(['health.failed', 'health.recovered']);
    expect(types().filter((type) => type === 'credential.recovered')).toHaveLength(1);
  });
});

describe('the rotation of one account', () => {
  it.each<[string, number, object, object]>([
    ['by itself', 910, {}, {}],
    [
      'by a second principal',
      911,
      { rotatorDn: serviceDn('rotator') },
      { rotatorPassword: servicePassword('rotator') },
    ],
  ])('%s kills the old password, and no user of the engine sees it', async (_how, index, config, secret) => {
    const dn = userDn(index);
    const proxy = await CountingProxy.start(server.port);
    const seen = { url: `ldap://localhost:${String(proxy.port)}`, allowInsecureTransport: true };
    const { id } = await register({ ...seen, bindDn: dn, ...config }, { password: userPassword(index), ...secret });
    const poll = new DirectoryPoll(engine, id);
    await eventually(() => poll.uses > 2);
    const rotated = await engine.rotate(id);
    const before = poll.uses;
    await eventually(() => poll.uses > before + 2);
    await poll.end();
    expect(poll.failures).toEqual([]);
    expect(rotated.state).toBe('valid.fresh');
    const { account } = await directoryOf(id);
    expect(account.password?.unwrap()).not.toBe(userPassword(index));
    expect(await server.accepts(dn, account.password?.unwrap() ?? '')).toBe(true);
    expect(await server.accepts(dn, userPassword(index))).toBe(false);
    expect(proxy.refusedBinds).toBe(0);
    await proxy.stop();
  });
});

describe('the rotation of two accounts', () => {
  it('alternates, and who binds by himself sees no error either', async () => {
    const dns = [userDn(920), userDn(921)] as const;
    const proxy = await CountingProxy.start(server.port);
    await engine.close();
    engine = await openEngine(folder.path, { keeper: true });
    const seen = { url: `ldap://localhost:${String(proxy.port)}`, allowInsecureTransport: true };
    const { id } = await register(
      { ...seen, bindDn: dns[0], standbyBindDn: dns[1] },
      { password: userPassword(920), standbyPassword: userPassword(921) },
    );
    const poll = new DirectoryPoll(engine, id);
    const failures: unknown[] = [];
    const byHimself = async (): Promise<string> => {
      const { account } = await directoryOf(id);
      await server
        .as(account.bindDn ?? '', account.password?.unwrap() ?? '', () => Promise.resolve())
        .catch((error: unknown) => {
          failures.push(error);
        });
      return account.bindDn ?? '';
    };
    expect(await byHimself()).toBe(dns[0]);
    const held = (await directoryOf(id)).account;
    await engine.rotate(id);
    expect(await byHimself()).toBe(dns[1]);
    // Who took the credential before the rotation can still bind with it: it is retired on proof or after its grace.
    expect(await server.accepts(dns[0], held.password?.unwrap() ?? '')).toBe(true);
    // The proof: the other side has accepted the new one. Then the old password dies, and the next rotation goes back.
    await engine.test(id);
    await eventually(async () => !(await server.accepts(dns[0], held.password?.unwrap() ?? '')));
    await engine.rotate(id);
    expect(await byHimself()).toBe(dns[0]);
    await poll.end();
    expect([...poll.failures, ...failures]).toEqual([]);
    expect(proxy.refusedBinds).toBe(0);
    await proxy.stop();
  });
});

function passwordModify(old: string, next: string): Buffer {
  const part = (tag: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([tag, bytes.length]), bytes]);
  return part(0x30, Buffer.concat([part(0x81, Buffer.from(old)), part(0x82, Buffer.from(next))]));
}
