import { execFileSync } from 'node:child_process';
import type { CredentialEngine } from '../../src/engine.ts';
import { Secret } from '../../src/secret.ts';
import { encodeWebhookKey, signWebhook, verifyWebhookSignature } from '../../src/webhooks/signature.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, temporaryFolder } from '../support/engine.ts';
import { eventually } from '../support/eventually.ts';
import { Receiver } from './receiver.ts';

const KEY = Secret.of(Buffer.alloc(32, 9));
const OTHER_KEY = Secret.of(Buffer.alloc(32, 8));
const TEXT_KEY = encodeWebhookKey(KEY);
const NOW = new Date('2026-03-01T12:00:00.000Z');
const BODY = '{"type":"credential.needsUser","data":{"name":"Grüße"}}';
const headers = { ...signWebhook({ eventId: 'event-1', sentAt: NOW, body: BODY }, [KEY]) };

/** By the standard's text alone, with another implementation of HMAC. */
function macByOpenssl(key: string, { id, timestamp, body }: { id: string; timestamp: string; body: string }): string {
  const hexKey = Buffer.from(key.slice('whsec_'.length), 'base64').toString('hex');
  const args = ['dgst', '-sha256', '-mac', 'HMAC', '-macopt', `hexkey:${hexKey}`, '-binary'];
  return execFileSync('openssl', args, { input: `${id}.${timestamp}.${body}` }).toString('base64');
}

describe('a signature', () => {
  it('is what openssl computes', () => {
    const timestamp = headers['webhook-timestamp'];
    const mac = macByOpenssl(TEXT_KEY, { id: 'event-1', timestamp, body: BODY });
    expect(headers['webhook-signature']).toBe(`v1,${mac}`);
  });

  it('is verified with its time and its id', () => {
    const verdict = verifyWebhookSignature(headers, BODY, { keys: [TEXT_KEY], now: NOW });
    expect(verdict).toEqual({ valid: true, eventId: 'event-1', sentAt: NOW });
    const capitals = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toUpperCase(), value]));
    expect(verifyWebhookSignature(capitals, Buffer.from(BODY), { keys: [TEXT_KEY], now: NOW }).valid).toBe(true);
  });

  const seconds = (count: number): Date => new Date(NOW.getTime() + count * 1_000);
  const at = (sentAt: Date) => ({ ...signWebhook({ eventId: 'event-1', sentAt, body: BODY }, [KEY]) });

  it.each<[string, Record<string, string>, string, readonly string[], string]>([
    ['another body', headers, `${BODY} `, [TEXT_KEY], 'signatureMismatch'],
    ['another id', { ...headers, 'webhook-id': 'event-2' }, BODY, [TEXT_KEY], 'signatureMismatch'],
    ['another time', { ...headers, 'webhook-timestamp': '1772366401' }, BODY, [TEXT_KEY], 'signatureMismatch'],
    ['another key', headers, BODY, [encodeWebhookKey(OTHER_KEY)], 'signatureMismatch'],
    ['no key', headers, BODY, [], 'signatureMismatch'],
    ['a replay', at(seconds(-301)), BODY, [TEXT_KEY], 'timestampOutsideTolerance'],
    ['a time to come', at(seconds(301)), BODY, [TEXT_KEY], 'timestampOutsideTolerance'],
    ['a time that is none', { ...headers, 'webhook-timestamp': 'now' }, BODY, [TEXT_KEY], 'headersMissing'],
    ['no signature', { ...headers, 'webhook-signature': '' }, BODY, [TEXT_KEY], 'headersMissing'],
    ['no headers', {}, BODY, [TEXT_KEY], 'headersMissing'],
    [
      'another version',
      { ...headers, 'webhook-signature': headers['webhook-signature'].replace('v1', 'v2') },
      BODY,
      [TEXT_KEY],
      'signatureMismatch',
    ],
    [
      'a signature cut short',
      { ...headers, 'webhook-signature': headers['webhook-signature'].slice(0, 20) },
      BODY,
      [TEXT_KEY],
      'signatureMismatch',
    ],
    ['an empty signature', { ...headers, 'webhook-signature': 'v1,' }, BODY, [TEXT_KEY], 'signatureMismatch'],
  ])('is refused with %s', (_sentence, presented, body, keys, reason) => {
    expect(verifyWebhookSignature(presented, body, { keys, now: NOW })).toEqual({ valid: false, reason });
  });

  it.each(['', 'whsec_', 'whsec_short', TEXT_KEY.slice('whsec_'.length)])(
    'is verified with no key such as %j',
    (key) => {
      expect(() => verifyWebhookSignature(headers, BODY, { keys: [key], now: NOW })).toThrow(TypeError);
    },
  );

  it('is accepted at the edges of the window, and of a wider one', () => {
    for (const offset of [-300, 300]) {
      expect(verifyWebhookSignature(at(seconds(offset)), BODY, { keys: [TEXT_KEY], now: NOW }).valid).toBe(true);
    }
    const wide = { keys: [TEXT_KEY], now: NOW, toleranceMs: 600_000 };
    expect(verifyWebhookSignature(at(seconds(-500)), BODY, wide).valid).toBe(true);
  });
});

describe('webhooks of an engine', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let clock: TestClock;
  let engine: CredentialEngine;

  beforeEach(async () => {
    folder = temporaryFolder();
    clock = new TestClock();
    engine = await openEngine(folder.path, { ports: { clock } });
  });

  afterEach(async () => {
    await engine.close();
    folder.dispose();
  });

  it.each([
    'https://receiver.example/hook?tenant=1',
    'http://localhost:8080/hook',
    'http://127.0.0.1:8080/hook',
    'http://[::1]:8080/',
  ])('may be at %s', async (url) => {
    expect((await engine.webhooks.add({ url })).webhook.url).toBe(url);
  });

  it.each([
    'http://receiver.example/',
    'http://127.0.0.1.example/',
    'http://10.0.0.1/',
    'http://localhost.example/',
    'https://user:password@receiver.example/',
    'https://receiver.example/#fragment',
    'ftp://receiver.example/',
    'file:///etc/passwd',
    'receiver.example',
    '',
  ])('may not be at %j, and nothing is stored', async (url) => {
    await expect(engine.webhooks.add({ url })).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    expect(await engine.webhooks.list()).toEqual([]);
  });

  it('may be at another machine without TLS when that is allowed by name', async () => {
    const { webhook } = await engine.webhooks.add({ url: 'http://10.0.0.1/', allowInsecureTransport: true });
    expect(webhook).toMatchObject({ url: 'http://10.0.0.1/', allowInsecureTransport: true });
  });

  it.each<[string, object]>([
    ['an unknown type', { url: 'https://a.example/', types: ['credential.exploded'] }],
    ['an unknown member', { url: 'https://a.example/', secret: 'x' }],
    ['a look-alike', { url: 'https://a.example/', allowInsecureTransport: 'false' }],
    ['an empty owner', { url: 'https://a.example/', ownerId: '' }],
  ])('are refused with %s', async (_sentence, input) => {
    const add = engine.webhooks.add(input as { url: string });
    await expect(add).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    expect(await engine.webhooks.list()).toEqual([]);
  });

  it('have keys of their own, which no list shows', async () => {
    const one = await engine.webhooks.add({ url: 'https://a.example/' });
    const two = await engine.webhooks.add({ url: 'https://a.example/' });
    expect(one.key).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(one.key).not.toBe(two.key);
    expect(JSON.stringify(await engine.webhooks.list())).not.toContain(one.key.slice(6));
  });

  it.each(['remove', 'test', 'rotateKey'] as const)('that do not exist cannot %s', async (verb) => {
    await expect(engine.webhooks[verb]('wh_none')).rejects.toMatchObject({ code: 'ERR_WEBHOOK_NOT_FOUND' });
  });

  it('change their key with an overlap in which both sign', async () => {
    const receiver = await Receiver.start();
    const { webhook, key: old } = await engine.webhooks.add({ url: receiver.url });
    const { key: next, previousKeyUntil } = await engine.webhooks.rotateKey(webhook.webhookId);
    expect(await engine.webhooks.test(webhook.webhookId)).toMatchObject({ delivered: true, status: 204 });
    const request = await eventually(() => receiver.requests[0]);
    const verify = (key: string, at = request): boolean =>
      verifyWebhookSignature(at.headers, at.body, { keys: [key], now: clock.now() }).valid;
    expect([verify(old), verify(next)]).toEqual([true, true]);
    clock.advance(previousKeyUntil.getTime() - clock.now().getTime() + 1_000);
    await engine.webhooks.test(webhook.webhookId);
    const later = await eventually(() => receiver.requests[1]);
    expect([verify(old, later), verify(next, later)]).toEqual([false, true]);
    await receiver.kill();
  });

  it('keep their key over a rotation of data keys, a re-encryption and another master key', async () => {
    const receiver = await Receiver.start();
    const { webhook, key } = await engine.webhooks.add({ url: receiver.url });
    await engine.keys.rotate();
    await engine.keys.reEncrypt();
    const masterKey = Buffer.alloc(32, 5);
    await engine.keys.changeMasterKey(masterKey);
    await engine.close();
    engine = await openEngine(folder.path, { masterKey, ports: { clock } });
    await engine.webhooks.test(webhook.webhookId);
    const request = await eventually(() => receiver.requests[0]);
    expect(verifyWebhookSignature(request.headers, request.body, { keys: [key], now: clock.now() })).toMatchObject({
      valid: true,
    });
    await receiver.kill();
  });

  it('say that a receiver is away', async () => {
    const { webhook } = await engine.webhooks.add({ url: 'http://127.0.0.1:9/' });
    const result = await engine.webhooks.test(webhook.webhookId);
    expect(result).toMatchObject({
      delivered: false,
      failure: expect.stringContaining('ERR_ENDPOINT_UNREACHABLE') as string,
    });
  });
});

test('a rotation of the data keys is told', async () => {
  const folder = temporaryFolder();
  const engine = await openEngine(folder.path);
  const told: string[] = [];
  engine.on('key.rotated', ({ type }) => told.push(type));
  await engine.keys.rotate();
  const { events } = await engine.readEvents(0);
  expect(events).toMatchObject([{ type: 'key.rotated', credentialId: null, state: null, reason: 'keyRotated' }]);
  expect(told).toEqual(['key.rotated']);
  await engine.close();
  folder.dispose();
});
