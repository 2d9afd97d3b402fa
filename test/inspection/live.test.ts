import type { CredentialEngine } from '../../src/engine.ts';
import type { InspectionMessage } from '../../src/inspection/messages.ts';
import { publishInspection, type Publication } from '../../src/inspection/publisher.ts';
import { InspectionRelay } from '../../src/inspection/relay.ts';
import { systemFetch, type Fetch } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { eventually } from '../support/eventually.ts';
import { entry, RotationWorld } from '../engine/rotation/world.ts';
import { newCanary } from '../support/canaries.ts';
import { MASTER_KEY, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { Viewer } from './viewer.ts';

// A machine that is busy with other suites is slow, not wrong.
jest.setTimeout(30_000);

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let relay: InspectionRelay;
let publication: Publication;
let viewer: Viewer;
const tokens = new Set<string>();

/** Learns each token that the server issues. */
const fetch: Fetch = async (url, init) => {
  const response = await systemFetch(url, init);
  const text = await response.clone().text();
  for (const [, token = ''] of text.matchAll(/"(?:access|refresh|id)_token": ?"([^"]+)"/g)) tokens.add(token);
  return response;
};

beforeEach(async () => {
  server = await startAuthorizationServer();
  folder = temporaryFolder();
  engine = await openEngine(folder.path, { ports: { fetch } });
  relay = await InspectionRelay.start();
  publication = publishInspection(engine, relay.address);
  await publication.attempted;
  viewer = await Viewer.connect(relay.viewerUrl);
});

afterEach(async () => {
  await engine.close();
  await publication.close();
  await viewer.close();
  await relay.close();
  await server.stop();
  folder.dispose();
});

function watchViewers(): () => number {
  let count = 0;
  relay.onTraffic(({ viewers }) => {
    count = viewers;
  });
  return () => count;
}

function statesOf(messages: readonly InspectionMessage[]): string {
  const values = messages.map((message) => (message.type === '@xstate.snapshot' ? message.snapshot['value'] : null));
  return values
    .filter((value) => value !== null && value !== undefined)
    .map((value) => JSON.stringify(value))
    .join(' ');
}

function formsOf(secret: string): string[] {
  const utf8 = Buffer.from(secret);
  const inner = [0, 1, 2].map((skip) => utf8.subarray(skip, skip + Math.floor((utf8.length - skip) / 3) * 3));
  return [
    secret,
    utf8.toString('hex'),
    encodeURIComponent(secret),
    ...inner.flatMap((part) => [part.toString('base64'), part.toString('base64url')]),
  ];
}

function findingsIn(traffic: string, secrets: readonly string[]): string[] {
  return secrets.filter((secret) => formsOf(secret).some((form) => traffic.includes(form)));
}

test('F58 a viewer sees actors, events and snapshots of refreshes and a revocation, and no secret', async () => {
  const entry = await rotatingEntry(server);
  const { id } = await engine.register(entry);
  await engine.refresh(id);
  await server.failNext({ kind: 'dropAnswer' }, 1);
  await engine.refresh(id);
  await engine.revoke(id);
  const commands = 1 + 1 + 1 + 1 + 1;
  const messages = await viewer.untilEnded(commands);

  const actors = messages.filter((message) => message.type === '@xstate.actor');
  expect(new Set(actors.map(({ name }) => name))).toEqual(
    new Set([id, 'claimRefresh', 'sendRefresh', 'revokeCredential']),
  );
  const known = new Set(actors.map(({ sessionId }) => sessionId));
  expect(messages.filter(({ sessionId }) => !known.has(sessionId))).toEqual([]);
  const events = new Set(messages.map((message) => (message.type === '@xstate.event' ? message.event.type : '')));
  for (const type of ['test.passed', 'credential.refresh', 'credential.revoke']) expect(events).toContain(type);
  expect(statesOf(messages)).toMatch(/"claimed".*"sent".*"fresh".*"claimed".*"sent".*"ambiguous".*"revoking".*"ended"/);

  const traffic = viewer.texts.join('\n');
  const secrets = [...tokens, ...Object.values(entry.secret).map(String), MASTER_KEY.toString('hex')];
  secrets.push(relay.address.token.unwrap());
  expect(secrets.length).toBeGreaterThanOrEqual(7);
  expect(traffic.length).toBeGreaterThan(20_000);
  expect(findingsIn(traffic, secrets)).toEqual([]);
  // The search itself finds what is there.
  const [planted = ''] = secrets;
  expect(findingsIn(`x${Buffer.from(`yz${planted}`).toString('base64')}`, secrets)).toEqual([planted]);
});

test('F58 a viewer sees actors, events and snapshots of a rotation and its rollback, and neither password', async () => {
  const first = newCanary();
  const made = newCanary();
  const world = new RotationWorld(first);
  world.target.make = () => made;
  const rotating = await world.open();
  const published = publishInspection(rotating, relay.address);
  await published.attempted;
  const { id } = await rotating.register(entry('dual'));
  await rotating.rotate(id);
  await rotating.rollback(id);
  const commands = 1 + 1 + 1 + 1;
  const messages = await viewer.untilEnded(commands);
  await published.close();
  await world.dispose();

  expect(world.target.calls.slice(0, 5)).toEqual([
    ...[`create ${made}`, `set ${made}`, `test ${made}`, `finish ${made}`],
    `set ${first}`,
  ]);
  const actors = messages.filter((message) => message.type === '@xstate.actor');
  const steps = ['createCandidate', 'setCandidate', 'testCandidate', 'finishRotation'];
  expect(actors.map(({ name }) => name)).toEqual(expect.arrayContaining([id, ...steps]));
  const known = new Set(actors.map(({ sessionId }) => sessionId));
  expect(messages.filter(({ sessionId }) => !known.has(sessionId))).toEqual([]);
  const events = new Set(messages.map((message) => (message.type === '@xstate.event' ? message.event.type : '')));
  for (const type of ['credential.rotate', 'credential.rollback']) expect(events).toContain(type);
  const rotation =
    /"creating":"running".*"setting":"running".*"testing":"running".*"finishing":"running".*"overlapping"/;
  expect(statesOf(messages)).toMatch(new RegExp(`${rotation.source}.*${rotation.source}`));

  const traffic = viewer.texts.join('\n');
  const secrets = [first, made, MASTER_KEY.toString('hex'), relay.address.token.unwrap()];
  expect(traffic.length).toBeGreaterThan(20_000);
  expect(findingsIn(traffic, secrets)).toEqual([]);
  expect(findingsIn(traffic + encodeURIComponent(made), secrets)).toEqual([made]);
});

test("the receiver of @statelyai/inspect takes every message, and the machine's definition makes a machine", async () => {
  const { createWebSocketReceiver } = await import('@statelyai/inspect');
  const { createMachine } = await import('xstate');
  const received: { type: string; definition?: string | undefined; name?: string }[] = [];
  const viewers = watchViewers();
  const receiver = createWebSocketReceiver({ server: relay.viewerUrl.replace('http:', 'ws:') });
  receiver.subscribe((event) => {
    received.push(event);
  });
  await eventually(() => viewers() === 2);
  const { id } = await engine.register(await rotatingEntry(server));
  await engine.refresh(id);
  const sent = await viewer.untilEnded(3);
  await eventually(() => received.length === sent.length);
  const refreshes = received.filter(({ name }) => name === id);
  expect(refreshes.length).toBeGreaterThanOrEqual(1);
  expect(new Set(received.map(({ type }) => type))).toEqual(new Set(sent.map(({ type }) => type)));
  for (const { definition = '' } of refreshes) {
    const machine = createMachine(JSON.parse(definition) as Parameters<typeof createMachine>[0]);
    expect([machine.id, Object.keys(machine.states)]).toEqual(['credential', expect.arrayContaining(['lifecycle'])]);
  }
});

test('the inspector of @statelyai/inspect publishes to the relay, as any process of this machine may that has the token', async () => {
  const { createWebSocketInspector } = await import('@statelyai/inspect');
  const { createActor, createMachine } = await import('xstate');
  const { inspect, stop } = createWebSocketInspector({ url: relay.publisherUrl });
  const machine = createMachine({ id: 'elsewhere', initial: 'on', states: { on: { on: { end: 'off' } }, off: {} } });
  const actor = createActor(machine, { inspect }).start();
  actor.send({ type: 'end' });
  actor.stop();
  const messages = await viewer.untilEnded(1);
  expect(messages).toContainEqual(expect.objectContaining({ type: '@xstate.actor', name: 'elsewhere' }));
  expect(statesOf(messages)).toMatch(/"on" "off"/);
  stop();
});

test('who looks late sees what the last commands did, and what lives now', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  await engine.refresh(id);
  const early = await viewer.untilEnded(3);
  const late = await Viewer.connect(relay.viewerUrl);
  const messages = await late.untilEnded(3);
  const actorsOf = (seen: readonly InspectionMessage[]) =>
    seen.filter(({ type }) => type === '@xstate.actor').map(({ sessionId }) => sessionId);
  expect(actorsOf(messages)).toEqual(actorsOf(early));
  expect(messages.filter(({ type }) => type === '@xstate.event')).toEqual([]);
  await late.close();
});

test('an engine that began before the relay is seen as soon as there is one', async () => {
  const { address } = relay;
  await relay.close();
  const { id } = await engine.register(await rotatingEntry(server));
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh' });
  relay = await InspectionRelay.start(address);
  const late = await Viewer.connect(relay.viewerUrl);
  const names = (await late.untilEnded(2)).flatMap((message) =>
    message.type === '@xstate.actor' ? [message.name] : [],
  );
  expect(names).toContain(id);
  await late.close();
});

test('a relay that is not there, or refuses the token, costs an engine nothing', async () => {
  const wrong = publishInspection(engine, { ...relay.address, token: Secret.of('x'.repeat(43)) });
  const absent = publishInspection(engine, { ...relay.address, port: 1 });
  await Promise.all([wrong.attempted, absent.attempted]);
  const { id } = await engine.register(await rotatingEntry(server));
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh' });
  const messages = await viewer.untilEnded(3);
  // Once each, from the publication that was let in.
  const sessions = messages.filter(({ type }) => type === '@xstate.actor').map(({ sessionId }) => sessionId);
  expect(new Set(sessions).size).toBe(sessions.length);
  await Promise.all([wrong.close(), absent.close()]);
});
