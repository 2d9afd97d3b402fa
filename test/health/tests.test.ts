import {
  ConfigurationError,
  ReauthorizationRequiredError,
  TransientError,
  type CredentialError,
} from '../../src/errors.ts';
import { DAY, ENTRY, HOUR, MINUTE, World } from './world.ts';

let world: World;

beforeEach(async () => {
  world = await World.open();
});

afterEach(() => world.close());

const away = (code: ConstructorParameters<typeof TransientError>[0]): TransientError =>
  new TransientError(code, 'Away.');
const refused = (): ReauthorizationRequiredError => new ReauthorizationRequiredError('ERR_OAUTH2_INVALID_GRANT', 'No.');
const endedThere = (): ReauthorizationRequiredError =>
  new ReauthorizationRequiredError('ERR_CREDENTIAL_REVOKED_UPSTREAM', 'It was revoked there.');

/** Lets the pauses between tries pass while a test runs. */
async function whilePassing<T>(work: Promise<T>, ms = 5_000): Promise<T> {
  const settled = work.catch(() => undefined);
  await world.rest();
  await world.pass(ms, 250);
  await settled;
  return work;
}

describe('tries', () => {
  it.each([
    'ERR_ENDPOINT_UNREACHABLE',
    'ERR_ENDPOINT_CONNECTION_LOST',
    'ERR_ENDPOINT_TIMEOUT',
    'ERR_ENDPOINT_UNAVAILABLE',
  ] as const)('tries three times when it meets %s, and passes at the third', async (code) => {
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push(away(code), away(code));
    expect(await whilePassing(world.engine.test(id))).toMatchObject({ success: true });
    expect(world.driver.asked.test).toBe(3);
  });

  it('gives up after the third', async () => {
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    for (let tries = 0; tries < 5; tries += 1) world.driver.testScript.push(away('ERR_ENDPOINT_UNAVAILABLE'));
    const result = await whilePassing(world.engine.test(id));
    expect(result).toMatchObject({
      success: false,
      message: expect.stringContaining('ERR_ENDPOINT_UNAVAILABLE') as string,
    });
    expect(world.driver.asked.test).toBe(3);
  });

  it.each<[string, () => CredentialError]>([
    ['a refused grant', refused],
    ['a wrong configuration', () => new ConfigurationError('ERR_OAUTH2_INVALID_CLIENT', 'timeout connection reset')],
    ['an endpoint that asks for fewer requests', () => away('ERR_ENDPOINT_RATE_LIMITED')],
  ])('does not repeat %s, whatever its sentence says', async (_sentence, error) => {
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push(error());
    expect(await whilePassing(world.engine.test(id))).toMatchObject({ success: false });
    expect(world.driver.asked.test).toBe(1);
  });

  it('does not repeat a rejection', async () => {
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push('rejected');
    expect(await whilePassing(world.engine.test(id))).toMatchObject({ success: false });
    expect(world.driver.asked.test).toBe(1);
  });

  it('ends a try after 30 s, also of a driver that does not heed its signal', async () => {
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push('hangs', 'hangs');
    const testing = world.engine.test(id);
    await world.rest();
    await world.pass(29_000, 1_000);
    expect(world.driver.asked.test).toBe(1);
    await world.pass(60_000, 500);
    expect(await testing).toMatchObject({ success: true });
    expect(world.driver.asked.test).toBe(3);
  });
});

describe('a test that is a login', () => {
  it.each([
    ['a driver that says so', true],
    ['a driver that says nothing', undefined],
  ])('is not repeated by %s once it may have been sent', async (_sentence, isLogin) => {
    world.driver.isLogin = isLogin;
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push(away('ERR_ENDPOINT_TIMEOUT'));
    expect(await whilePassing(world.engine.test(id))).toMatchObject({ success: false });
    expect(world.driver.asked.test).toBe(1);
  });

  it('is repeated when it certainly never left', async () => {
    world.driver.isLogin = true;
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push(away('ERR_ENDPOINT_UNREACHABLE'));
    expect(await whilePassing(world.engine.test(id))).toMatchObject({ success: true });
    expect(world.driver.asked.test).toBe(2);
  });

  it('that failed is not made again by schedule, nor followed by another login, until a person does', async () => {
    world.driver.isLogin = true;
    world.driver.issued = { lifeSeconds: null };
    const { id } = await world.engine.register(ENTRY);
    world.driver.testScript.push('rejected');
    await world.pass(10 * HOUR, 10 * MINUTE);
    expect(world.driver.asked).toMatchObject({ test: 2, confirm: 0, refresh: 1 });
    expect(await world.engine.get(id)).toMatchObject({ health: 'failing' });
    expect(await world.engine.test(id)).toMatchObject({ success: true });
    await world.pass(2 * HOUR, 10 * MINUTE);
    expect(world.driver.asked.test).toBeGreaterThan(3);
  });
});

describe('modes', () => {
  beforeEach(() => {
    world.driver.issued = { lifeSeconds: null };
  });

  it('tests on save unless asked not to', async () => {
    expect(await world.engine.register(ENTRY)).toMatchObject({ test: { success: true }, state: 'valid.fresh' });
    expect(await world.engine.register({ ...ENTRY, test: false })).toMatchObject({ test: null });
    expect(world.driver.asked.test).toBe(1);
  });

  it('tests every hour by schedule', async () => {
    await world.engine.register(ENTRY);
    await world.pass(4 * HOUR + MINUTE, 5 * MINUTE);
    expect(world.driver.asked.test).toBe(1 + 4);
  });

  it.each([
    [10 * MINUTE, 6, 6],
    [0, 0, 0],
  ])('tests every %d ms when a credential wants that', async (testEveryMs, least, most) => {
    await world.engine.register({ ...ENTRY, testEveryMs });
    await world.pass(HOUR + MINUTE, MINUTE);
    expect(world.driver.asked.test - 1).toBeGreaterThanOrEqual(least);
    expect(world.driver.asked.test - 1).toBeLessThanOrEqual(most);
  });

  it('never tests by schedule in an engine whose option says so', async () => {
    await world.close();
    world = await World.open({ health: { testEveryMs: 0 } });
    world.driver.issued = { lifeSeconds: null };
    await world.engine.register(ENTRY);
    await world.pass(5 * HOUR, 10 * MINUTE);
    expect(world.driver.asked.test).toBe(1);
  });

  it('skips by schedule what was tested in the last 5 minutes', async () => {
    const { id } = await world.engine.register(ENTRY);
    const { dueAt } = await world.engine.get(id);
    await world.pass((dueAt?.getTime() ?? 0) - world.clock.now().getTime() - MINUTE, MINUTE);
    // Another engine tests it without knowing the schedule of this one.
    const other = await world.another({ keeper: false, health: { testEveryMs: 0 } });
    await world.stores.records.putTest({
      ...{ credentialId: id, generation: 1, configVersion: (await lastTest(id))?.configVersion ?? '' },
      result: { ...(await world.engine.test(id, { cached: true })), testedAt: world.clock.now() },
    });
    const before = world.driver.asked.test;
    await world.pass(10 * MINUTE, MINUTE);
    expect(world.driver.asked.test).toBe(before);
    await world.pass(HOUR, MINUTE);
    expect(world.driver.asked.test).toBe(before + 1);
    await other.close();
  });

  it('tests on load what the last 5 minutes do not answer', async () => {
    await world.engine.register(ENTRY);
    const soon = await world.another({ keeper: false, health: { testOnLoad: true } });
    await world.rest();
    expect(world.driver.asked.test).toBe(1);
    await world.pass(6 * MINUTE);
    const later = await world.another({ keeper: false, health: { testOnLoad: true } });
    await world.rest();
    expect(world.driver.asked.test).toBe(2);
    // To close an engine on stores in memory empties them.
    await soon.close();
    await later.close();
  });

  it('does not test on load unless told to', async () => {
    await world.engine.register(ENTRY);
    await world.pass(6 * MINUTE);
    await world.another({ keeper: false });
    await world.rest();
    expect(world.driver.asked.test).toBe(1);
  });

  it('makes one scheduled test of two keepers on one store', async () => {
    await world.engine.register(ENTRY);
    const other = await world.another();
    await world.pass(HOUR + MINUTE, MINUTE);
    expect(world.driver.asked.test).toBe(2);
    await other.close();
  });
});

describe('who takes a fresh answer to a test that is a login', () => {
  const cached = (id: string) => world.engine.test(id, { cached: true });
  const loginRefused = (code: 'ERR_BASIC_REFUSED' | 'ERR_LDAP_TLS_FAILED' = 'ERR_BASIC_REFUSED') =>
    new ConfigurationError(code, 'scripted.example says no.');

  beforeEach(() => {
    world.driver.isLogin = true;
    world.driver.issued = { lifeSeconds: null };
  });

  it('hears for 5 minutes that it was refused, in every process, and nobody is asked', async () => {
    world.driver.refreshScript.push(loginRefused(), loginRefused());
    const { id } = await world.engine.register(ENTRY);
    const other = await world.another({ keeper: false });
    for (const engine of [world.engine, other, world.engine]) {
      expect(await engine.test(id, { cached: true })).toMatchObject({
        success: false,
        message: expect.stringContaining('scripted.example says no. [ERR_BASIC_REFUSED]'),
        details: { metadata: { code: 'ERR_BASIC_REFUSED' } },
      });
    }
    expect(world.driver.asked).toMatchObject({ refresh: 1, test: 0 });
    await world.pass(5 * MINUTE);
    expect(await cached(id)).toMatchObject({ success: false });
    expect(world.driver.asked).toMatchObject({ refresh: 2, test: 0 });
    await other.close();
  });

  it('hears the same when a use found it out', async () => {
    world.driver.refreshScript.push(loginRefused());
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    await expect(world.engine.use(id)).rejects.toMatchObject({ code: 'ERR_BASIC_REFUSED' });
    expect(await cached(id)).toMatchObject({ success: false });
    expect(world.driver.asked).toMatchObject({ refresh: 1, test: 0 });
  });

  it.each<[string, object]>([
    ['settings', { config: { at: 'two' } }],
    ['secret', { secret: { key: 'another' } }],
  ])('hears of a new try at once after other %s', async (_sentence, changes) => {
    world.driver.refreshScript.push(loginRefused());
    const { id } = await world.engine.register(ENTRY);
    await world.engine.update(id, changes, { test: false });
    expect(await cached(id)).toMatchObject({ success: true });
    expect(world.driver.asked.refresh).toBe(2);
  });

  it('hears of a new try at once when nothing was presented before', async () => {
    world.driver.notPresented = ['ERR_LDAP_TLS_FAILED'];
    world.driver.refreshScript.push(loginRefused('ERR_LDAP_TLS_FAILED'));
    const { id } = await world.engine.register(ENTRY);
    expect(await cached(id)).toMatchObject({ success: true });
  });

  it('hears of a new try at once when the failure may have passed', async () => {
    const { id } = await world.engine.register({ ...ENTRY, test: false });
    world.driver.testScript.push(away('ERR_ENDPOINT_TIMEOUT'));
    expect(await whilePassing(cached(id))).toMatchObject({ success: false });
    expect(await cached(id)).toMatchObject({ success: true });
    expect(world.driver.asked.test).toBe(2);
  });

  it('is asked again about a refusal that locks nobody out', async () => {
    world.driver.isLogin = false;
    world.driver.refreshScript.push(loginRefused());
    const { id } = await world.engine.register(ENTRY);
    expect(await cached(id)).toMatchObject({ success: true });
    expect(world.driver.asked.refresh).toBe(2);
  });
});

const lastTest = (id: string) => world.stores.records.getTest(id);

describe('the result of a test', () => {
  beforeEach(() => {
    world.driver.issued = { lifeSeconds: null };
  });

  it('answers for 5 minutes those who take it, in every process and after a restart, and never those who demand a test', async () => {
    const { id } = await world.engine.register(ENTRY);
    const other = await world.another({ keeper: false });
    await other.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(1);
    await other.test(id);
    expect(world.driver.asked.test).toBe(2);
    await world.pass(4 * MINUTE);
    await other.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(2);
    await world.pass(2 * MINUTE);
    await other.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(3);
    await other.close();
  });

  it('does not answer for another generation', async () => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.refresh(id);
    await world.engine.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(2);
  });

  it.each<[string, object]>([
    ['other settings', { config: { at: 'two' } }],
    ['another secret', { secret: { key: 'another' } }],
  ])('does not answer for %s', async (_sentence, changes) => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.update(id, changes, { test: false });
    await world.engine.use(id);
    await world.engine.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(2);
  });

  it('goes on to answer when only names change', async () => {
    const { id } = await world.engine.register(ENTRY);
    await world.engine.update(id, { name: 'Renamed', tags: ['a'] });
    await world.engine.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(1);
  });

  it('does not answer in a store whose clock was set back', async () => {
    const { id } = await world.engine.register(ENTRY);
    const test = await lastTest(id);
    if (test === null) throw new Error('no test');
    const later = new Date(world.clock.now().getTime() + DAY);
    await world.stores.records.putTest({ ...test, result: { ...test.result, testedAt: later } });
    await world.engine.test(id, { cached: true });
    expect(world.driver.asked.test).toBe(2);
  });
});

describe('F35', () => {
  test('F35 a token that was revoked upstream is noticed by the scheduled test and replaced, alarming nobody', async () => {
    world.driver.issued = { lifeSeconds: null };
    const { id } = await world.engine.register(ENTRY);
    world.driver.testScript.push('rejected');
    world.driver.confirmation = 'rejected';
    await world.pass(HOUR + MINUTE, MINUTE);
    expect(await world.engine.get(id)).toMatchObject({ state: 'valid.fresh', generation: 2, health: 'healthy' });
    expect(world.driver.asked).toMatchObject({ refresh: 2, confirm: 1 });
    expect(await world.types()).toEqual(['credential.registered', 'credential.refreshed', 'credential.refreshed']);
  });

  test('F35 a grant that was revoked upstream needs its user, who hears once, however many tests are due after', async () => {
    world.driver.issued = { lifeSeconds: 30 * 86_400 };
    const { id } = await world.engine.register(ENTRY);
    const other = await world.another();
    world.driver.testScript.push('rejected', 'rejected', 'rejected');
    world.driver.confirmation = 'rejected';
    world.driver.refreshScript.push(refused(), refused());
    await world.pass(6 * HOUR, MINUTE);
    expect(await world.engine.get(id)).toMatchObject({ state: 'expired.needsUser', reason: 'grantRefused' });
    await expect(world.engine.use(id)).rejects.toMatchObject({ code: 'ERR_OAUTH2_INVALID_GRANT' });
    const types = await world.types();
    expect(types.filter((type) => type === 'credential.needsUser')).toHaveLength(1);
    expect(types.filter((type) => type === 'health.failed')).toHaveLength(1);
    expect(world.driver.asked).toMatchObject({ refresh: 2, test: 2 });
    await other.close();
  });

  test('F35 a rejection that nobody confirms is an alarm and no refresh', async () => {
    world.driver.issued = { lifeSeconds: 30 * 86_400 };
    const { id } = await world.engine.register(ENTRY);
    world.driver.testScript.push('rejected');
    world.driver.confirmation = 'accepted';
    await world.pass(HOUR + MINUTE, MINUTE);
    expect(await world.engine.get(id)).toMatchObject({ state: 'valid.fresh', generation: 1, health: 'failing' });
    await world.pass(HOUR, MINUTE);
    expect(await world.engine.get(id)).toMatchObject({ health: 'healthy' });
    expect((await world.types()).slice(-2)).toEqual(['health.failed', 'health.recovered']);
  });

  test.each(['test', 'confirm', 'refresh'] as const)(
    'F35 a revocation that the other side names at the %s ends the credential, with one event',
    async (at) => {
      world.driver.issued = { lifeSeconds: 30 * 86_400 };
      const { id } = await world.engine.register(ENTRY);
      world.driver.testScript.push(at === 'test' ? endedThere() : 'rejected');
      world.driver.confirmation = at === 'confirm' ? endedThere() : 'rejected';
      if (at === 'refresh') world.driver.refreshScript.push(endedThere());
      await world.pass(5 * HOUR, MINUTE);
      expect(await world.engine.get(id)).toMatchObject({ state: 'revoked.upstream', reason: 'revokedUpstream' });
      await expect(world.engine.use(id)).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
      expect((await world.types()).filter((type) => type === 'credential.revoked')).toHaveLength(1);
      expect(world.driver.asked.test).toBe(2);
    },
  );
});
