import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CredentialEngine, type EngineOptions } from '../../src/engine.ts';
import { isCredentialError } from '../../src/errors.ts';
import { silentLogger, systemClock, systemFetch, systemRandom, type Ports } from '../../src/ports.ts';
import { N8nWatch } from '../../src/watch/n8n-watch.ts';
import { MASTER_KEY } from '../support/engine.ts';
import { rejectedCode } from '../support/codes.ts';
import { temporaryFolder } from '../support/folder.ts';
import { API_KEY, FakeN8n } from './fake-n8n.ts';

const PERIOD = 3_600_000;
const NEVER = new AbortController().signal;
const SECRET_IN_ANSWER = 'sk-live-the-secret-of-the-service';

/** The wall clock stands ahead by as much as the test says; everything else is the system's, and waiting takes no time. */
let aheadMs: number;
let n8n: FakeN8n;
let folder: ReturnType<typeof temporaryFolder>;
let engine: CredentialEngine;
let watch: N8nWatch;
let waits: number[];

const ports: Ports = {
  clock: {
    ...systemClock,
    hostTime: () => systemClock.hostTime(),
    now: () => new Date(systemClock.now().getTime() + aheadMs),
    schedule: (delayMs, callback, options) => {
      waits.push(delayMs);
      return systemClock.schedule(delayMs > 5_000 ? delayMs : 0, callback, options);
    },
  },
  random: systemRandom,
  fetch: systemFetch,
  logger: silentLogger,
};

beforeEach(async () => {
  aheadMs = 0;
  waits = [];
  n8n = await FakeN8n.start();
  folder = temporaryFolder();
  await open();
});
afterEach(async () => {
  n8n.release();
  await engine.close();
  await n8n.stop();
  folder.dispose();
});

async function open(options: Partial<EngineOptions> = {}): Promise<void> {
  const { connection } = n8n;
  engine = await CredentialEngine.open({
    database: join(folder.path, 'credentials.db'),
    masterKey: MASTER_KEY,
    ports,
    n8n: connection,
    ...options,
  });
  watch = new N8nWatch(engine, { connection, ports, everyMs: PERIOD });
}

async function round(afterMs = PERIOD) {
  aheadMs += afterMs;
  return watch.round(NEVER);
}

async function alerts(): Promise<string[]> {
  const { events } = await engine.readEvents(0, 10_000);
  const told = events.filter(({ type }) => type.startsWith('health.'));
  return Promise.all(
    told.map(async ({ type, credentialId }) => `${type} ${(await engine.get(credentialId ?? '')).name}`),
  );
}

async function named(name: string) {
  const found = (await watch.watched()).find((credential) => credential.name === name);
  if (!found) throw new Error(`nothing is called ${name}`);
  return found;
}

describe('watching n8n', () => {
  it('takes up every credential of every page, but those of this package', async () => {
    for (let index = 0; index < 104; index += 1) n8n.add(`Number ${String(index)}`);
    n8n.add('Of the engine', { type: 'lifecycleOAuth2Api' });
    n8n.add('Managed', { type: 'managedCredentialApi' });
    expect(await round()).toEqual({ failure: null, listed: 104, tested: 104 });
    expect(await watch.watched()).toHaveLength(105);
    expect((await watch.watched())[0]?.name).toBe(`n8n at ${new URL(n8n.url).host}`);
    expect(n8n.tests).toBe(104);
    expect(n8n.mostAtOnce).toBeLessThanOrEqual(4);
    expect(waits.filter((ms) => ms === 1_000).length).toBeGreaterThanOrEqual(104);
  }, 60_000);

  it('tests each once a period, and at once when it was changed in n8n', async () => {
    const credential = n8n.add('Dashboards');
    await round();
    expect((await round(60_000)).tested).toBe(0);
    expect((await round()).tested).toBe(1);
    credential.updatedAt = new Date(systemClock.now().getTime() + aheadMs + 1_000).toISOString();
    expect((await round(60_000)).tested).toBe(1);
    expect(n8n.testsOf(credential)).toBe(3);
  });

  it('alerts once in each episode, whatever restarts, and once when it is over', async () => {
    const credential = n8n.add('Dashboards');
    await round();
    credential.test = { status: 'Error', message: 'Unauthorized' };
    await round();
    for (let restart = 0; restart < 3; restart += 1) {
      await engine.close();
      await open();
      await round();
    }
    expect(await alerts()).toEqual(['health.failed Dashboards']);
    const failing = await named('Dashboards');
    expect(failing).toMatchObject({ health: 'failing', state: 'valid.fresh' });
    credential.test = { status: 'OK' };
    await round(48 * PERIOD);
    await round();
    expect(await alerts()).toEqual(['health.failed Dashboards', 'health.recovered Dashboards']);
    const { healthChangedAt } = await named('Dashboards');
    expect(healthChangedAt?.getTime()).toBeGreaterThan(failing.healthChangedAt?.getTime() ?? Infinity);
  });

  it('alerts once when two processes watch the same n8n', async () => {
    const credential = n8n.add('Dashboards', { test: { status: 'Error', message: 'Unauthorized' } });
    const other = await CredentialEngine.open({
      database: join(folder.path, 'credentials.db'),
      masterKey: MASTER_KEY,
      ports,
      n8n: n8n.connection,
    });
    const beside = new N8nWatch(other, { connection: n8n.connection, ports, everyMs: PERIOD });
    await Promise.all([watch.round(NEVER), beside.round(NEVER)]);
    expect(await watch.watched()).toHaveLength(2);
    expect(await alerts()).toEqual([`health.failed ${credential.name}`]);
    await other.close();
  });

  it('says that there is no test, which is neither good nor bad', async () => {
    n8n.add('Header', {
      type: 'httpHeaderAuth',
      test: { status: 'Error', message: 'No testing function found for this credential.' },
    });
    await round();
    const { id, health } = await named('Header');
    expect(health).toBe('unknown');
    expect(await engine.lastTest(id)).toMatchObject({
      inconclusive: true,
      message: 'n8n has no test for the type httpHeaderAuth.',
    });
    expect(await alerts()).toEqual([]);
  });

  it.each([
    { message: 'Unauthorized', shown: 'Its service answered: Unauthorized.' },
    { message: 'Received HTTP status code: 418', shown: 'Its service answered HTTP 418.' },
    { message: 'ECONNREFUSED', shown: 'n8n cannot reach its service (ECONNREFUSED).' },
    { message: `Invalid key ${SECRET_IN_ANSWER}`, shown: 'Open it in n8n to read why.' },
    { message: `Received HTTP status code: 401 ${SECRET_IN_ANSWER}`, shown: 'Open it in n8n to read why.' },
    { message: `E${SECRET_IN_ANSWER.toUpperCase()}`, shown: 'Open it in n8n to read why.' },
    { message: '', shown: 'Open it in n8n to read why.' },
  ])('repeats no text that a service may have written: $message', async ({ message, shown }) => {
    n8n.add('Dashboards', { test: { status: 'Error', message } });
    await round();
    const { id } = await named('Dashboards');
    expect((await engine.lastTest(id))?.message).toBe(`n8n says that it fails. ${shown}`);
  });

  it('never sends anything but reads and tests', async () => {
    const credential = n8n.add('Dashboards', { test: { status: 'Error' } });
    await round();
    const { id } = await named('Dashboards');
    await engine.refresh(id);
    await engine.pause(id);
    await round();
    expect(n8n.testsOf(credential)).toBe(1);
    await engine.resume(id);
    await engine.revoke(id);
    await round();
    await engine.delete(id);
    expect(new Set(n8n.requests.map((request) => request.split(' ')[0]))).toEqual(new Set(['GET', 'POST']));
    expect(n8n.requests.filter((request) => request.startsWith('POST'))).toEqual([
      `POST /api/v1/credentials/${credential.id}/test`,
    ]);
  });

  it('gives no material, whoever asks', async () => {
    n8n.add('Dashboards');
    await round();
    expect(await rejectedCode(engine.use((await named('Dashboards')).id))).toBe('ERR_N8N_WATCHED_ONLY');
  });

  it('forgets what n8n says is gone, and only that', async () => {
    n8n.add('Stays');
    const gone = n8n.add('Goes');
    await round();
    n8n.credentials.splice(n8n.credentials.indexOf(gone), 1);
    await round();
    expect((await watch.watched()).map(({ name }) => name)).toEqual([`n8n at ${new URL(n8n.url).host}`, 'Stays']);
  });

  it('follows a new name, on one line', async () => {
    const credential = n8n.add('Old');
    await round();
    credential.name = 'New\u001b[31m\nname';
    await round();
    expect((await watch.watched())[1]?.name).toBe('New [31m name');
  });
});

describe('an n8n that cannot be asked', () => {
  it('is one alert, however many credentials it keeps, and one when it is back', async () => {
    const port = Number(new URL(n8n.url).port);
    for (let index = 0; index < 60; index += 1) n8n.add(`Number ${String(index)}`);
    await round();
    const before = await alerts();
    await n8n.stop();
    for (let rounds = 0; rounds < 3; rounds += 1) {
      expect((await round()).failure?.code).toMatch(/^ERR_ENDPOINT_(UNREACHABLE|CONNECTION_LOST)$/);
    }
    await n8n.restart(port);
    expect(await round()).toMatchObject({ failure: null, tested: 60 });
    const host = `n8n at ${new URL(n8n.url).host}`;
    expect((await alerts()).slice(before.length)).toEqual([`health.failed ${host}`, `health.recovered ${host}`]);
  }, 60_000);

  it('ends the round when it goes away during the tests', async () => {
    for (let index = 0; index < 50; index += 1) n8n.add(`Number ${String(index)}`);
    n8n.holdsTests = true;
    const { host } = new URL(n8n.url);
    const running = round();
    while (n8n.atOnce < 4) await new Promise((resolve) => setImmediate(resolve));
    n8n.answerAll = { status: 503, body: '' };
    await n8n.stop();
    expect((await running).failure?.code).toMatch(/^ERR_ENDPOINT_(UNREACHABLE|CONNECTION_LOST)$/);
    expect(n8n.tests).toBe(4);
    expect(await alerts()).toEqual([`health.failed n8n at ${host}`]);
  });

  it.each([
    { what: 'refuses the key', answer: { status: 401, body: '{}' }, code: 'ERR_N8N_KEY_REFUSED' },
    { what: 'knows the key but not the scope', answer: { status: 403, body: '{}' }, code: 'ERR_N8N_SCOPE_MISSING' },
    { what: 'has no public API', answer: { status: 404, body: '{}' }, code: 'ERR_N8N_API_MISSING' },
    { what: 'is a sign-in page', answer: { status: 200, body: '<html>' }, code: 'ERR_N8N_ANSWER_INVALID' },
    {
      what: 'answers other JSON',
      answer: { status: 200, body: '{"data":[{"id":1}]}' },
      code: 'ERR_N8N_ANSWER_INVALID',
    },
    {
      what: 'sends the key elsewhere',
      answer: { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/' } },
      code: 'ERR_ENDPOINT_REDIRECTED',
    },
    { what: 'is overloaded', answer: { status: 503, body: '' }, code: 'ERR_ENDPOINT_UNAVAILABLE' },
    { what: 'asks for fewer requests', answer: { status: 429, body: '' }, code: 'ERR_ENDPOINT_RATE_LIMITED' },
    {
      what: 'answers without an end',
      answer: { status: 200, body: `{"data":["${'x'.repeat(5_000_000)}"]}` },
      code: 'ERR_ENDPOINT_RESPONSE_TOO_LARGE',
    },
  ])('because it $what: $code', async ({ answer, code }) => {
    n8n.add('Dashboards');
    await round();
    n8n.answerAll = answer;
    const { failure } = await round();
    expect(failure?.code).toBe(code);
    expect(isCredentialError(failure) && `${failure.message}${JSON.stringify(failure.cause ?? '')}`).not.toContain(
      API_KEY,
    );
    expect((await named('Dashboards')).health).toBe('healthy');
    await round();
    expect((await alerts()).filter((alert) => alert.startsWith('health.failed'))).toHaveLength(1);
  });
});

it('gives up on a listing that has no end', async () => {
  n8n.answerAll = { status: 200, body: '{"data":[],"nextCursor":"x"}' };
  expect((await round()).failure?.code).toBe('ERR_N8N_ANSWER_INVALID');
  expect(n8n.requests.length).toBeLessThan(210);
});

describe('the key of n8n', () => {
  it('is neither stored nor in any event', async () => {
    n8n.add('Dashboards');
    await round();
    const { id } = await named('Dashboards');
    const known = [
      await engine.get(id),
      await engine.settings(id),
      await engine.lastTest(id),
      await engine.readEvents(0),
    ];
    expect(JSON.stringify(known)).not.toContain(API_KEY);
    expect(await engine.settings(id)).toEqual({ url: n8n.url, credential: { id: 'id0', type: 'grafanaApi' } });
  });

  it('goes to no URL but its own, whatever a record says', async () => {
    const other = await FakeN8n.start();
    other.add('Elsewhere');
    const entry = {
      protocol: 'n8n',
      name: 'Elsewhere',
      config: { url: other.url, credential: { id: 'id0', type: 't' } },
    };
    const { id } = await engine.register({ ...entry, secret: {}, test: false });
    const { success, message } = await engine.test(id);
    expect({ success, message }).toEqual({ success: false, message: expect.stringContaining('ERR_N8N_NOT_CONNECTED') });
    expect(other.requests).toEqual([]);
    await other.stop();
  });

  it('is asked for again at each request, so that a new one counts at once', async () => {
    n8n.add('Dashboards');
    const keys = ['an-old-key-of-n8n', 'an-old-key-of-n8n', API_KEY];
    const { Secret } = await import('../../src/secret.ts');
    const connection = { url: n8n.url, apiKey: () => Secret.of(keys.length > 1 ? (keys.shift() ?? '') : API_KEY) };
    await engine.close();
    await open({ n8n: connection });
    watch = new N8nWatch(engine, { connection, ports, everyMs: PERIOD });
    expect((await round()).failure?.code).toBe('ERR_N8N_KEY_REFUSED');
    expect((await round()).failure).toBeNull();
  });

  it.each(['http://n8n.example.com', 'http://10.0.0.7:5678', 'ftp://127.0.0.1', 'http://user:pw@127.0.0.1', 'n8n', ''])(
    'does not go to %j',
    (url) => {
      const connection = { ...n8n.connection, url };
      expect(() => new N8nWatch(engine, { connection, ports, everyMs: PERIOD })).toThrow(
        expect.objectContaining({ code: 'ERR_CONFIG_MALFORMED' }),
      );
    },
  );
});
