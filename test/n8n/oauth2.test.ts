import { beforeAll, describe, expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import { errorOf, World } from './world.ts';

const started = Started.inSuite();
let world: World;

beforeAll(async () => {
  world = await started.add(World.start());
});

/** Scopes in another order are another credential for the engine, so that tests do not share tokens. */
const ownScope = {
  items: 'offline_access openid',
  executions: 'openid',
  revoked: 'openid api',
  aside: 'api openid',
  confirmed: 'offline_access',
  unconfirmed: 'offline_access api',
  edited: 'api offline_access',
};

describe('the test of OAuth2 (Lifecycle)', () => {
  it('answers OK with a good secret', async () => {
    const credential = await world.lifecycleOAuth2();
    await expect(world.n8n.testCredential(credential, world.form())).resolves.toMatchObject({ status: 'OK' });
  });

  it('answers with code and advice to a wrong secret, also before it is saved', async () => {
    const form = world.form({ clientSecret: 'not the secret' });
    const stored = await world.n8n.createCredential('lifecycleOAuth2Api', 'Wrong', form);
    for (const credential of [stored, { ...stored, id: '' }]) {
      const { status, message } = await world.n8n.testCredential(credential, form);
      expect(status).toBe('Error');
      expect(message).toContain('[ERR_OAUTH2_INVALID_CLIENT] Check client id, client secret');
    }
  });

  it('answers to an empty form with the field that is missing', async () => {
    const credential = { id: '', name: 'Empty', type: 'lifecycleOAuth2Api' };
    const { status, message } = await world.n8n.testCredential(credential, {});
    expect(status).toBe('Error');
    expect(message).toContain('config.issuer');
  });
});

describe('an HTTP Request node with OAuth2 (Lifecycle)', () => {
  it('sends 20 items with one token request', async () => {
    const calls = await world.calling(await world.lifecycleOAuth2({ scope: ownScope.items }));
    const requests = await world.during(async () => {
      const { status, body } = await calls.run(20);
      expect(status).toBe(200);
      expect(JSON.parse(body)).toHaveLength(20);
    });
    expect(requests).toEqual({ token: 1, introspection: 0, resource: 20 });
    await expect(calls.lastExecution()).resolves.toMatchObject({ status: 'success' });
  });

  it('sends 2 × 20 items of two executions at once with one token request', async () => {
    const calls = await world.calling(await world.lifecycleOAuth2({ scope: ownScope.executions }));
    const requests = await world.during(async () => {
      const answers = await Promise.all([calls.run(20), calls.run(20)]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    });
    expect(requests).toMatchObject({ token: 1, resource: 40 });
  });

  it('makes n8n store nothing while all is well', async () => {
    const credential = await world.lifecycleOAuth2({ scope: ownScope.executions });
    const before = await world.n8n.readCredential(credential);
    const calls = await world.calling(credential);
    await calls.run(20);
    await expect(world.n8n.readCredential(credential)).resolves.toEqual(before);
  });

  it('gets one new token for 20 items after the token was revoked at the server', async () => {
    const calls = await world.calling(await world.lifecycleOAuth2({ scope: ownScope.revoked }));
    await calls.run(1);
    await world.server.revokeAccessTokens('machine');
    const requests = await world.during(async () => {
      expect(await calls.run(20)).toMatchObject({ status: 200 });
    });
    expect(requests).toMatchObject({ token: 1, introspection: 1 });
    // n8n starts the last ones when the first have failed already: those carry the new token at once.
    expect(requests.resource).toBeGreaterThan(20);
    await expect(calls.lastExecution()).resolves.toMatchObject({ status: 'success' });
  });

  it('recovers in the same execution when n8n still has the marker of an older generation', async () => {
    const calls = await world.calling(await world.lifecycleOAuth2({ scope: ownScope.aside }));
    const ids = await world.adoptedIds();
    await calls.run(1);
    const id = (await world.adoptedIds()).find((one) => !ids.includes(one)) ?? '';
    // A rejection, so that n8n stores a marker; then a refresh that n8n does not hear of; then another rejection.
    await world.server.revokeAccessTokens('machine');
    await calls.run(1);
    await world.withEngine((engine) => engine.refresh(id));
    await world.server.revokeAccessTokens('machine');
    const requests = await world.during(async () => {
      expect(await calls.run(20)).toMatchObject({ status: 200 });
    });
    expect(requests.token).toBe(1);
    expect(requests.resource).toBeGreaterThan(20);
  });

  it.each([404, 500])(
    'gets no new token when the API answers %i and the server says that the token is good, and repeats nothing',
    async (status) => {
      const credential = await world.lifecycleOAuth2({ scope: ownScope.confirmed });
      await (await world.calling(credential)).run(1);
      const calls = await world.calling(credential, { query: `?status=${String(status)}` });
      const requests = await world.during(() => calls.run(20));
      expect(requests).toMatchObject({ token: 0, resource: 20 });
      expect(requests.introspection).toBeLessThanOrEqual(1);
      const execution = await calls.lastExecution();
      expect(execution.status).toBe('error');
      expect(errorOf(execution)).toMatchObject({ httpCode: String(status) });
    },
  );

  it('gets at most one new token per generation when nothing can confirm what 404 and 500 mean', async () => {
    const form = world.unconfirmableForm({ scope: ownScope.unconfirmed });
    const credential = await world.n8n.createCredential('lifecycleOAuth2Api', 'Unconfirmable', form);
    await (await world.calling(credential)).run(1);
    const notFound = await world.calling(credential, { query: '?status=404' });
    const broken = await world.calling(credential, { query: '?status=500' });
    expect(await world.during(() => notFound.run(20))).toMatchObject({ token: 1, introspection: 0 });
    expect(await world.during(() => broken.run(20))).toMatchObject({ token: 0, resource: 20 });
    expect(await world.during(() => notFound.run(20))).toMatchObject({ token: 0, resource: 20 });
  });

  it('uses the new secret after an edit, and reports nothing about the old one', async () => {
    const credential = await world.lifecycleOAuth2({ scope: ownScope.edited, clientSecret: 'typed wrongly' });
    const calls = await world.calling(credential);
    await calls.run(1);
    const failed = await calls.lastExecution();
    expect(failed.status).toBe('error');
    expect(errorOf(failed).message).toMatch(/\[ERR_OAUTH2_INVALID_CLIENT\]$/);
    expect(errorOf(failed).description).toMatch(/^Check client id, client secret/);
    await world.n8n.updateCredential(credential, world.form({ scope: ownScope.edited }));
    const requests = await world.during(async () => {
      expect(await calls.run(20)).toMatchObject({ status: 200 });
    });
    expect(requests).toMatchObject({ token: 1, resource: 20 });
  });

  it('says with our code which server cannot be reached, where n8n has a sentence of its own for it', async () => {
    const nowhere = { endpointSource: 'tokenEndpoint', tokenEndpoint: 'http://127.0.0.1:1/token' };
    const calls = await world.calling(await world.lifecycleOAuth2(nowhere));
    await calls.run(1);
    expect(errorOf(await calls.lastExecution()).message).toMatch(
      /^127\.0\.0\.1:1 cannot be reached \([\w ]+\)\. \[ERR_ENDPOINT_UNREACHABLE\]$/,
    );
  });

  it('asks the server once for 20 items with a wrong secret, and says why they failed', async () => {
    const calls = await world.calling(await world.lifecycleOAuth2({ clientSecret: 'wrong, too' }), {
      settings: { onError: 'continueRegularOutput' },
    });
    const requests = await world.during(() => calls.run(20));
    expect(requests).toEqual({ token: 1, introspection: 0, resource: 0 });
  });
});
