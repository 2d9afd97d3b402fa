import { createHmac } from 'node:crypto';
import { silentLogger } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import type { AuthEvent } from '../../src/sessions/audit.ts';
import { AuthStorage } from '../../src/sessions/auth-storage.ts';
import type { AuthRows } from '../../src/sessions/rows.ts';
import type { NewSession } from '../../src/sessions/sessions.ts';
import type { NewToken } from '../../src/sessions/tokens.ts';
import { NOW, secondsAfter } from '../support/record.ts';
import { SteppedClock } from '../support/stepped-clock.ts';
import { HOSTILE_TEXTS, UNSTORABLE_TEXTS } from './hostile-texts.ts';

export interface AuthRowsSubject {
  readonly rows: AuthRows;
  readonly dispose: () => Promise<void>;
}

export const hash = (purpose: string, text: string): Buffer =>
  createHmac('sha256', 'key').update(purpose).update('\0').update(text).digest();

export function aToken(tokenId: string, overrides: Partial<NewToken> = {}): NewToken {
  return {
    ...{ tokenId, userId: 'alice', tokenType: 'Bearer', subject: null, issuer: 'https://as.example', clientId: null },
    ...{ authMethod: 'password', scopes: ['read'], permissions: ['read:data'], roles: ['user'], userProfile: null },
    ...{ metadata: {}, issuedAt: NOW, expiresAt: secondsAfter(NOW, 3_600) },
    ...{ accessToken: Secret.of(`access-${tokenId}`), refreshToken: Secret.of(`refresh-${tokenId}`) },
    ...overrides,
  };
}

export function aSession(sessionId: string, overrides: Partial<NewSession> = {}): NewSession {
  return {
    ...{ sessionId, userId: 'alice', expiresAt: secondsAfter(NOW, 3_600), ipAddress: '192.0.2.1', userAgent: 'agent' },
    data: {},
    ...overrides,
  };
}

const HOUR_MS = 3_600_000;

/** What the auth storage must do on every driver. */
export function authStorageConformance(driver: string, open: () => Promise<AuthRowsSubject>): void {
  describe(`auth storage: ${driver}`, () => {
    let subject: AuthRowsSubject;
    let clock: SteppedClock;
    let storage: AuthStorage;
    let events: AuthEvent[];
    const typesOf = () => events.map(({ type }) => type);
    beforeEach(async () => {
      subject = await open();
      clock = new SteppedClock();
      events = [];
      storage = withDefault(null);
    });
    afterEach(async () => {
      storage.stopCleanup();
      await subject.dispose();
    });

    function withDefault(defaultTtlMs: number | null): AuthStorage {
      const ports = { clock, logger: silentLogger };
      return new AuthStorage({ rows: subject.rows, ports, hash, defaultTtlMs, onEvent: (event) => events.push(event) });
    }

    describe('tokens', () => {
      it('are found by id, by access token and by user, without their secrets', async () => {
        await storage.tokens.put(aToken('t1', { metadata: { __proto__x: [1, { a: null }] } }));
        const { accessToken, refreshToken, ...facts } = aToken('t1', { metadata: { __proto__x: [1, { a: null }] } });
        const stored = { ...facts, storedAt: NOW, endsAt: facts.expiresAt, hasRefreshToken: true };
        expect(await storage.tokens.get('t1')).toEqual(stored);
        expect(await storage.tokens.getByAccessToken(accessToken)).toEqual(stored);
        expect(await storage.tokens.listByUser('alice')).toEqual([stored]);
        expect(await storage.tokens.listByUser('bob')).toEqual([]);
        expect(refreshToken).not.toBeNull();
        const row = await subject.rows.get('token', 't1');
        expect(JSON.stringify(row) + String(row?.body)).not.toMatch(/access-t1|refresh-t1/);
      });

      it('know their refresh token from any other', async () => {
        await storage.tokens.put(aToken('t1'));
        await storage.tokens.put(aToken('t2', { refreshToken: null }));
        expect(await storage.tokens.matchesRefreshToken('t1', Secret.of('refresh-t1'))).toBe(true);
        expect(await storage.tokens.matchesRefreshToken('t1', Secret.of('access-t1'))).toBe(false);
        expect(await storage.tokens.matchesRefreshToken('t2', Secret.of('refresh-t2'))).toBe(false);
        expect(await storage.tokens.matchesRefreshToken('none', Secret.of('refresh-t1'))).toBe(false);
      });

      it('once updated answer to their new access token alone and are listed once', async () => {
        await storage.tokens.put(aToken('t1'));
        await clock.advance(1_000);
        const next = aToken('t1', { accessToken: Secret.of('second'), userId: 'bob' });
        expect(await storage.tokens.update(next)).toBe(true);
        expect(await storage.tokens.getByAccessToken(Secret.of('access-t1'))).toBeNull();
        expect(await storage.tokens.getByAccessToken(Secret.of('second'))).toMatchObject({
          tokenId: 't1',
          storedAt: NOW,
        });
        expect(await storage.tokens.listByUser('alice')).toEqual([]);
        expect(await storage.tokens.listByUser('bob')).toHaveLength(1);
        expect(await storage.tokens.update(aToken('none'))).toBe(false);
      });

      it('stored anew under the same id replace the one before in every index', async () => {
        await storage.tokens.put(aToken('t1'));
        await storage.tokens.put(aToken('t1', { accessToken: Secret.of('second') }));
        expect(await storage.tokens.getByAccessToken(Secret.of('access-t1'))).toBeNull();
        expect(await storage.tokens.listByUser('alice')).toHaveLength(1);
      });

      it('never share an access token, unless the other one has expired', async () => {
        const shared = { accessToken: Secret.of('shared') };
        await storage.tokens.put(aToken('t1', shared));
        const duplicate = { code: 'ERR_STORE_DUPLICATE' };
        await expect(storage.tokens.put(aToken('t2', shared))).rejects.toMatchObject(duplicate);
        await storage.tokens.put(aToken('t2'));
        await expect(storage.tokens.update(aToken('t2', shared))).rejects.toMatchObject(duplicate);
        expect(await storage.tokens.getByAccessToken(Secret.of('access-t2'))).toMatchObject({ tokenId: 't2' });
        await clock.advance(HOUR_MS);
        await storage.tokens.put(aToken('t3', { ...shared, expiresAt: null }));
        expect(await storage.tokens.getByAccessToken(Secret.of('shared'))).toMatchObject({ tokenId: 't3' });
      });

      it('once revoked are found by nothing', async () => {
        await storage.tokens.put(aToken('t1'));
        expect(await storage.tokens.delete('t1')).toBe(true);
        expect(await storage.tokens.delete('t1')).toBe(false);
        expect(await storage.tokens.getByAccessToken(Secret.of('access-t1'))).toBeNull();
        expect(await storage.tokens.listByUser('alice')).toEqual([]);
        expect(await storage.statistics()).toMatchObject({ tokens: 0, usersWithTokens: 0 });
      });
    });

    describe('ends', () => {
      it.each<[string, number | null, number | undefined, number | null, number | null]>([
        ['nothing said: never', null, undefined, null, null],
        ['its own expiry', null, undefined, 60, 60],
        ['the default of the storage', 30, undefined, null, 30],
        ['its own expiry when it is earlier than the default', 90, undefined, 60, 60],
        ['the default when it is earlier than its own expiry', 30, undefined, 60, 30],
        ['its time to live in the place of the default', 30, 45, null, 45],
        ['its time to live when it is earlier than its own expiry', null, 45, 60, 45],
        ['its own expiry when it is earlier than its time to live', null, 90, 60, 60],
      ])('%s', async (_sentence, defaultS, ttlS, ownS, endS) => {
        storage = withDefault(defaultS === null ? null : defaultS * 1_000);
        const options = ttlS === undefined ? {} : { ttlMs: ttlS * 1_000 };
        const expiresAt = ownS === null ? null : secondsAfter(NOW, ownS);
        await storage.tokens.put(aToken('t', { expiresAt }), options);
        await storage.sessions.start(aSession('s', { expiresAt }), options);
        const endsAt = endS === null ? null : secondsAfter(NOW, endS);
        expect((await storage.tokens.get('t'))?.endsAt).toEqual(endsAt);
        expect((await storage.sessions.get('s'))?.endsAt).toEqual(endsAt);
        await clock.advance((endS ?? 1e6) * 1_000 - 1);
        expect(await storage.tokens.get('t')).not.toBeNull();
        await clock.advance(1);
        expect((await storage.tokens.get('t')) === null).toBe(endS !== null);
        expect((await storage.sessions.get('s')) === null).toBe(endS !== null);
      });

      it.each([0, -1, 1.5, Number.NaN, Infinity])('a time to live of %s ms is refused as misuse', async (ttlMs) => {
        await expect(storage.tokens.put(aToken('t'), { ttlMs })).rejects.toThrow(TypeError);
        await expect(storage.keyValues.put('k', Buffer.alloc(1), { ttlMs })).rejects.toThrow(TypeError);
      });

      it('a read of what has expired leaves no index entry behind', async () => {
        await storage.tokens.put(aToken('t1'));
        await storage.sessions.start(aSession('s1'));
        await clock.advance(HOUR_MS);
        expect(await storage.tokens.getByAccessToken(Secret.of('access-t1'))).toBeNull();
        expect(await storage.sessions.get('s1')).toBeNull();
        expect(await subject.rows.get('token', 't1')).toBeNull();
        expect(await subject.rows.getByAccessHash(hash('auth-access-token', 'access-t1'))).toBeNull();
        expect(await subject.rows.listByUser('token', 'alice', NOW)).toEqual([]);
        expect(await subject.rows.listByUser('session', 'alice', NOW)).toEqual([]);
      });

      it('lists, counts and reports leave out what has expired but was not read yet', async () => {
        await storage.tokens.put(aToken('t1'));
        await storage.tokens.put(aToken('t2', { expiresAt: null }));
        await storage.sessions.start(aSession('s1'));
        await storage.keyValues.put('k', Buffer.from('v'), { ttlMs: 1_000 });
        await clock.advance(HOUR_MS);
        expect((await storage.tokens.listByUser('alice')).map(({ tokenId }) => tokenId)).toEqual(['t2']);
        expect(await storage.sessions.countActive()).toBe(0);
        expect((await storage.keyValues.listKeys('')).keys).toEqual([]);
        expect(await storage.statistics()).toEqual({
          ...{ tokens: 1, sessions: 0, keyValues: 0, usersWithTokens: 1, usersWithSessions: 0 },
          at: clock.now(),
        });
      });

      it('the cleanup deletes all that has expired and nothing else, and tells each once', async () => {
        for (let index = 0; index < 1_100; index += 1) {
          await storage.keyValues.put(`k${String(index)}`, Buffer.alloc(1), { ttlMs: 1_000 });
        }
        await storage.keyValues.put('stays', Buffer.alloc(1));
        await storage.tokens.put(aToken('t1', { expiresAt: secondsAfter(NOW, 1) }));
        await storage.sessions.start(aSession('s1', { expiresAt: secondsAfter(NOW, 1) }));
        await clock.advance(1_000);
        events = [];
        expect(await storage.cleanUp()).toEqual({ tokens: 1, sessions: 1, keyValues: 1_100 });
        expect(await storage.cleanUp()).toEqual({ tokens: 0, sessions: 0, keyValues: 0 });
        expect(events).toHaveLength(1_102);
        expect(await storage.keyValues.get('stays')).not.toBeNull();
      });

      it('the scheduled cleanup comes again and again until it is stopped', async () => {
        storage.startCleanup(60_000);
        for (let round = 0; round < 3; round += 1) {
          await storage.keyValues.put('k', Buffer.alloc(1), { ttlMs: 1_000 });
          await clock.advance(60_000);
          await untilGone('k');
        }
        storage.stopCleanup();
        await storage.keyValues.put('k', Buffer.alloc(1), { ttlMs: 1_000 });
        await clock.advance(600_000);
        expect(await subject.rows.get('keyValue', 'k')).not.toBeNull();
      });

      async function untilGone(key: string): Promise<void> {
        for (let tries = 0; tries < 500; tries += 1) {
          await new Promise((resolve) => setImmediate(resolve));
          if ((await subject.rows.get('keyValue', key)) === null) {
            // The next round is scheduled when this one has ended.
            await storage.statistics();
            return;
          }
        }
        throw new Error(`The key ${key} is still there.`);
      }
    });

    describe('sessions', () => {
      it('are found by id and by user, and counted', async () => {
        await storage.sessions.start(aSession('s1'));
        await storage.sessions.start(aSession('s2', { userId: 'bob' }));
        const stored = { ...aSession('s1'), startedAt: NOW, lastActivityAt: NOW, endsAt: secondsAfter(NOW, 3_600) };
        expect(await storage.sessions.get('s1')).toEqual(stored);
        expect(await storage.sessions.listByUser('alice')).toEqual([stored]);
        expect(await storage.sessions.countActive()).toBe(2);
        expect(await storage.sessions.end('s1')).toBe(true);
        expect(await storage.sessions.end('s1')).toBe(false);
        expect(await storage.sessions.listByUser('alice')).toEqual([]);
        expect(await storage.sessions.countActive()).toBe(1);
      });

      it('keep when their user was last active, and live on when he is, within their own expiry', async () => {
        await storage.sessions.start(aSession('s1'), { ttlMs: 60_000 });
        await clock.advance(30_000);
        expect(await storage.sessions.touch('s1', { ttlMs: 60_000 })).toBe(true);
        await clock.advance(59_999);
        const read = await storage.sessions.get('s1');
        expect(read).toMatchObject({ startedAt: NOW, lastActivityAt: secondsAfter(NOW, 30) });
        expect(await storage.sessions.touch('s1', { ttlMs: 10 * HOUR_MS })).toBe(true);
        expect((await storage.sessions.get('s1'))?.endsAt).toEqual(secondsAfter(NOW, 3_600));
        await clock.advance(HOUR_MS);
        expect(await storage.sessions.touch('s1')).toBe(false);
      });

      it('lose no update of many at once', async () => {
        await storage.sessions.start(aSession('s1', { data: { count: 0 } }));
        const increment = () =>
          storage.sessions.update('s1', (data) => ({ ...data, count: Number(data['count']) + 1 }));
        await Promise.all(Array.from({ length: 10 }, increment));
        expect((await storage.sessions.get('s1'))?.data).toEqual({ count: 10 });
      });
    });

    describe('key-values', () => {
      it('give back the very bytes until they are deleted', async () => {
        const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
        await storage.keyValues.put('k', value);
        expect(await storage.keyValues.get('k')).toEqual(value);
        await storage.keyValues.put('k', Buffer.alloc(0));
        expect(await storage.keyValues.get('k')).toEqual(Buffer.alloc(0));
        expect(await storage.keyValues.delete('k')).toBe(true);
        expect(await storage.keyValues.delete('k')).toBe(false);
        expect(await storage.keyValues.get('k')).toBeNull();
      });

      it('are listed by prefix, in order, page by page', async () => {
        const keys = ['a', 'a/1', 'a/2', 'a/\u{10FFFF}\u{10FFFF}z', 'a0', 'A/1', 'b'];
        for (const key of keys.toReversed()) await storage.keyValues.put(key, Buffer.alloc(1));
        expect((await storage.keyValues.listKeys('a/')).keys).toEqual(['a/1', 'a/2', 'a/\u{10FFFF}\u{10FFFF}z']);
        const first = await storage.keyValues.listKeys('a', { limit: 2 });
        const second = await storage.keyValues.listKeys('a', { limit: 3, cursor: first.nextCursor ?? '' });
        expect([first.keys, second.keys]).toEqual([
          ['a', 'a/1'],
          ['a/2', 'a/\u{10FFFF}\u{10FFFF}z', 'a0'],
        ]);
        expect(second.nextCursor).toBeNull();
        expect((await storage.keyValues.listKeys('a%')).keys).toEqual([]);
        await expect(storage.keyValues.listKeys('a', { cursor: 'x' })).rejects.toMatchObject({
          code: 'ERR_CONFIG_MALFORMED',
        });
      });
    });

    describe('audit', () => {
      it('says what happened, and calls a read a read', async () => {
        await storage.tokens.put(aToken('t1'));
        await storage.tokens.get('t1');
        await storage.tokens.getByAccessToken(Secret.of('access-t1'));
        await storage.tokens.update(aToken('t1'));
        await storage.tokens.delete('t1');
        await storage.sessions.start(aSession('s1'));
        await storage.sessions.get('s1');
        await storage.sessions.update('s1', (data) => data);
        await storage.sessions.end('s1');
        await storage.keyValues.put('k', Buffer.alloc(1));
        await storage.keyValues.get('k');
        await storage.keyValues.delete('k');
        expect(typesOf()).toEqual([
          ...['token.issued', 'token.read', 'token.read', 'token.updated', 'token.revoked'],
          ...['session.started', 'session.read', 'session.updated', 'session.ended'],
          ...['keyValue.written', 'keyValue.read', 'keyValue.deleted'],
        ]);
      });

      it('names item, user, age and outcome, tells an expiry once, and nothing of what is not there', async () => {
        await storage.tokens.put(aToken('t1', { expiresAt: secondsAfter(NOW, 60) }));
        await clock.advance(61_000);
        events = [];
        await Promise.all([storage.tokens.get('t1'), storage.tokens.get('t1'), storage.tokens.get('none')]);
        await storage.tokens.delete('none');
        expect(events).toEqual([
          {
            ...{ type: 'token.expired', kind: 'token', id: 't1', userId: 'alice', outcome: 'failure', risk: 'medium' },
            ...{ at: clock.now(), ageMs: 61_000 },
          },
        ]);
      });

      it('survives a listener that throws', async () => {
        const failing = new AuthStorage({
          ...{ rows: subject.rows, ports: { clock, logger: silentLogger }, hash },
          onEvent: () => {
            throw new Error('listener');
          },
        });
        await failing.keyValues.put('k', Buffer.from('v'));
        expect((await failing.keyValues.get('k'))?.toString()).toBe('v');
      });

      it('reports ages, the oldest first, and what is older than a day', async () => {
        await storage.tokens.put(aToken('old', { expiresAt: null }));
        await storage.sessions.start(aSession('older', { expiresAt: null }));
        await clock.advance(24 * HOUR_MS + 1);
        await storage.tokens.put(aToken('young', { userId: 'bob', expiresAt: null }));
        const ageMs = 24 * HOUR_MS + 1;
        expect(await storage.tokenAges()).toEqual([
          { id: 'old', userId: 'alice', createdAt: NOW, ageMs },
          { id: 'young', userId: 'bob', createdAt: clock.now(), ageMs: 0 },
        ]);
        expect(await storage.sessionAges(1)).toEqual([{ id: 'older', userId: 'alice', createdAt: NOW, ageMs }]);
        expect(await storage.auditReport()).toEqual({
          ...{ tokens: 2, sessions: 1, keyValues: 0, usersWithTokens: 2, usersWithSessions: 1, at: clock.now() },
          ...{ oldestTokenAgeMs: ageMs, tokensOlderThan24h: 1, oldestSessionAgeMs: ageMs, sessionsOlderThan24h: 1 },
        });
      });

      it('reports an empty storage without invented numbers', async () => {
        expect(await storage.auditReport()).toMatchObject({ oldestTokenAgeMs: null, oldestSessionAgeMs: null });
      });
    });

    it.each(HOSTILE_TEXTS)('keeps hostile text as it is: %j', async (text) => {
      const token = aToken(text, {
        userId: text,
        accessToken: Secret.of(text),
        metadata: Object.fromEntries([[text, text]]),
      });
      await storage.tokens.put(token);
      expect(await storage.tokens.getByAccessToken(Secret.of(text))).toMatchObject({
        ...{ tokenId: text, userId: text, metadata: token.metadata },
      });
      expect(await storage.tokens.listByUser(text)).toHaveLength(1);
      await storage.keyValues.put(text, Buffer.from(text));
      expect((await storage.keyValues.listKeys(text)).keys).toEqual([text]);
      expect((await storage.keyValues.get(text))?.toString()).toBe(text);
    });

    it.each(UNSTORABLE_TEXTS)('refuses %s in names, and finds nothing by it', async (_name, text) => {
      const refused = { code: 'ERR_CONFIG_MALFORMED' };
      await expect(storage.tokens.put(aToken(text))).rejects.toMatchObject(refused);
      await expect(storage.tokens.put(aToken('t', { userId: text }))).rejects.toMatchObject(refused);
      await expect(storage.sessions.start(aSession(text))).rejects.toMatchObject(refused);
      await expect(storage.keyValues.put(text, Buffer.alloc(1))).rejects.toMatchObject(refused);
      expect(await storage.tokens.get(text)).toBeNull();
      expect(await storage.tokens.listByUser(text)).toEqual([]);
      expect(await storage.statistics()).toMatchObject({ tokens: 0, sessions: 0, keyValues: 0 });
    });
  });
}
