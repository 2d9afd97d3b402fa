import { describeDueWork } from './due-work.ts';
import type { RecordFilter, RecordStore } from '../../src/storage/record-store.ts';
import { eventOf, storeEvent } from '../../src/lifecycle/events.ts';
import type { Attempt } from '../../src/lifecycle/journal.ts';
import { hostileTextConformance } from './hostile-texts.ts';
import { aTestResult, ledgerConformance } from './ledger.ts';
import { recordSealConformance } from './record-seal.ts';
import { usageConformance } from './usage.ts';
import { aRecord, aValidRecord, NOW, secondsAfter } from '../support/record.ts';

export interface RecordStoreSubject {
  readonly store: RecordStore;
  /** The clock that the store's leases run on. */
  readonly clock: { advance(ms: number): unknown };
  readonly dispose: () => Promise<void>;
}

const LEASE_MS = 60_000;
/** Real time that may pass meanwhile where the store's clock is a real one. */
const MARGIN_MS = 30_000;

/** What every record store must do. A driver is judged by calling this with its name and a factory. */
export function recordStoreConformance(driver: string, open: () => Promise<RecordStoreSubject>): void {
  describe(`record store: ${driver}`, () => {
    let store: RecordStore;
    let subject: RecordStoreSubject;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.dispose());

    it('gives back exactly what was inserted', async () => {
      const record = aValidRecord(3600, {
        name: `O'Neil "x" \u{1F511} 日本; DROP TABLE records;--`,
        tags: ['__proto__', 'b'],
        ownerId: 'o/1',
        failure: { class: 'clock', code: 'ERR_ENDPOINT_TIMEOUT', message: 'm', at: NOW },
      });
      await store.insert(record, []);
      expect(await store.get(record.id)).toEqual(record);
    });

    it('answers null for an id that it does not hold', async () => {
      expect(await store.get("x' OR 1=1")).toBeNull();
    });

    it('refuses a second record with the same id and keeps the first', async () => {
      await store.insert(aRecord({ name: 'first' }), []);
      await expect(store.insert(aRecord({ name: 'second' }), [])).rejects.toMatchObject({
        code: 'ERR_STORE_DUPLICATE',
      });
      expect((await store.get(aRecord().id))?.name).toBe('first');
    });

    it('writes the next revision once; the second writer is refused and nothing of his is kept', async () => {
      const record = aRecord();
      await store.insert(record, []);
      const change = (name: string) => ({
        record: { ...record, name, revision: 2 },
        expectedRevision: 1,
        events: [eventOf('credential.refreshed', record, name)],
      });
      expect(await store.compareAndSet(change('a'))).toBe(true);
      expect(await store.compareAndSet(change('b'))).toBe(false);
      expect((await store.get(record.id))?.name).toBe('a');
      expect((await store.readEvents(0, 10)).events.map((event) => event.eventId)).toEqual(['a']);
    });

    it('refuses a record that does not carry the next revision as misuse', async () => {
      await store.insert(aRecord(), []);
      await expect(store.compareAndSet({ record: aRecord({ revision: 3 }), expectedRevision: 1 })).rejects.toThrow(
        TypeError,
      );
    });

    describe('claims', () => {
      beforeEach(() => store.insert(aRecord({ refreshDueAt: NOW }), []));
      const { id } = aRecord();

      it('are held by one at a time, with a fence that grows', async () => {
        const first = await store.claim(id, 'a', LEASE_MS);
        expect(await store.claim(id, 'b', LEASE_MS)).toBeNull();
        expect(await store.claim(id, 'a', LEASE_MS)).toBeNull();
        await subject.clock.advance(LEASE_MS);
        const second = await store.claim(id, 'b', LEASE_MS);
        expect(second?.fence).toBeGreaterThan(first?.fence ?? Infinity);
      });

      it('are prolonged by their holder and by nobody else', async () => {
        const first = await store.claim(id, 'a', LEASE_MS);
        if (!first) throw new Error('no claim');
        await subject.clock.advance(LEASE_MS - MARGIN_MS);
        expect(await store.renewClaim(first, LEASE_MS)).toBe(true);
        await subject.clock.advance(LEASE_MS - MARGIN_MS);
        expect(await store.claim(id, 'b', LEASE_MS)).toBeNull();
        await subject.clock.advance(MARGIN_MS);
        expect(await store.claim(id, 'b', LEASE_MS)).not.toBeNull();
        expect(await store.renewClaim(first, LEASE_MS)).toBe(false);
      });

      it('are prolonged by a write that says so, and by no other', async () => {
        const first = await store.claim(id, 'a', LEASE_MS);
        if (!first) throw new Error('no claim');
        const write = (revision: number, leaseMs?: number): Promise<boolean> =>
          store.compareAndSet({
            ...{ record: aRecord({ revision }), expectedRevision: revision - 1, claim: first },
            ...(leaseMs !== undefined && { leaseMs }),
          });
        await subject.clock.advance(LEASE_MS - MARGIN_MS);
        expect(await write(2, LEASE_MS)).toBe(true);
        await subject.clock.advance(LEASE_MS - MARGIN_MS);
        expect(await store.claim(id, 'b', LEASE_MS)).toBeNull();
        expect(await write(3)).toBe(true);
        expect(await write(3, LEASE_MS)).toBe(false);
        await subject.clock.advance(MARGIN_MS);
        expect(await store.claim(id, 'b', LEASE_MS)).not.toBeNull();
        expect(await write(4, LEASE_MS)).toBe(false);
      });

      it('are not prolonged by a write after their end', async () => {
        const first = await store.claim(id, 'a', LEASE_MS);
        if (!first) throw new Error('no claim');
        await store.releaseClaim(first);
        const write = { record: aRecord({ revision: 2 }), expectedRevision: 1, claim: first };
        expect(await store.compareAndSet({ ...write, leaseMs: LEASE_MS })).toBe(false);
        expect(await store.compareAndSet(write)).toBe(true);
        expect(await store.claim(id, 'b', LEASE_MS)).not.toBeNull();
      });

      it('refuse a late write of a holder that was superseded', async () => {
        const first = await store.claim(id, 'a', LEASE_MS);
        await subject.clock.advance(LEASE_MS);
        await store.claim(id, 'b', LEASE_MS);
        const late = {
          record: aRecord({ revision: 2, name: 'late' }),
          expectedRevision: 1,
          ...(first && { claim: first }),
        };
        expect(await store.compareAndSet(late)).toBe(false);
        expect((await store.get(id))?.name).not.toBe('late');
      });

      it('end with the write that releases them, but never for their successor', async () => {
        const first = await store.claim(id, 'a', LEASE_MS);
        if (!first) throw new Error('no claim');
        await subject.clock.advance(LEASE_MS);
        const second = await store.claim(id, 'b', LEASE_MS);
        await store.releaseClaim(first);
        expect(await store.claim(id, 'c', LEASE_MS)).toBeNull();
        const write = {
          record: aRecord({ revision: 2 }),
          expectedRevision: 1,
          ...(second && { claim: second, release: second }),
        };
        expect(await store.compareAndSet(write)).toBe(true);
        expect(await store.claim(id, 'c', LEASE_MS)).not.toBeNull();
      });

      it('are not given for what the asker works on already', async () => {
        await store.insert(aRecord({ id: 'mine', refreshDueAt: NOW }), []);
        const options = { limit: 10, owner: 'a', leaseMs: LEASE_MS, now: NOW };
        const claims = await store.claimDue({ ...options, except: ['mine', "x' OR 1=1"] });
        expect(claims.map((claim) => claim.credentialId)).toEqual([id]);
      });

      it('are given for interrupted refreshes before all else that is due, however long it is overdue', async () => {
        const interrupted = (name: string, state: 'claimed' | 'sent' | 'ambiguous', seconds: number) =>
          aRecord({ id: name, state: `refreshing.${state}`, refreshDueAt: secondsAfter(NOW, seconds) });
        await store.insert(aRecord({ id: 'overdue', refreshDueAt: secondsAfter(NOW, -3600) }), []);
        await store.insert(interrupted('died-later', 'sent', -1), []);
        await store.insert(interrupted('died-first', 'claimed', -2), []);
        await store.insert(interrupted('waits-its-time', 'ambiguous', 1), []);
        const options = { limit: 10, owner: 'a', leaseMs: LEASE_MS, now: NOW };
        const taken = async (overrides: object) =>
          (await store.claimDue({ ...options, ...overrides })).map((claim) => claim.credentialId);
        expect(await taken({ limit: 1 })).toEqual(['died-first']);
        expect(await taken({ limit: 1 })).toEqual(['died-later']);
        expect(await taken({})).toEqual(['overdue', id]);
        expect(await taken({ now: secondsAfter(NOW, 2), except: ['waits-its-time'] })).toEqual([]);
        expect(await taken({ now: secondsAfter(NOW, 2) })).toEqual(['waits-its-time']);
      });

      it('are given for due records only, most urgent first, each to one', async () => {
        await store.insert(aRecord({ id: 'late', refreshDueAt: secondsAfter(NOW, -60) }), []);
        await store.insert(aRecord({ id: 'future', refreshDueAt: secondsAfter(NOW, 60) }), []);
        await store.insert(aRecord({ id: 'never', refreshDueAt: null }), []);
        const options = { limit: 10, owner: 'a', leaseMs: LEASE_MS, now: NOW };
        expect((await store.claimDue({ ...options, limit: 1 })).map((claim) => claim.credentialId)).toEqual(['late']);
        expect((await store.claimDue(options)).map((claim) => claim.credentialId)).toEqual([id]);
        expect(await store.claimDue({ ...options, owner: 'b' })).toEqual([]);
        expect(await store.nextDueAt()).toEqual(secondsAfter(NOW, -60));
      });
    });

    describeDueWork(() => store);

    it('keeps the newest attempt with its phase', async () => {
      const record = aRecord();
      await store.insert(record, []);
      const claim = await store.claim(record.id, 'a', LEASE_MS);
      const attempt: Attempt = {
        ...{ attemptId: 'at1', credentialId: record.id, generation: 1, fence: claim?.fence ?? 0, phase: 'sent' },
        ...{
          reason: 'firstUse',
          tokenFingerprint: 'ff',
          healing: false,
          spentAt: null,
          claimedAt: NOW,
          sentAt: NOW,
          closedAt: null,
        },
      };
      expect(await store.lastAttempt(record.id)).toBeNull();
      await store.compareAndSet({ record: { ...record, revision: 2 }, expectedRevision: 1, attempt });
      expect(await store.lastAttempt(record.id)).toEqual(attempt);
    });

    it('remembers what it was put back to', async () => {
      expect(await store.getRestoredAt()).toBeNull();
      await store.markRestored(NOW);
      await store.markRestored(secondsAfter(NOW, 1));
      expect(await store.getRestoredAt()).toEqual(secondsAfter(NOW, 1));
    });

    it('gives the last attempts of a credential, newest first', async () => {
      const record = aRecord();
      await store.insert(record, []);
      await store.insert(aRecord({ id: 'other' }), []);
      const attempt = (fence: number, credentialId = record.id): Attempt => ({
        ...{ attemptId: `at${String(fence)}`, credentialId, generation: 1, fence, phase: 'failed', reason: 'firstUse' },
        ...{ tokenFingerprint: 'ff', healing: false, spentAt: null, claimedAt: NOW, sentAt: NOW, closedAt: NOW },
      });
      for (const fence of [1, 2, 3, 10]) {
        const revision = (await store.get(record.id))?.revision ?? 0;
        const next = { ...record, revision: revision + 1 };
        await store.compareAndSet({ record: next, expectedRevision: revision, attempt: attempt(fence) });
      }
      expect(await store.attempts(record.id, 3)).toEqual([attempt(10), attempt(3), attempt(2)]);
      expect(await store.attempts(record.id, 100)).toHaveLength(4);
      expect(await store.attempts('other', 3)).toEqual([]);
    });

    it('hands out events in order, from a cursor, without end or gap', async () => {
      const record = aRecord();
      const events = ['e1', 'e2', 'e3'].map((eventId) => eventOf('credential.registered', record, eventId));
      await store.insert(record, events);
      const first = await store.readEvents(0, 2);
      const second = await store.readEvents(first.cursor, 2);
      expect([...first.events, ...second.events]).toEqual(events);
      expect(await store.readEvents(second.cursor, 2)).toEqual({ events: [], cursor: second.cursor });
      expect((await store.lastEvent(record.id))?.eventId).toBe('e3');
    });

    describe('lists', () => {
      beforeEach(async () => {
        await store.insert(
          aRecord({ id: 'a', ownerId: 'alice', tags: ['x', 'y'], scopeId: 's1', refreshDueAt: NOW }),
          [],
        );
        await store.insert(
          aRecord({ id: 'b', ownerId: 'alice', tags: ['x'], protocol: 'basic', name: 'GitHub (Production)' }),
          [],
        );
        await store.insert(
          aValidRecord(60, { id: 'c', ownerId: 'bob', tags: ['y'], refreshDueAt: secondsAfter(NOW, 60) }),
          [],
        );
      });

      it.each([
        ['everything', {}, ['a', 'b', 'c']],
        ['by owner', { ownerId: 'alice' }, ['a', 'b']],
        ['by protocol', { protocol: 'basic' }, ['b']],
        ['by state', { state: 'valid' as const }, ['c']],
        ['by scope', { scopeId: 's1' }, ['a']],
        ['by one tag', { tags: ['x'] }, ['a', 'b']],
        ['by all of several tags', { tags: ['x', 'y'] }, ['a']],
        ['by due time', { dueBefore: secondsAfter(NOW, 30) }, ['a']],
        ['by all filters together', { ownerId: 'alice', tags: ['x'], protocol: 'oauth2' }, ['a']],
        ['nothing for a stranger', { ownerId: "x' OR ''='" }, []],
        ['by the end of the grant', { expiringBefore: secondsAfter(NOW, 3600) }, ['c']],
        ['nothing that ends just then', { expiringBefore: secondsAfter(NOW, 60) }, []],
        ['by a word of the name, whatever its case and accents', { name: 'PRODÚ' }, ['b']],
        ['by the beginnings of several words', { name: 'prod git' }, ['b']],
        ['by name and tag', { name: 'example', tags: ['y'] }, ['a', 'c']],
        ['nothing for a part within a word', { name: 'xample' }, []],
        ['nothing for a pattern', { name: 'ex%mple' }, []],
      ])('%s', async (_sentence, filter, ids) => {
        expect((await store.list(filter)).records.map((record) => record.id)).toEqual(ids);
      });

      it('page by page, each record once', async () => {
        const first = await store.list({ limit: 2 });
        const second = await store.list({ limit: 2, cursor: first.nextCursor ?? '' });
        expect([...first.records, ...second.records].map((record) => record.id)).toEqual(['a', 'b', 'c']);
        expect(second.nextCursor).toBeNull();
      });

      it('most urgent first by due time and by end of the grant, page by page', async () => {
        await store.insert(aValidRecord(30, { id: 'd', refreshDueAt: secondsAfter(NOW, -60) }), []);
        const far = secondsAfter(NOW, 7_200);
        expect(await everyId({ dueBefore: far, limit: 1 })).toEqual(['d', 'a', 'c']);
        expect(await everyId({ expiringBefore: far, limit: 1 })).toEqual(['d', 'c']);
      });

      it('each name once, also when several of its words are found', async () => {
        await store.insert(aRecord({ id: 'e', name: 'example of examples' }), []);
        expect(await everyId({ name: 'exam', limit: 1 })).toEqual(['a', 'c', 'e']);
      });

      it('follow a change of name and tags', async () => {
        const next = aRecord({ id: 'a', ownerId: 'alice', name: 'Renamed', tags: ['z'], revision: 2 });
        await store.compareAndSet({ record: next, expectedRevision: 1 });
        expect(await everyId({ name: 'example' })).toEqual(['c']);
        expect(await everyId({ name: 'renam' })).toEqual(['a']);
        expect(await everyId({ tags: ['x'] })).toEqual(['b']);
        expect(await everyId({ tags: ['z'] })).toEqual(['a']);
      });

      it('keep their place when records come and go between two pages', async () => {
        const first = await store.list({ limit: 2 });
        await store.delete('b', 1);
        await store.insert(aRecord({ id: 'aa' }), []);
        await store.insert(aRecord({ id: 'bb' }), []);
        const second = await store.list({ cursor: first.nextCursor ?? '' });
        expect(second.records.map((record) => record.id)).toEqual(['bb', 'c']);
      });

      it('sort by code point, whatever the locale of the store', async () => {
        for (const id of ['B', 'ä', 'z', '\u{1F511}', '\uFFEE']) await store.insert(aRecord({ id }), []);
        expect(await everyId({})).toEqual(['B', 'a', 'b', 'c', 'z', 'ä', '\uFFEE', '\u{1F511}']);
      });

      async function everyId(filter: RecordFilter): Promise<string[]> {
        const ids: string[] = [];
        for (let cursor: string | null | undefined; cursor !== null;) {
          const page = await store.list({ ...filter, ...(cursor !== undefined && { cursor }) });
          ids.push(...page.records.map((record) => record.id));
          cursor = page.nextCursor;
        }
        return ids;
      }

      it('refuse a cursor of another order', async () => {
        const { nextCursor } = await store.list({ limit: 1 });
        await expect(store.list({ dueBefore: NOW, cursor: nextCursor ?? '' })).rejects.toMatchObject({
          code: 'ERR_CONFIG_MALFORMED',
        });
      });

      it.each<[string, RecordFilter]>([
        ['an unknown cursor', { cursor: '!!' }],
        ['an empty cursor', { cursor: '' }],
        ['a cursor of other JSON', { cursor: Buffer.from('{"a":1}').toString('base64url') }],
        ['a cursor with NUL', { cursor: Buffer.from(JSON.stringify(['id', '', '\0'])).toString('base64url') }],
        ['a name without a letter or digit', { name: '%_"' }],
        ['an owner with NUL', { ownerId: 'a\0b' }],
        ['a tag with half a character', { tags: ['\uD800'] }],
        ['an instant that is none', { dueBefore: new Date(Number.NaN) }],
        ['a limit of zero', { limit: 0 }],
        ['a limit that is no number', { limit: Number.NaN }],
        ['too large a limit', { limit: 1001 }],
      ])('refuse %s', async (_sentence, filter) => {
        await expect(store.list(filter)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
      });

      it('ids in order, a part at a time', async () => {
        expect(await store.listIds(null, 2)).toEqual(['a', 'b']);
        expect(await store.listIds('b', 2)).toEqual(['c']);
        expect(await store.listIds('c', 2)).toEqual([]);
      });

      it('count by state', async () => {
        expect(await store.countByState()).toEqual({ pending: 2, valid: 1, refreshing: 0, expired: 0, revoked: 0 });
      });
    });

    it('appends events of no record, and says how far they go', async () => {
      expect(await store.eventRange()).toEqual({ newest: 0, prunedThrough: 0 });
      await store.appendEvents([storeEvent('key.rotated', 'k1', NOW)]);
      const { newest } = await store.eventRange();
      expect(newest).toBeGreaterThan(0);
      expect(await store.readEvents(0, 10)).toEqual({
        events: [storeEvent('key.rotated', 'k1', NOW)],
        cursor: newest,
      });
    });

    it('prunes events up to a cursor, in steps, but the last one of each credential that exists', async () => {
      const [kept, gone] = [aRecord({ id: 'kept' }), aRecord({ id: 'gone' })];
      await store.insert(kept, [eventOf('credential.registered', kept, 'k1')]);
      await store.insert(gone, [eventOf('credential.registered', gone, 'g1')]);
      await store.appendEvents([eventOf('credential.refreshed', gone, 'g2'), storeEvent('key.rotated', 'r', NOW)]);
      await store.delete('gone', 1, [eventOf('credential.deleted', gone, 'g3')]);
      const { newest } = await store.eventRange();
      await store.appendEvents([storeEvent('key.rotated', 'later', NOW)]);
      expect(await store.pruneEvents(newest, 2)).toBe(2);
      expect(await store.pruneEvents(newest, 10)).toBe(2);
      expect(await store.pruneEvents(newest, 10)).toBe(0);
      const ids = async (): Promise<string[]> => (await store.readEvents(0, 10)).events.map(({ eventId }) => eventId);
      expect(await ids()).toEqual(['k1', 'later']);
      expect((await store.eventRange()).prunedThrough).toBe(newest);
      expect((await store.lastEvent('kept'))?.eventId).toBe('k1');
      // Numbers are never given again, and what is pruned stays so.
      await store.pruneEvents(1, 10);
      expect((await store.eventRange()).prunedThrough).toBe(newest);
      await store.appendEvents([storeEvent('key.rotated', 'last', NOW)]);
      expect((await store.readEvents(newest, 10)).events.map(({ eventId }) => eventId)).toEqual(['later', 'last']);
    });

    it('prunes the oldest attempts of each credential', async () => {
      const record = aRecord();
      await store.insert(record, []);
      for (let fence = 1; fence <= 5; fence += 1) {
        const next = { ...record, revision: fence + 1 };
        const attempt: Attempt = {
          ...{ attemptId: `a${String(fence)}`, credentialId: record.id, generation: 1, fence, phase: 'failed' },
          ...{ reason: 'firstUse', tokenFingerprint: null, healing: false, spentAt: null },
          ...{ claimedAt: NOW, sentAt: NOW, closedAt: NOW },
        };
        expect(await store.compareAndSet({ record: next, expectedRevision: fence, attempt })).toBe(true);
      }
      expect(await store.pruneAttempts(3, 1)).toBe(1);
      expect(await store.pruneAttempts(3, 10)).toBe(1);
      expect(await store.pruneAttempts(3, 10)).toBe(0);
      expect(await store.pruneAttempts(0, 10)).toBe(2);
      expect((await store.lastAttempt(record.id))?.attemptId).toBe('a5');
    });

    it('deletes a record at its revision, with all that belongs to it but its events', async () => {
      const record = aRecord({ tags: ['x'] });
      await store.insert(record, [eventOf('credential.registered', record, 'e1')]);
      await store.putTest({ credentialId: record.id, generation: 0, configVersion: 'v', result: aTestResult() });
      await store.openNotice({ credentialId: record.id, kind: 'expiringSoon', eventId: 'e1', openedAt: NOW });
      expect(await store.delete(record.id, 2)).toBe(false);
      expect(await store.get(record.id)).toEqual(record);
      expect(await store.delete(record.id, 1, [eventOf('credential.revoked', record, 'e2')])).toBe(true);
      expect(await store.get(record.id)).toBeNull();
      expect((await store.list({ tags: ['x'] })).records).toEqual([]);
      expect((await store.list({ name: 'example' })).records).toEqual([]);
      expect(await store.getTest(record.id)).toBeNull();
      expect(await store.listNotices(record.id)).toEqual([]);
      expect((await store.readEvents(0, 10)).events.map((event) => event.eventId)).toEqual(['e1', 'e2']);
      expect(await store.delete(record.id, 1)).toBe(false);
    });

    ledgerConformance(() => store);
    usageConformance(() => store);
    hostileTextConformance(() => store);

    it('replaces the key ring only when it is still the expected one', async () => {
      expect(await store.getKeyRing()).toBeNull();
      expect(await store.compareAndSetKeyRing('one', null)).toBe(true);
      expect(await store.compareAndSetKeyRing('two', null)).toBe(false);
      expect(await store.compareAndSetKeyRing('two', 'zero')).toBe(false);
      expect(await store.compareAndSetKeyRing('two', 'one')).toBe(true);
      expect(await store.getKeyRing()).toBe('two');
    });

    it('lists ids in order, also those of a second page', async () => {
      for (const id of ['b', 'a', 'c']) await store.insert(aRecord({ id }), []);
      expect(await store.listIds(null, 2)).toEqual(['a', 'b']);
      expect(await store.listIds('b', 2)).toEqual(['c']);
    });

    it('adds up reservations of encryptions, key by key, and loses none', async () => {
      expect(await store.reserveEncryptions('k1', 0)).toBe(0);
      expect(await store.reserveEncryptions('k1', 16)).toBe(16);
      const sums = await Promise.all(Array.from({ length: 20 }, () => store.reserveEncryptions('k1', 5)));
      expect(Math.max(...sums)).toBe(116);
      expect(new Set(sums).size).toBe(20);
      expect(await store.reserveEncryptions('k2', 2 ** 33)).toBe(2 ** 33);
      expect(await store.reserveEncryptions('k1', 0)).toBe(116);
    });

    recordSealConformance(() => store);

    it('keeps access keys by their id', async () => {
      const key = { keyId: 'k', hash: Buffer.from([1, 2]), credentialId: null, scopes: ['use'], createdAt: NOW };
      await store.putAccessKey(key);
      expect(await store.getAccessKey('k')).toEqual(key);
      expect(await store.getAccessKey('l')).toBeNull();
    });

    it('changes its mark with each write and not with reads', async () => {
      const before = store.changeMark();
      await store.get('a');
      expect(store.changeMark()).toBe(before);
      await store.insert(aRecord(), []);
      expect(store.changeMark()).not.toBe(before);
    });
  });
}
