// Run by `npm run bench -- n8n`: what a managed credential costs an execution, beside a credential that is only a header.
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { Started } from '../support/started.ts';
import { CountingServer } from './counting-server.ts';
import { installPackage } from './installed-package.ts';
import { N8nServer } from './n8n-server.ts';
import { chain, httpRequest, node, splitOut, webhook, type CredentialReference } from './workflow.ts';
import { Calls } from './world.ts';

const ITEMS = 1_000;
const ROUNDS = 9;

/** An API that answers everybody at once, so that what is measured is n8n. */
async function openApi(): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function callsWith(n8n: N8nServer, url: string, credential: CredentialReference): Promise<Calls> {
  const path = randomUUID();
  const request = httpRequest(url, credential);
  const generic = { authentication: 'genericCredentialType', genericAuthType: credential.type };
  const parameters = credential.type === 'httpHeaderAuth' ? { ...request.parameters, ...generic } : request.parameters;
  const one = node({ name: 'One', type: 'n8n-nodes-base.limit', parameters: { maxItems: 1 } });
  const nodes = [webhook(path), splitOut('body.items'), { ...request, parameters }, one];
  const workflow = await n8n.createWorkflow(chain(path, nodes));
  await n8n.activate(workflow);
  return new Calls(n8n, workflow, path);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? NaN;
}

async function timed(calls: Calls): Promise<number> {
  const startedAt = performance.now();
  const { status } = await calls.run(ITEMS);
  expect(status).toBe(200);
  return performance.now() - startedAt;
}

it('measures 1,000 items through the HTTP Request node', async () => {
  const started = new Started();
  try {
    const server = await started.add(CountingServer.start());
    const api = await openApi();
    started.later(() => {
      api.close();
    });
    const n8n = await started.add(N8nServer.start({ packages: [installPackage()], env: { N8N_LOG_LEVEL: 'error' } }));
    const header = await n8n.createCredential('httpHeaderAuth', 'Header', { name: 'authorization', value: 'Bearer x' });
    const lifecycle = await n8n.createCredential('lifecycleOAuth2Api', 'Lifecycle', {
      grantType: 'client_credentials',
      endpointSource: 'tokenEndpoint',
      tokenEndpoint: server.tokenEndpoint,
      clientId: 'plain',
      clientSecret: 'measured',
      clientAuthentication: 'client_secret_basic',
      advanced: true,
      allowInsecureTransport: true,
    });
    // A type of n8n's own that the HTTP Request node offers by name, as it offers ours: n8n reads and authenticates each request.
    const named = await n8n.createCredential('sendGridApi', 'Named', { apiKey: 'x' });
    const competitors = [
      { name: "n8n's Header Auth", calls: await callsWith(n8n, api.url, header) },
      { name: "a named type of n8n's own (SendGrid)", calls: await callsWith(n8n, api.url, named) },
      { name: 'OAuth2 (Lifecycle)', calls: await callsWith(n8n, api.url, lifecycle) },
    ];
    const rounds: number[][] = [];
    for (let round = -2; round < ROUNDS; round += 1) {
      const ms: number[] = [];
      // Each goes first as often as the others.
      for (const offset of competitors.keys()) {
        const index = (offset + round + 2) % competitors.length;
        ms[index] = await timed(competitors[index]?.calls as Calls);
      }
      if (round >= 0) rounds.push(ms);
    }
    const rows = competitors.map(({ name }, index) => {
      const times = rounds.map((ms) => ms[index] ?? NaN);
      const ratios = (to: number): string =>
        median(rounds.map((ms) => (ms[index] ?? NaN) / (ms[to] ?? NaN))).toFixed(2);
      return `| ${name} | ${median(times).toFixed(0)} ms | ${ratios(0)} | ${ratios(1)} |`;
    });
    const heading = `| credential | 1,000 items, median of ${String(ROUNDS)} | to Header Auth | to a named type |`;
    writeFileSync(1, `\n${[heading, '| --- | --- | --- | --- |', ...rows].join('\n')}\n`);
    expect(server.requestsOf('plain').token).toBe(1);
  } finally {
    await started.stop();
  }
}, 600_000);
