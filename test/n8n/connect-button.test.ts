import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { Started } from '../support/started.ts';
import type { CredentialReference } from './workflow.ts';
import { chain, httpRequest, node, splitOut, webhook } from './workflow.ts';
import { Calls, errorOf, World, type CallOptions } from './world.ts';

const TYPE = 'lifecycleConnectOAuth2Api';

const started = Started.inSuite();
let world: World;

beforeAll(async () => {
  // A spent refresh token that is presented again ends the grant at once.
  world = await started.add(World.start({ reuseGraceMs: 0 }));
});

/** What n8n stores when a person has pressed the connect button: the sign-in's tokens, encrypted in its own database. */
async function connected(type: string, name: string, changes: object = {}): Promise<CredentialReference> {
  const { clientId, clientSecret } = world.server.clients.rotating;
  return world.n8n.createCredential(type, name, {
    grantType: 'authorizationCode',
    authUrl: `${world.server.issuer}/auth`,
    accessTokenUrl: world.server.tokenEndpoint,
    ...{ clientId, clientSecret, scope: '', authentication: 'header' },
    allowInsecureTransport: true,
    oauthTokenData: {
      access_token: 'as-it-came-with-the-sign-in',
      token_type: 'Bearer',
      refresh_token: await world.server.mintRefreshToken('rotating'),
    },
    ...changes,
  });
}

/** n8n's own generic credential goes into the HTTP Request node by another parameter. */
async function callingNative(credential: CredentialReference, query: string): Promise<Calls> {
  const path = `native-${credential.id}`;
  const request = node({
    name: 'HTTP Request',
    type: 'n8n-nodes-base.httpRequest',
    typeVersion: 4.2,
    parameters: {
      url: `${world.server.resourceUrl}${query}`,
      authentication: 'genericCredentialType',
      genericAuthType: 'oAuth2Api',
      options: {},
    },
    credential,
  });
  const workflow = await world.n8n.createWorkflow(chain(path, [webhook(path), splitOut('body.items'), request]));
  await world.n8n.activate(workflow);
  return new Calls(world.n8n, workflow, path);
}

interface Refreshes {
  readonly all: number;
  readonly spent: number;
}

/** The refresh requests that reached the server while `work` ran, whoever sent them. */
async function refreshesDuring(work: () => Promise<unknown>): Promise<Refreshes> {
  const before = (await world.server.tokenRequests('rotating')).length;
  await work();
  const seen = (await world.server.tokenRequests('rotating')).slice(before);
  expect(seen.every(({ grantType }) => grantType === 'refresh_token')).toBe(true);
  return { all: seen.length, spent: seen.filter(({ spentTokenPresented }) => spentTokenPresented).length };
}

/** The credential of the engine that `work` makes it adopt. */
async function adoptedBy(work: () => Promise<unknown>): Promise<string> {
  const before = await world.adoptedIds();
  await work();
  const [id = '', ...others] = (await world.adoptedIds()).filter((one) => !before.includes(one));
  expect(others).toEqual([]);
  return id;
}

async function stateOf(id: string): Promise<{ generation: number; state: string }> {
  const { generation, state } = await world.withEngine((engine) => engine.get(id));
  return { generation, state };
}

/** Waits for the engine, which refreshes beside the executions. */
function untilGeneration(id: string, generation: number): Promise<unknown> {
  return eventually(async () => (await stateOf(id)).generation === generation, { timeoutMs: 60_000 });
}

describe('n8n’s own OAuth2 credential, for comparison', () => {
  it('is refreshed by n8n when an API answers 401: what the others are measured by', async () => {
    const native = await connected('oAuth2Api', 'Native');
    const calls = await callingNative(native, '?status=401');
    const refreshes = await refreshesDuring(() => calls.run(20));
    expect(refreshes.all).toBeGreaterThanOrEqual(1);
  });
});

describe('OAuth2 with n8n’s own connect button', () => {
  let credential: CredentialReference;
  let good: Calls;
  let id: string;

  beforeAll(async () => {
    credential = await connected(TYPE, 'Connected');
    good = await world.calling(credential);
  });

  it('has its grant taken over by the engine with the first request: one refresh for 2 executions of 20 items', async () => {
    const requests = await world.during(async () => {
      id = await adoptedBy(async () => {
        for (const answer of await Promise.all([good.run(20), good.run(20)]))
          expect(answer).toMatchObject({ status: 200 });
      });
    });
    expect(requests).toMatchObject({ token: 1, resource: 40 });
    expect(await stateOf(id)).toEqual({ generation: 1, state: 'valid.fresh' });
  });

  it('is refreshed once by the engine, and not by n8n, when an API refuses a token that nobody can ask about', async () => {
    const calls = await world.calling(credential, { query: '?status=401' });
    const refreshes = await refreshesDuring(async () => {
      await Promise.all([calls.run(20), calls.run(20)]);
      await untilGeneration(id, 2);
    });
    expect(refreshes).toEqual({ all: 1, spent: 0 });
  });

  it.each([
    { how: 'as it is', options: {} },
    { how: 'with errors as items', options: { settings: { onError: 'continueRegularOutput' } } },
    {
      how: 'with retries of the node',
      options: { settings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 10 } },
    },
  ])(
    'is refreshed by nobody when the next token is refused too, 20 items in 2 executions, $how',
    async ({ options }) => {
      const calls = await world.calling(credential, { query: '?status=401', ...options });
      let seen = 0;
      const refreshes = await refreshesDuring(async () => {
        const requests = await world.during(() => Promise.all([calls.run(20), calls.run(20)]));
        seen = requests.resource;
      });
      expect(seen).toBeGreaterThanOrEqual(40);
      expect(refreshes).toEqual({ all: 0, spent: 0 });
    },
  );

  it('nor where the node takes every answer for good', async () => {
    const path = 'never-error';
    const request = httpRequest(`${world.server.resourceUrl}?status=401`, credential);
    const whole = { response: { response: { neverError: true, fullResponse: true } } };
    const nodes = [
      ...[webhook(path), splitOut('body.items')],
      { ...request, parameters: { ...request.parameters, options: whole } },
    ];
    const workflow = await world.n8n.createWorkflow(chain(path, nodes));
    await world.n8n.activate(workflow);
    const calls = new Calls(world.n8n, workflow, path);
    const refreshes = await refreshesDuring(() => Promise.all([calls.run(20), calls.run(20)]));
    expect(refreshes).toEqual({ all: 0, spent: 0 });
    expect((await calls.lastExecution()).status).toBe('success');
  });

  it('survives a restart of n8n, whose database still holds the spent token', async () => {
    await world.restartN8n();
    const refreshes = await refreshesDuring(async () => {
      expect(await good.again(world.n8n).run(20)).toMatchObject({ status: 200 });
    });
    expect(refreshes).toEqual({ all: 0, spent: 0 });
    expect(await stateOf(id)).toEqual({ generation: 2, state: 'valid.fresh' });
  });

  it('never stores the token of the engine in n8n', async () => {
    const token = (await world.materialOf(id)).headers['authorization']?.replace('Bearer ', '') ?? '';
    expect(token.length).toBeGreaterThan(20);
    const read = JSON.stringify(await world.n8n.readCredential(credential));
    expect(read).not.toContain(token);
    expect((await good.again(world.n8n).lastExecution()).raw).not.toContain(token);
  });

  it.each([
    {
      what: 'nobody has connected',
      changes: { oauthTokenData: undefined },
      message: /\[ERR_CREDENTIAL_NOT_AUTHORIZED\]$/,
      asked: 0,
    },
    {
      what: 'was connected without a refresh token',
      changes: { oauthTokenData: { access_token: 'only-this', token_type: 'Bearer' } },
      message: /\[ERR_OAUTH2_NO_REFRESH_TOKEN\]$/,
      asked: 0,
    },
    {
      what: 'has a refresh token that the server does not know',
      changes: { oauthTokenData: { access_token: 'x', token_type: 'Bearer', refresh_token: 'no-such-refresh-token' } },
      message: /\[ERR_OAUTH2_INVALID_GRANT\]$/,
      // The engine's own, once.
      asked: 1,
    },
  ])('says what is wrong with one that $what', async ({ changes, message, asked }) => {
    const calls = await world.calling(await connected(TYPE, 'Broken', changes));
    const refreshes = await refreshesDuring(() => calls.run(20));
    expect(errorOf(await calls.lastExecution()).message).toMatch(message);
    expect(refreshes).toEqual({ all: asked, spent: 0 });
  });
});

describe('a token that dies at the server before its time', () => {
  async function living(options: CallOptions): Promise<{ id: string; calls: Calls }> {
    const calls = await world.calling(await connected(TYPE, 'Dies early'), options);
    const id = await adoptedBy(async () => {
      expect(await calls.run(1)).toMatchObject({ status: 200 });
    });
    await world.server.revokeAccessTokens('rotating');
    return { id, calls };
  }

  it('is replaced once by the 401 that shows it: the execution fails, the next one does not', async () => {
    const { id, calls } = await living({});
    const refreshes = await refreshesDuring(async () => {
      await Promise.all([calls.run(20), calls.run(20)]);
      await untilGeneration(id, 2);
      expect(await calls.run(20)).toMatchObject({ status: 200 });
    });
    expect(refreshes).toEqual({ all: 1, spent: 0 });
    expect((await calls.executions()).map(({ status }) => status)).toContain('error');
    expect(await stateOf(id)).toEqual({ generation: 2, state: 'valid.fresh' });
  });

  it('is replaced within the execution where the node tries again', async () => {
    const settings = { retryOnFail: true, maxTries: 2, waitBetweenTries: 10 };
    const { id, calls } = await living({ settings });
    const refreshes = await refreshesDuring(async () => {
      for (const answer of await Promise.all([calls.run(20), calls.run(20)])) {
        expect(answer).toMatchObject({ status: 200 });
      }
    });
    expect(refreshes).toEqual({ all: 1, spent: 0 });
    expect((await calls.executions()).map(({ status }) => status)).toEqual(['success', 'success', 'success']);
    expect(await stateOf(id)).toEqual({ generation: 2, state: 'valid.fresh' });
  });
});
