import { inspect } from 'node:util';
import type { InspectionEvent } from 'xstate';
import type { CredentialEngine } from '../../src/engine.ts';
import { Inspections } from '../../src/lifecycle/inspect.ts';
import { silentLogger, systemFetch, type Fetch } from '../../src/ports.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { eventually } from '../support/eventually.ts';
import { MASTER_KEY, openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let complaints: string[];
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
  complaints = [];
  const error = (_fields: object, message: string): void => {
    complaints.push(message);
  };
  engine = await openEngine(folder.path, { ports: { fetch, logger: { ...silentLogger, error } } });
});

afterEach(async () => {
  await engine.close();
  await server.stop();
  folder.dispose();
});

/** What a wire would carry of an event, and what an inspector in this process finds in what it is about. */
function textOf(event: InspectionEvent): string {
  const snapshot = 'snapshot' in event ? event.snapshot : event.actorRef.getSnapshot();
  const { context, input, output, error } = { ...(snapshot as object) } as Record<string, unknown>;
  const said = [event.type, 'event' in event && event.event, 'action' in event && event.action];
  return `${inspect([said, context, input, output, error], { depth: 10, showHidden: true })}\n${JSON.stringify(event)}`;
}

function formsOf(secret: string): string[] {
  const utf8 = Buffer.from(secret);
  return [secret, utf8.toString('hex'), utf8.toString('base64').slice(0, -4), encodeURIComponent(secret)];
}

test('shows the actors, events and snapshots of a live refresh and a revocation, and no secret', async () => {
  const entry = await rotatingEntry(server);
  const { id } = await engine.register(entry);
  const events: { type: string; text: string }[] = [];
  const states: string[] = [];
  engine.inspect((event) => {
    events.push({ type: event.type, text: textOf(event) });
    if (event.type === '@xstate.snapshot' && 'value' in event.snapshot)
      states.push(JSON.stringify(event.snapshot.value));
  });
  await engine.refresh(id);
  await server.failNext({ kind: 'dropAnswer' }, 1);
  await engine.refresh(id);
  await engine.revoke(id);
  const types = new Set(events.map(({ type }) => type));
  for (const type of ['actor', 'event', 'snapshot']) expect(types).toContain(`@xstate.${type}`);
  expect(states.join(' ')).toMatch(/"claimed".*"sent".*"fresh".*"sent".*"ambiguous".*"revoking".*"ended"/);

  const traffic = events.map(({ text }) => text).join('\n');
  expect(traffic).toContain(id);
  const secrets = [...tokens, ...Object.values(entry.secret).map(String), MASTER_KEY.toString('hex')];
  expect(secrets.length).toBeGreaterThanOrEqual(6);
  expect(secrets.filter((secret) => formsOf(secret).some((form) => traffic.includes(form)))).toEqual([]);
});

test('an inspector that throws or rejects harms neither the refresh nor the other inspectors', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  let heard = 0;
  engine.inspect(() => {
    throw new Error('canary in an inspector');
  });
  engine.inspect({ next: () => Promise.reject(new Error('later')) as unknown as undefined });
  engine.inspect({});
  engine.inspect(() => {
    heard += 1;
  });
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2 });
  expect(heard).toBeGreaterThan(5);
  await eventually(() => complaints.length >= 2 * heard);
  expect(new Set(complaints)).toEqual(new Set(['An inspector threw.']));
});

test('an inspector that has ended hears nothing more', async () => {
  const { id } = await engine.register(await rotatingEntry(server));
  let heard = 0;
  const end = engine.inspect(() => {
    heard += 1;
  });
  await engine.refresh(id);
  const before = heard;
  end();
  await engine.refresh(id);
  expect([before > 0, heard]).toEqual([true, before]);
});

test('actors are made without inspection when nobody inspects', () => {
  const inspections = new Inspections(silentLogger);
  expect(inspections.actorOptions()).toEqual({});
  inspections.add(() => undefined)();
  expect(inspections.actorOptions()).toEqual({});
});
