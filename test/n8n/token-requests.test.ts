import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import { CountingServer } from './counting-server.ts';
import { installPackage } from './installed-package.ts';
import { N8nServer } from './n8n-server.ts';
import { findTraces } from './traces.ts';
import { chain, httpRequest, splitOut, webhook, type CredentialReference, type WorkflowNode } from './workflow.ts';
import { Calls } from './world.ts';

const CLIENT_SECRET = `counted-${randomUUID()}`;
const PAGE = readFileSync(path.resolve(__dirname, '../../docs/n8n.md'), 'utf8');

const started = Started.inSuite();
let n8n: N8nServer;
let server: CountingServer;

beforeAll(async () => {
  server = await started.add(CountingServer.start());
  n8n = await started.add(N8nServer.start({ packages: [installPackage()] }));
});

interface Case {
  /** As in the table of docs/n8n.md. */
  readonly name: string;
  /** Token requests of the engine, from the first run to the last. */
  readonly token: number;
  readonly client?: string;
  readonly settings?: object;
  readonly parameters?: object;
  readonly query?: string;
  /** Whether the credential has a test URL, which tells a token that is refused from a request that is. */
  readonly confirms?: boolean;
  /** Whether the executions succeed; default true. */
  readonly succeeds?: boolean;
  readonly run: (world: Running) => Promise<unknown>;
}
interface Running {
  readonly calls: Calls;
  readonly clientId: string;
}

const ONE_AT_A_TIME = { options: { batching: { batch: { batchSize: 1, batchInterval: 0 } } } };
const NEVER_ERROR = { options: { response: { response: { neverError: true } } } };
const together = (count: number, items: number) => (world: Running) =>
  Promise.all(Array.from({ length: count }, () => world.calls.run(items)));
/** One token is there, and then the server forgets it. */
const stale = (then: (world: Running) => Promise<unknown>) => async (world: Running) => {
  await world.calls.run(1);
  server.revokeTokensOf(world.clientId);
  await then(world);
};

const CASES: readonly Case[] = [
  { name: '1 execution × 1 item, no token yet', token: 1, run: together(1, 1) },
  { name: '1 × 20, one after the other', token: 1, parameters: ONE_AT_A_TIME, run: together(1, 20) },
  { name: '1 × 20 at once', token: 1, run: together(1, 20) },
  { name: '2 × 1 at once', token: 1, run: together(2, 1) },
  { name: '2 × 20, one after the other', token: 1, parameters: ONE_AT_A_TIME, run: together(2, 20) },
  { name: '2 × 20 at once', token: 1, run: together(2, 20) },
  { name: '5 × 1 at once', token: 1, run: together(5, 1) },
  { name: '2 × 1, token revoked before', token: 2, run: stale(together(2, 1)) },
  { name: '1 × 20 at once, token revoked before', token: 2, run: stale(together(1, 20)) },
  { name: '1 × 20 at once, only the newest token is valid', token: 1, client: 'newest', run: together(1, 20) },
  { name: '5 × 1 at once, only the newest token is valid', token: 1, client: 'newest', run: together(5, 1) },
  {
    name: 'API answers 403, and the server can say that the token is good',
    token: 1,
    confirms: true,
    query: '?status=403',
    succeeds: false,
    run: together(2, 20),
  },
  {
    name: 'API answers 404, and the server can say that the token is good',
    token: 1,
    confirms: true,
    query: '?status=404',
    succeeds: false,
    run: together(2, 20),
  },
  {
    name: 'API answers 500, and the server can say that the token is good',
    token: 1,
    confirms: true,
    query: '?status=500',
    succeeds: false,
    run: together(2, 20),
  },
  {
    name: 'API answers 403, and nobody can say whether the token is good',
    token: 2,
    query: '?status=403',
    succeeds: false,
    run: together(2, 20),
  },
  { name: 'API answers 401 to every token', token: 2, query: '?status=401', succeeds: false, run: together(1, 1) },
  {
    name: 'API answers 401 to every token, tried 3 times',
    token: 2,
    query: '?status=401',
    settings: { retryOnFail: true, maxTries: 3, waitBetweenTries: 0 },
    succeeds: false,
    run: together(1, 1),
  },
  { name: 'token endpoint answers 401', token: 1, client: 'refused', succeeds: false, run: together(1, 1) },
  {
    name: 'token endpoint answers 401, 3 items that continue on failure',
    token: 1,
    client: 'refused',
    settings: { onError: 'continueRegularOutput' },
    run: together(1, 3),
  },
  { name: 'token endpoint answers 500', token: 1, client: 'broken', succeeds: false, run: together(1, 1) },
  { name: 'errors are data ("Never Error"), good token', token: 1, parameters: NEVER_ERROR, run: together(1, 1) },
];

function credentialOf(clientId: string, confirms: boolean): Promise<CredentialReference> {
  return n8n.createCredential('lifecycleOAuth2Api', clientId, {
    grantType: 'client_credentials',
    endpointSource: 'tokenEndpoint',
    tokenEndpoint: server.tokenEndpoint,
    clientId,
    clientSecret: CLIENT_SECRET,
    clientAuthentication: 'client_secret_basic',
    advanced: true,
    testUrl: confirms ? `${server.url}/api` : '',
    allowInsecureTransport: true,
  });
}

async function runningOf({
  client = 'plain',
  query = '',
  confirms = false,
  settings,
  parameters,
}: Case): Promise<Running> {
  const clientId = `${client}-${randomUUID()}`;
  const webhookPath = randomUUID();
  const credential = await credentialOf(clientId, confirms);
  const request: WorkflowNode = httpRequest(`${server.url}/api${query}`, credential, { ...settings });
  const tuned = { ...request, parameters: { ...request.parameters, ...parameters } };
  const workflow = await n8n.createWorkflow(chain(clientId, [webhook(webhookPath), splitOut('body.items'), tuned]));
  await n8n.activate(workflow);
  return { calls: new Calls(n8n, workflow, webhookPath), clientId };
}

describe('token requests of OAuth2 (Lifecycle) in the HTTP Request node', () => {
  it.each(CASES)('$name: $token', async (given) => {
    const world = await runningOf(given);
    await given.run(world);
    expect(server.requestsOf(world.clientId).token).toBe(given.token);
    const wanted = given.succeeds === false ? 'error' : 'success';
    const executions = await world.calls.executions();
    expect(executions.map(({ status }) => status)).toEqual(executions.map(() => wanted));
  });

  it('keeps what a token endpoint echoes out of the execution data', async () => {
    for (const client of ['refused', 'broken']) {
      const world = await runningOf({ name: '', token: 1, client, run: together(1, 1) });
      const { body } = await world.calls.run(1);
      const { raw } = await world.calls.lastExecution();
      const basic = `${world.clientId}:${CLIENT_SECRET}`;
      expect(findTraces([CLIENT_SECRET, basic], new Map(Object.entries({ body, raw, log: n8n.log })))).toEqual([]);
    }
  });

  it.each(CASES)('$name is in the table of docs/n8n.md with that figure', ({ name, token }) => {
    const [row] = PAGE.split('\n').filter((line) => line.startsWith(`| ${name} |`));
    expect(row?.split('|').at(-2)?.trim()).toBe(String(token));
  });
});
