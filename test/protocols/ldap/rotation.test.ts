import { LdapDriver } from '../../../src/protocols/ldap/driver.ts';
import type { JsonObject } from '../../../src/json.ts';
import type { DriverInput, RotationInput } from '../../../src/protocols/protocol.ts';
import type { Secret } from '../../../src/secret.ts';
import { CountingProxy } from '../../servers/counting-proxy.ts';
import {
  PEOPLE,
  serviceDn,
  servicePassword,
  SlapdServer,
  SPECIAL_PASSWORD,
  userDn,
  userPassword,
} from '../../servers/slapd.ts';
import { codeOf, rejectedCode } from '../../support/codes.ts';
import { inputOf, PORTS, slapdEntry } from './support.ts';

let server: SlapdServer;
let proxy: CountingProxy;
let driver: LdapDriver;

beforeAll(async () => {
  server = await SlapdServer.start();
});
afterAll(async () => {
  await server.stop();
});
beforeEach(async () => {
  proxy = await CountingProxy.start(server.port);
  driver = new LdapDriver(PORTS);
});
afterEach(async () => {
  await driver.close();
  await proxy.stop();
});

function account(index: number, config: object = {}, secret: object = {}): DriverInput {
  const seen = { url: `ldap://localhost:${String(proxy.port)}`, allowInsecureTransport: true };
  return inputOf(
    driver,
    slapdEntry(server, {
      config: { ...seen, bindDn: userDn(index), ...config },
      secret: { password: userPassword(index), ...secret },
    }),
  );
}

async function begun(input: DriverInput, previous: Secret<JsonObject> | null = null): Promise<RotationInput> {
  const candidate = await driver.rotation.create({ ...input, previous });
  return { ...input, candidate, resumed: false };
}

function passwordIn(secret: Secret<JsonObject>): string {
  const { password } = secret.unwrap();
  return typeof password === 'string' ? password : '';
}

const BY_OTHER = [{ rotatorDn: serviceDn('rotator') }, { rotatorPassword: servicePassword('rotator') }] as const;

describe('the candidate', () => {
  it('is made without anybody being asked, and is another one each time', async () => {
    const input = account(800);
    const candidates = [await begun(input), await begun(input)].map(({ candidate }) => passwordIn(candidate));
    expect(new Set(candidates).size).toBe(2);
    for (const password of candidates) expect(password).toMatch(/^[\w-]{40}$/);
    expect(proxy.total).toBe(0);
  });

  it('that a policy does not take is told apart from a failure', async () => {
    const input = inputOf(
      driver,
      slapdEntry(server, {
        config: { bindDn: `uid=strict,${PEOPLE}` },
        secret: { password: SPECIAL_PASSWORD },
      }),
    );
    expect(await rejectedCode(driver.rotation.set(await begun(input)))).toBe('ERR_ROTATION_CANDIDATE_REFUSED');
    expect(await server.accepts(`uid=strict,${PEOPLE}`, SPECIAL_PASSWORD)).toBe(true);
  });

  it('of an account with a certificate is none', () => {
    const { certificate: clientCertificate, key: clientKey } = server.client;
    const input = inputOf(driver, {
      config: { ...slapdEntry(server).config, url: server.tlsUrl, bindMethod: 'external', bindDn: undefined },
      secret: { clientCertificate, clientKey },
    });
    expect(codeOf(() => void driver.rotation.create({ ...input, previous: null }))).toBe('ERR_ROTATION_UNSUPPORTED');
  });
});

describe('each step', () => {
  it.each<[string, number, object, object, number]>([
    // Nobody but itself can see how far it got: one login with the candidate may fail.
    ['of one account alone', 810, {}, {}, 1],
    ['of one account, by a second principal', 811, ...BY_OTHER, 0],
    ['of two accounts', 812, { standbyBindDn: userDn(813) }, { standbyPassword: userPassword(813) }, 0],
  ])('%s can be made again, and tries in vain once at most', async (_how, index, config, secret, most) => {
    const input = account(index, config, secret);
    const rotation = await begun(input);
    // Begun and perhaps never made; made; made and its answer lost.
    await driver.rotation.set({ ...rotation, resumed: true });
    expect(proxy.refusedBinds).toBeLessThanOrEqual(most);
    await driver.rotation.set({ ...rotation, resumed: true });
    await driver.rotation.set({ ...rotation, resumed: true });
    expect(proxy.refusedBinds).toBeLessThanOrEqual(most);
    const issued = await driver.rotation.test(rotation);
    expect(issued).toMatchObject({ expiresAt: null, refreshable: true });
    await driver.rotation.finish();
    expect(await driver.rotation.test({ ...rotation, resumed: true })).toMatchObject({ refreshable: true });
    expect(proxy.refusedBinds).toBeLessThanOrEqual(most);
  });
});

describe('retiring', () => {
  it('leaves the old password of one account dead, and makes no failed login', async () => {
    const input = account(820);
    const rotation = await begun(input);
    await driver.rotation.set(rotation);
    const after = { ...input, registered: rotation.candidate };
    for (let times = 0; times < 2; times += 1) {
      expect(await driver.rotation.retire({ ...after, retired: input.registered })).toBe('retired');
    }
    expect(proxy.refusedBinds).toBe(0);
    expect(await server.accepts(userDn(820), userPassword(820))).toBe(false);
    expect(await server.accepts(userDn(820), passwordIn(rotation.candidate))).toBe(true);
  });

  it.each<[string, number, object, object]>([
    ['alone', 830, {}, { standbyPassword: userPassword(831) }],
    ['by a second principal', 832, BY_OTHER[0], BY_OTHER[1]],
  ])(
    'kills the old password of two accounts, %s, and the next rotation finds its way',
    async (_how, index, config, secret) => {
      const first = account(index, { standbyBindDn: userDn(index + 1), ...config }, secret);
      const rotation = await begun(first);
      await driver.rotation.set(rotation);
      expect(await server.accepts(userDn(index), userPassword(index))).toBe(true);
      const second = { ...first, registered: rotation.candidate };
      for (let times = 0; times < 2; times += 1) {
        expect(await driver.rotation.retire({ ...second, retired: first.registered })).toBe('retired');
      }
      expect(await server.accepts(userDn(index), userPassword(index))).toBe(false);
      const back = await begun(second, first.registered);
      await driver.rotation.set(back);
      expect(await server.accepts(userDn(index), passwordIn(back.candidate))).toBe(true);
    },
  );

  it('that was never made does not stop the next rotation of two accounts', async () => {
    const first = account(840, { standbyBindDn: userDn(841) }, { standbyPassword: userPassword(841) });
    const rotation = await begun(first);
    await driver.rotation.set(rotation);
    const second = { ...first, registered: rotation.candidate };
    const back = await begun(second, first.registered);
    await driver.rotation.set(back);
    expect(proxy.refusedBinds).toBeLessThanOrEqual(1);
    expect(await server.accepts(userDn(840), passwordIn(back.candidate))).toBe(true);
  });

  it.each<[string, string, object, object]>([
    ['by itself', 'warned', {}, {}],
    ['by a second principal', 'aging', ...BY_OTHER],
  ])('a dropped candidate brings back what is in use, %s', async (_how, uid, config, secret) => {
    const dn = `uid=${uid},${PEOPLE}`;
    const input = account(0, { bindDn: dn, ...config }, { password: SPECIAL_PASSWORD, ...secret });
    const rotation = await begun(input);
    await driver.rotation.set(rotation);
    expect(await server.accepts(dn, SPECIAL_PASSWORD)).toBe(false);
    expect(await driver.rotation.retire({ ...input, retired: rotation.candidate })).toBe('retired');
    expect(await server.accepts(dn, SPECIAL_PASSWORD)).toBe(true);
    expect(await server.accepts(dn, passwordIn(rotation.candidate))).toBe(false);
  });

  it('says so when the policy does not take the old password back', async () => {
    const input = account(850);
    const rotation = await begun(input);
    await driver.rotation.set(rotation);
    const back = driver.rotation.retire({ ...input, retired: rotation.candidate });
    expect(await rejectedCode(back)).toBe('ERR_ROTATION_CANDIDATE_REFUSED');
    expect(await server.accepts(userDn(850), passwordIn(rotation.candidate))).toBe(true);
  });
});
