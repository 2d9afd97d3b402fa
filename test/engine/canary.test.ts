import { inspect } from 'node:util';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import type { CredentialEngine } from '../../src/engine.ts';
import { systemFetch, type Fetch } from '../../src/ports.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { machineEntry, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { bytesOf } from './support/database.ts';

/** What an inspector of any actor of the engine would be sent. */
const mockInspected: { type: string; text: string }[] = [];

interface Inspected {
  readonly type: string;
  readonly event?: unknown;
  readonly action?: unknown;
  readonly snapshot?: { readonly context?: unknown; readonly output?: unknown; readonly error?: unknown };
}

jest.mock('xstate', () => {
  const xstate = jest.requireActual<Record<'createActor', (logic: unknown, options: object) => unknown>>('xstate');
  const take = ({ type, event, action, snapshot }: Inspected): void => {
    const { context, output, error } = snapshot ?? {};
    const text = mockShow([event, context, output, error]) + JSON.stringify([event, action, snapshot]);
    mockInspected.push({ type, text });
  };
  const createActor = (logic: unknown, options: object) => xstate.createActor(logic, { ...options, inspect: take });
  return { ...xstate, createActor };
});

function mockShow(value: unknown): string {
  return inspect(value, { depth: 8 });
}

const MASTER_KEY = Buffer.from('canary master key of 32 bytes !!');

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let clock: TestClock;
let secrets: Set<string>;
/** All that ever left the engine, but material and access keys. */
let seen: string[];

beforeEach(async () => {
  server = await startAuthorizationServer();
  folder = temporaryFolder();
  clock = new TestClock();
  secrets = new Set([MASTER_KEY.toString('latin1'), MASTER_KEY.toString('hex'), MASTER_KEY.toString('base64')]);
  seen = [];
  const log = (fields: object, message: string): void => {
    see([fields, message]);
  };
  const logger = { debug: log, info: log, warn: log, error: log };
  engine = await openEngine(folder.path, { masterKey: MASTER_KEY, keeper: true, ports: { logger, fetch, clock } });
  engine.on('*', see);
});

afterEach(async () => {
  await engine.close();
  await server.stop();
  folder.dispose();
});

function see(value: unknown): void {
  seen.push(inspect(value, { depth: Infinity, showHidden: true, getters: true }), JSON.stringify({ value }));
  if (value instanceof Error) seen.push(String(value.stack), inspect(value.cause, { depth: Infinity }));
}

/** Learns each token that the server issues. */
const fetch: Fetch = async (url, init) => {
  const response = await systemFetch(url, init);
  if (url === server.tokenEndpoint && response.ok) {
    const body = (await response.clone().json()) as Record<string, unknown>;
    for (const name of ['access_token', 'refresh_token', 'id_token']) {
      if (typeof body[name] === 'string') secrets.add(body[name]);
    }
  }
  return response;
};

function plant<T extends { secret: object }>(entry: T): T {
  for (const value of Object.values(entry.secret)) secrets.add(String(value));
  return entry;
}

const attempt = async (work: Promise<unknown>): Promise<void> => {
  see(await work.catch((error: unknown) => error));
};

/** Every verb, in its good and its bad ways. Material is used and not looked at: it is what the engine is for. */
async function liveThroughEverything(): Promise<void> {
  const use = async (id: string): Promise<void> => attempt(engine.use(id).then(({ generation }) => generation));
  const ids: string[] = [];
  const wrong = plant(machineEntry(server, { secret: { clientSecret: 'canary of a wrong secret' } }));
  for (const entry of [plant(machineEntry(server)), plant(await rotatingEntry(server)), wrong]) {
    const registered = await engine.register(entry);
    see(registered);
    ids.push(registered.id);
  }
  ids.push(await engine.adopt(plant(await rotatingEntry(server, { config: { reuseGraceMs: 30_000 } }))));
  await attempt(engine.register({ ...wrong, config: { ...wrong.config, clientId: 7 } }));
  await attempt(engine.register({ ...wrong, secret: { clientSecret: ['canary of a list'] } }));
  for (const id of ids) {
    await use(id);
    await attempt(engine.refresh(id));
    await attempt(engine.test(id));
    await attempt(engine.reportRejected(id, 2));
  }
  for (const kind of ['dropRequest', 'dropAnswer'] as const) {
    await server.failNext({ kind }, 2);
    for (const id of ids) await attempt(engine.refresh(id));
  }
  await server.failNext({ kind: 'status', status: 503, retryAfterSeconds: 3 }, 4);
  for (const id of ids) await attempt(engine.refresh(id));
  await server.clearFaults();
  await liveAsHost(ids);
  await server.revokeGrants();
  clock.advance(61_000);
  for (const id of ids) await use(id);
  await attempt(engine.revoke(ids[0] ?? ''));
  see([await engine.list(), await engine.countByState(), await engine.readEvents(0, 1_000)]);
}

async function liveAsHost(ids: readonly string[]): Promise<void> {
  const { accessKey } = await engine.grant(null, { scopes: ['use', 'list', 'test', 'refresh'] });
  secrets.add(accessKey);
  secrets.add(accessKey.slice('clk_'.length + 20 + '_'.length));
  const client = createEmbeddedClient(engine);
  const operator = await client.operator(accessKey);
  see([client, operator, await client.managed(ids[0] ?? '', accessKey)]);
  await attempt(client.managed('unknown', accessKey));
  for (const id of ids) {
    await attempt(operator.use(id));
    await attempt(operator.revoke(id));
  }
}

function formsOf(secret: string): Buffer[] {
  const utf8 = Buffer.from(secret, 'utf8');
  const unaligned = [0, 1, 2].map((skip) => utf8.subarray(skip, skip + Math.floor((utf8.length - skip) / 3) * 3));
  return [
    utf8,
    Buffer.from(secret, 'utf16le'),
    Buffer.from(secret, 'utf16le').swap16(),
    Buffer.from(utf8.toString('hex')),
    Buffer.from(utf8.toString('hex').toUpperCase()),
    Buffer.from(encodeURIComponent(secret)),
    ...unaligned.flatMap((part) => [Buffer.from(part.toString('base64')), Buffer.from(part.toString('base64url'))]),
  ];
}

function findingsIn(haystack: Buffer): string[] {
  return [...secrets].filter((secret) => formsOf(secret).some((form) => haystack.includes(form)));
}

test('F58 no secret is in any event, log line, error, summary, test result or byte of the database', async () => {
  await liveThroughEverything();
  see(engine);
  const bytes = bytesOf(folder.path);
  const shown = Buffer.from(seen.join('\n'));
  expect(secrets.size).toBeGreaterThan(15);
  expect(shown.length).toBeGreaterThan(50_000);
  expect(findingsIn(shown)).toEqual([]);
  expect(findingsIn(bytes)).toEqual([]);
  // The search itself finds what is there.
  const [planted = ''] = [...secrets].slice(-1);
  expect(findingsIn(Buffer.from(`..${Buffer.from(`xy${planted}`).toString('base64')}..`))).toEqual([planted]);
}, 30_000);

test('F58 no secret is in the context, the events or the snapshots of the machine', async () => {
  await liveThroughEverything();
  const kinds = new Set(mockInspected.map(({ type }) => type));
  for (const kind of ['actor', 'event', 'snapshot', 'microstep']) expect(kinds).toContain(`@xstate.${kind}`);
  expect(findingsIn(Buffer.from(mockInspected.map(({ text }) => text).join('\n')))).toEqual([]);
}, 30_000);
