import { BasicDriver } from '../../../src/protocols/basic/driver.ts';
import { basicAuthorization } from '../../../src/protocols/basic/request.ts';
import type { BasicRotationHook } from '../../../src/protocols/basic/rotation.ts';
import type { CredentialEngine } from '../../../src/engine.ts';
import { PasswordService, WEBHOOK_SECRET } from '../../servers/password-service.ts';
import { TestClock } from '../../support/clock.ts';
import { codeOf, rejectedCode } from '../../support/codes.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { PORTS } from '../ldap/support.ts';

let service: PasswordService;
let engine: CredentialEngine;
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;

beforeEach(async () => {
  service = await PasswordService.start();
  folder = temporaryFolder();
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock } });
});
afterEach(async () => {
  await engine.close();
  await service.stop();
  folder.dispose();
});

function entry(config: object = {}, secret: object = {}) {
  const { url, username, password } = service;
  return {
    protocol: 'basic',
    name: 'Legacy',
    config: { username, testUrl: `${url}/`, allowInsecureTransport: true, ...config },
    secret: { password, ...secret },
  };
}

describe('the header', () => {
  // RFC 7617 §2 and §2.1.
  it.each([
    ['Aladdin', 'open sesame', 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='],
    ['test', '123£', 'Basic dGVzdDoxMjPCow=='],
    ['a', 'b:c', 'Basic YTpiOmM='],
  ])('of %s and %s is that of the RFC', (username, password, header) => {
    expect(basicAuthorization(username, password)).toBe(header);
  });
});

describe('malformed input', () => {
  const driver = new BasicDriver(PORTS);
  it.each<[string, unknown]>([
    ['no user name', {}],
    ['a colon in the user name', { username: 'a:b' }],
    ['a line break in the user name', { username: 'a\nb' }],
    ['an unknown member', { username: 'a', password: 'b' }],
    ['http without its switch', { username: 'a', testUrl: 'http://x.test' }],
    ['a password in the URL', { username: 'a', testUrl: 'https://a:b@x.test' }],
    ['a rule without a URL', { username: 'a', testBodyIncludes: 'x' }],
    ['a switch that is a text', { username: 'a', allowInsecureTransport: 'true' }],
    ['no object', 'x'],
  ])('is refused: %s', (_what, config) => {
    expect(codeOf(() => driver.parseConfig(config))).toBe('ERR_CONFIG_MALFORMED');
  });

  it.each<[string, unknown]>([
    ['no password', {}],
    ['an empty one', { password: '' }],
    ['a control character', { password: 'a\u0000b' }],
    ['a day that is no instant', { password: 'a', passwordSetAt: 'yesterday' }],
    ['another member', { password: 'a', token: 'b' }],
  ])('is refused in the secret: %s', (_what, secret) => {
    expect(codeOf(() => driver.parseSecret(secret, driver.parseConfig({ username: 'a' })))).toBe(
      'ERR_CONFIG_MALFORMED',
    );
  });
});

describe('a Basic credential', () => {
  it('is registered, tested and used', async () => {
    const { id, state, test } = await engine.register(entry());
    expect(state).toBe('valid.fresh');
    expect(test).toMatchObject({
      success: true,
      details: { permissionsVerified: ['authenticate'], metadata: { checkedBy: 'testUrl', username: 'robot' } },
    });
    const { headers, expiresAt } = await engine.use(id);
    expect(headers).toEqual({ authorization: basicAuthorization('robot', service.password) });
    expect(expiresAt).toBeNull();
  });

  it('without a test URL says that nobody was asked', async () => {
    const { state, test } = await engine.register(entry({ testUrl: undefined }));
    expect(state).toBe('valid.fresh');
    expect(test).toMatchObject({
      success: true,
      details: { permissionsVerified: [], metadata: { checkedBy: 'nothing' } },
    });
    expect(service.logins).toBe(0);
  });

  it('with a wrong password costs one login and waits for a person', async () => {
    const { id, state, credential } = await engine.register(entry({}, { password: 'wrong' }));
    expect(state).toBe('pending.misconfigured');
    expect(credential.failure?.code).toBe('ERR_BASIC_REFUSED');
    for (let tries = 0; tries < 3; tries += 1) expect(await rejectedCode(engine.use(id))).toBe('ERR_BASIC_REFUSED');
    expect(service.refusedLogins).toBe(1);
  });

  it.each<[string, object, string]>([
    [
      'a page that greets everybody, by the rule for the body',
      { testBodyIncludes: 'Welcome' },
      'pending.misconfigured',
    ],
    ['a page that greets everybody, without a rule', {}, 'valid.fresh'],
    ['another status than the rule says', { testStatus: [204] }, 'pending.misconfigured'],
  ])('judges %s', async (_what, rule, state) => {
    service.greetsEverybody = true;
    expect((await engine.register(entry(rule, { password: 'wrong' }))).state).toBe(state);
  });

  it('follows no redirect with its password', async () => {
    const { credential } = await engine.register(entry({ testUrl: `${service.url}/moved` }));
    expect(credential.failure?.code).toBe('ERR_ENDPOINT_REDIRECTED');
  });

  it('warns of the age of its password, and fails its test when it is over', async () => {
    const passwordSetAt = new Date(clock.now().getTime() - 80 * 86_400_000).toISOString();
    const { id, credential } = await engine.register(entry({ maxPasswordAgeDays: 90 }, { passwordSetAt }));
    const endsAt = Date.parse(passwordSetAt) + 90 * 86_400_000;
    expect(credential.secretExpiresAt?.getTime()).toBe(endsAt);
    expect((await engine.test(id)).details.metadata['passwordAgeDays']).toBe('80');
    clock.advance(0);
    clock.stepWall(11 * 86_400_000);
    expect(await engine.test(id)).toMatchObject({ success: false, message: expect.stringContaining('91 days old') });
  });

  it('counts the age from its registration when nobody knows better, over refreshes', async () => {
    const { id, credential } = await engine.register(entry({ maxPasswordAgeDays: 90 }));
    const { secretExpiresAt } = credential;
    expect(secretExpiresAt).not.toBeNull();
    clock.stepWall(86_400_000);
    expect((await engine.refresh(id)).secretExpiresAt).toEqual(secretExpiresAt);
  });
});

describe('rotation', () => {
  const hooked = { rotationWebhookUrl: '' };

  async function registered() {
    hooked.rotationWebhookUrl = `${service.url}/webhook`;
    return engine.register(entry(hooked, { webhookSecret: WEBHOOK_SECRET }));
  }

  it('tells the webhook of each step, and the old password is dead afterwards', async () => {
    const before = service.password;
    const { id } = await registered();
    await engine.rotate(id);
    const { headers } = await engine.use(id);
    expect(service.password).not.toBe(before);
    expect(headers).toEqual({ authorization: basicAuthorization('robot', service.password) });
    expect(service.steps.map(({ step }) => step).slice(0, 3)).toEqual(['set', 'test', 'finish']);
    expect(service.steps[0]).toMatchObject({ username: 'robot', current: before, other: service.password });
    expect(service.refusedLogins).toBe(0);
  });

  it.each([409, 422])('makes another candidate when the webhook says %i', async (status) => {
    const { id } = await registered();
    service.nextWebhookStatus = status;
    const { state } = await engine.rotate(id);
    expect(state).toBe('valid.fresh');
    const refused = service.steps[0]?.other;
    expect(service.password).not.toBe(refused);
  });

  it('keeps the old password when the webhook refuses', async () => {
    const before = service.password;
    const { id } = await registered();
    service.nextWebhookStatus = 403;
    await engine.rotate(id);
    expect(service.password).toBe(before);
    expect((await engine.use(id)).headers).toEqual({ authorization: basicAuthorization('robot', before) });
  });

  it('without webhook and hook says that it cannot, and leaves everything as it is', async () => {
    const { id } = await engine.register(entry());
    const { rotation } = await engine.rotate(id);
    expect(rotation).toMatchObject({ state: 'failed', failure: { code: 'ERR_ROTATION_UNSUPPORTED' } });
    expect((await engine.use(id)).headers).toEqual({ authorization: basicAuthorization('robot', service.password) });
  });

  it('needs the secret that signs to the webhook', () => {
    const driver = new BasicDriver(PORTS);
    const config = driver.parseConfig({ username: 'a', rotationWebhookUrl: 'https://x.test' });
    expect(codeOf(() => driver.parseSecret({ password: 'a' }, config))).toBe('ERR_CONFIG_MALFORMED');
  });

  it('goes through the hook of a host’s own driver', async () => {
    const told: string[] = [];
    const hook: BasicRotationHook = {
      set: ({ other, current }) => {
        told.push('set');
        expect(current.unwrap()).toBe(service.password);
        service.password = other.unwrap();
        return Promise.resolve();
      },
      finish: () => {
        told.push('finish');
        return Promise.resolve();
      },
    };
    await engine.close();
    engine = await openEngine(folder.path, {
      drivers: (ports) => [new BasicDriver(ports, { protocol: 'legacy', hook })],
    });
    const { id } = await engine.register({ ...entry(), protocol: 'legacy' });
    await engine.rotate(id);
    expect(told).toEqual(['set', 'finish']);
    expect((await engine.use(id)).headers).toEqual({ authorization: basicAuthorization('robot', service.password) });
  });
});
