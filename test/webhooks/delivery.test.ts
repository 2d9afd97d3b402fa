import { join } from 'node:path';
import type { CredentialEngine } from '../../src/engine.ts';
import { openSqlite } from '../../src/storage/sqlite.ts';
import { verifyWebhookSignature } from '../../src/webhooks/signature.ts';
import { EngineProcess } from '../engine/support/engine-process.ts';
import { Endpoint, endpointEntry, rotatingEndpointEntry, tokens } from '../engine/support/endpoint.ts';
import { findCanaries, newCanary } from '../support/canaries.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { Receiver } from './receiver.ts';

/** Longer than a dead deliverer keeps its lease. */
const LEASE_MS = 16_000;

let folder: ReturnType<typeof temporaryFolder>;
let receiver: Receiver;
let endpoint: Endpoint;
let clock: TestClock;
let engine: CredentialEngine;

beforeEach(async () => {
  folder = temporaryFolder();
  receiver = await Receiver.start();
  endpoint = await Endpoint.start(tokens());
  clock = new TestClock();
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
});

afterEach(async () => {
  await engine.close();
  await endpoint.stop();
  await receiver.kill();
  folder.dispose();
});

const outbox = async (): Promise<string[]> => (await engine.readEvents(0, 1_000)).events.map(({ eventId }) => eventId);
const statusOf = async () => (await engine.webhooks.list())[0];
const delivered = async (count: number): Promise<void> => {
  await eventually(async () => (await statusOf())?.delivered === count, { timeoutMs: 30_000 });
};

test('events go to a webhook once each, in order, signed, from the moment that it was added', async () => {
  await engine.register(endpointEntry(endpoint));
  const before = await outbox();
  const { key } = await engine.webhooks.add({ url: receiver.url });
  const { id } = await engine.register(endpointEntry(endpoint));
  await engine.refresh(id);
  await engine.revoke(id);
  const after = (await outbox()).slice(before.length);
  await delivered(after.length);
  expect(receiver.ids).toEqual(after);
  expect(receiver.types).toEqual(expect.arrayContaining(['credential.registered', 'credential.revoked']) as string[]);
  for (const { headers, body, method } of receiver.requests) {
    expect(method).toBe('POST');
    expect(verifyWebhookSignature(headers, body, { keys: [key], now: clock.now() })).toMatchObject({ valid: true });
  }
  expect(await statusOf()).toMatchObject({ waiting: 0, failure: null, tries: 0, missed: 0, leftOut: 0 });
}, 30_000);

test('events that were all pruned before they could be delivered are counted as missed, once', async () => {
  await engine.close();
  engine = await openEngine(folder.path, { keeper: false, ports: { clock } });
  await engine.webhooks.add({ url: receiver.url });
  const { id } = await engine.register(endpointEntry(endpoint));
  await engine.delete(id);
  const { records } = openSqlite(join(folder.path, 'credentials.db'), clock);
  const { newest } = await records.eventRange();
  while ((await records.pruneEvents(newest, 1_000)) > 0);
  await records.close();
  await engine.close();
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  await eventually(async () => (await statusOf())?.waiting === 0);
  expect(await statusOf()).toMatchObject({ waiting: 0, delivered: 0, missed: newest });
  expect(receiver.ids).toEqual([]);
}, 30_000);

test('F57 while the receiver is down refreshes go on, and it gets the same events when it is back', async () => {
  await engine.webhooks.add({ url: receiver.url });
  await receiver.kill();
  const { id } = await engine.register(endpointEntry(endpoint));
  for (let refreshes = 0; refreshes < 5; refreshes += 1) await engine.refresh(id);
  expect((await engine.use(id)).generation).toBe(6);
  await eventually(async () => ((await statusOf())?.tries ?? 0) >= 2);
  expect(await statusOf()).toMatchObject({
    delivered: 0,
    failure: expect.stringContaining('[ERR_ENDPOINT_') as string,
  });
  await receiver.restart();
  const expected = await outbox();
  await delivered(expected.length);
  expect(receiver.ids).toEqual(expected);
  // What had failed goes on after a restart of the engine, too.
  await receiver.kill();
  await engine.refresh(id);
  await engine.close();
  await receiver.restart();
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  const all = await outbox();
  await delivered(all.length);
  expect(receiver.ids).toEqual(all);
}, 60_000);

test('F57 a receiver that never answers, or answers without end, holds nobody up', async () => {
  await engine.webhooks.add({ url: receiver.url });
  await receiver.answer({ status: 0 });
  const { id } = await engine.register(endpointEntry(endpoint));
  await eventually(() => receiver.requests.length === 1);
  for (let refreshes = 0; refreshes < 5; refreshes += 1) await engine.refresh(id);
  expect((await engine.get(id)).generation).toBe(6);
  // Still the first request: each webhook has one under way, and it has not ended.
  expect(receiver.requests).toHaveLength(1);
}, 30_000);

test('F57 a deliverer that is killed after it sent and before it wrote sends the same event again', async () => {
  await engine.close();
  const first = await EngineProcess.start(folder.path, { keeper: true });
  await first.ask('webhooks', 'add', { url: receiver.url });
  await receiver.answer({ status: 0 });
  const entry = rotatingEndpointEntry(endpoint);
  await first.ask('adopt', entry);
  const [sent] = await eventually(() => receiver.ids.length > 0 && receiver.ids);
  await first.kill();
  await receiver.answer({ status: 204 });
  clock.advance(LEASE_MS);
  engine = await openEngine(folder.path, { keeper: true, ports: { clock } });
  await eventually(() => receiver.ids.length >= 2);
  expect(receiver.ids[1]).toBe(sent);
  const bodies = new Set(receiver.requests.filter((_, index) => index < 2).map(({ body }) => body));
  expect(bodies.size).toBe(1);
  await delivered(1);
  expect(await statusOf()).toMatchObject({ waiting: 0, delivered: 1 });
}, 60_000);

test('two keepers deliver each event once', async () => {
  const other = await EngineProcess.start(folder.path, { keeper: true });
  await engine.webhooks.add({ url: receiver.url });
  const { id } = await engine.register(endpointEntry(endpoint));
  for (let refreshes = 0; refreshes < 6; refreshes += 1) {
    if (refreshes % 2 === 0) await engine.refresh(id);
    else await other.ask('refresh', id);
  }
  const expected = await outbox();
  await delivered(expected.length);
  expect(receiver.ids).toEqual(expected);
  await other.close();
}, 60_000);

test('an event that the receiver goes on to refuse is left out and counted, and the next ones come', async () => {
  await engine.webhooks.add({ url: receiver.url });
  await receiver.answer({ status: 400 });
  const { id } = await engine.register({ ...endpointEntry(endpoint), test: false });
  for (let tries = 1; tries <= 10; tries += 1) {
    await eventually(() => receiver.requests.length === tries);
    if (tries === 10) break;
    await eventually(async () => (await statusOf())?.tries === tries);
    clock.advance(3_600_000);
  }
  await eventually(async () => (await statusOf())?.leftOut === 1);
  await receiver.answer({ status: 200, body: 'ok' });
  await engine.revoke(id);
  await delivered(1);
  expect(new Set(receiver.ids.slice(0, 10)).size).toBe(1);
  expect(receiver.types.at(-1)).toBe('credential.revoked');
  expect(await statusOf()).toMatchObject({ waiting: 0, leftOut: 1, delivered: 1, failure: null });
}, 60_000);

test('a redirect is not followed', async () => {
  const elsewhere = await Endpoint.start((response) => response.end());
  const { webhook } = await engine.webhooks.add({ url: receiver.url });
  await receiver.answer({ status: 307, headers: { location: elsewhere.url } });
  const result = await engine.webhooks.test(webhook.webhookId);
  expect(result).toMatchObject({
    delivered: false,
    failure: expect.stringContaining('ERR_ENDPOINT_REDIRECTED') as string,
  });
  expect(elsewhere.requests).toEqual([]);
  await elsewhere.stop();
});

test('an answer of more than 64 KiB is not read', async () => {
  const { webhook } = await engine.webhooks.add({ url: receiver.url });
  await receiver.answer({ status: 200, body: 'x'.repeat(70_000) });
  expect(await engine.webhooks.test(webhook.webhookId)).toMatchObject({
    failure: expect.stringContaining('ERR_ENDPOINT_RESPONSE_TOO_LARGE') as string,
  });
});

test('only the types and the owner that were asked for are sent', async () => {
  await engine.webhooks.add({ url: receiver.url, types: ['credential.revoked'], ownerId: 'alice' });
  for (const ownerId of ['bob', 'alice']) {
    const { id } = await engine.register({ ...endpointEntry(endpoint), ownerId });
    await engine.revoke(id);
  }
  await delivered(1);
  await eventually(async () => (await statusOf())?.waiting === 0);
  expect(receiver.types).toEqual(['credential.revoked']);
  expect(receiver.requests[0]?.body).toContain('alice');
}, 30_000);

test('no secret is in the body of a webhook, in its headers, or in the log', async () => {
  const canaries = Array.from({ length: 3 }, newCanary);
  const [clientSecret = '', refreshToken = '', accessToken = ''] = canaries;
  const lines: string[] = [];
  const log = (fields: object, message: string): void => {
    lines.push(JSON.stringify([fields, message]));
  };
  await engine.close();
  const logger = { debug: log, info: log, warn: log, error: log };
  engine = await openEngine(folder.path, { keeper: true, ports: { clock, logger } });
  endpoint.answer = tokens({ access_token: accessToken });
  const { key } = await engine.webhooks.add({ url: receiver.url });
  const { id } = await engine.register(
    endpointEntry(endpoint, { config: { grantType: 'refresh_token' }, secret: { clientSecret, refreshToken } }),
  );
  await receiver.answer({ status: 500, body: refreshToken });
  await engine.refresh(id);
  await eventually(async () => ((await statusOf())?.tries ?? 0) > 0);
  await receiver.answer({ status: 204 });
  await engine.update(id, { secret: { clientSecret, refreshToken } });
  await engine.delete(id);
  clock.advance(60_000);
  await delivered((await outbox()).length);
  const seen = Buffer.from(JSON.stringify([receiver.requests, lines, await engine.webhooks.list()]));
  expect(seen.length).toBeGreaterThan(2_000);
  expect(findCanaries([...canaries, key.slice('whsec_'.length)], new Map([['all', seen]]))).toEqual([]);
}, 30_000);
