import { getSecrets, putSecrets } from '../../src/storage/batch.ts';
import type { SecretFilter, SecretKey, SecretMetadata, SecretStore } from '../../src/storage/secret-store.ts';
import { NOW, secondsAfter } from '../support/record.ts';
import { HOSTILE_TEXTS, UNSTORABLE_TEXTS } from './hostile-texts.ts';

export interface SecretStoreSubject {
  readonly store: SecretStore;
  readonly dispose: () => Promise<void>;
}

const key: SecretKey = { credentialId: 'cr_1', field: 'grant', generation: 1, attemptId: 'a' };

function aLabel(overrides: Partial<SecretMetadata> = {}): SecretMetadata {
  return {
    ...{ ownerId: null, scopeId: null, protocol: 'oauth2', tags: [], expiresAt: null, createdAt: NOW, updatedAt: NOW },
    ...overrides,
  };
}

/** What every secret store must do. */
export function secretStoreConformance(driver: string, open: () => Promise<SecretStoreSubject>): void {
  describe(`secret store: ${driver}`, () => {
    let subject: SecretStoreSubject;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(() => subject.dispose());

    it('gives back the very bytes', async () => {
      const envelope = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      expect(await subject.store.putIfAbsent(key, envelope)).toBe(true);
      expect(await subject.store.get(key)).toEqual(envelope);
    });

    it('writes a name once and never again', async () => {
      await subject.store.putIfAbsent(key, Buffer.from('first'));
      expect(await subject.store.putIfAbsent(key, Buffer.from('second'))).toBe(false);
      expect((await subject.store.get(key))?.toString()).toBe('first');
    });

    it.each<[string, Partial<SecretKey>]>([
      ['credential', { credentialId: 'cr_2' }],
      ['field', { field: 'registered' }],
      ['generation', { generation: 2 }],
      ['attempt', { attemptId: 'b' }],
    ])('keeps values apart by %s', async (_sentence, change) => {
      await subject.store.putIfAbsent(key, Buffer.from('one'));
      expect(await subject.store.get({ ...key, ...change })).toBeNull();
      expect(await subject.store.putIfAbsent({ ...key, ...change }, Buffer.from('two'))).toBe(true);
    });

    it('lists the names of one credential and deletes one of them', async () => {
      await subject.store.putIfAbsent(key, Buffer.from('one'));
      await subject.store.putIfAbsent({ ...key, generation: 2 }, Buffer.from('two'));
      await subject.store.putIfAbsent({ ...key, credentialId: 'cr_2' }, Buffer.from('other'));
      await subject.store.delete(key);
      await subject.store.delete(key);
      expect(await subject.store.list('cr_1')).toEqual([{ ...key, generation: 2 }]);
    });

    it('is not changed by a caller who wipes his buffer', async () => {
      const envelope = Buffer.from('sealed');
      await subject.store.putIfAbsent(key, envelope);
      envelope.fill(0);
      (await subject.store.get(key))?.fill(0);
      expect((await subject.store.get(key))?.toString()).toBe('sealed');
    });

    describe('labels', () => {
      beforeEach(async () => {
        const labels: Record<string, SecretMetadata> = {
          a: aLabel({ ownerId: 'alice', tags: ['x', 'y'], scopeId: 's1', expiresAt: secondsAfter(NOW, 60) }),
          b: aLabel({ ownerId: 'alice', tags: ['x'], protocol: 'basic' }),
          c: aLabel({ ownerId: 'bob', tags: ['y'], expiresAt: NOW }),
        };
        for (const [credentialId, label] of Object.entries(labels)) {
          await subject.store.putIfAbsent({ ...key, credentialId }, Buffer.from(credentialId), label);
        }
        await subject.store.putIfAbsent({ ...key, credentialId: 'd' }, Buffer.from('unlabelled'));
      });

      async function everyId(filter: SecretFilter): Promise<string[]> {
        const ids: string[] = [];
        for (let cursor: string | null | undefined; cursor !== null;) {
          const page = await subject.store.listMetadata({ ...filter, ...(cursor !== undefined && { cursor }) });
          ids.push(...page.entries.map((entry) => entry.key.credentialId));
          cursor = page.nextCursor;
        }
        return ids;
      }

      it.each<[string, SecretFilter, string[]]>([
        ['everything', {}, ['a', 'b', 'c', 'd']],
        ['by credential', { credentialId: 'd' }, ['d']],
        ['by owner', { ownerId: 'alice' }, ['a', 'b']],
        ['by protocol', { protocol: 'basic' }, ['b']],
        ['by scope', { scopeId: 's1' }, ['a']],
        ['by all of several tags', { tags: ['x', 'y'] }, ['a']],
        ['by end', { expiringBefore: secondsAfter(NOW, 60) }, ['c']],
        ['nothing for a stranger', { ownerId: "' OR 1=1 --" }, []],
      ])('lists %s, page by page', async (_sentence, filter, ids) => {
        expect(await everyId(filter)).toEqual(ids);
        expect(await everyId({ ...filter, limit: 1 })).toEqual(ids);
      });

      it('are replaced without touching the value', async () => {
        const name = { ...key, credentialId: 'a' };
        const label = aLabel({ ownerId: 'carol', tags: ['z'], updatedAt: secondsAfter(NOW, 1) });
        expect(await subject.store.updateMetadata(name, label)).toBe(true);
        expect((await subject.store.listMetadata({ tags: ['z'] })).entries).toEqual([{ key: name, metadata: label }]);
        expect(await everyId({ ownerId: 'alice' })).toEqual(['b']);
        expect((await subject.store.get(name))?.toString()).toBe('a');
        expect(await subject.store.updateMetadata({ ...name, generation: 9 }, label)).toBe(false);
      });

      it.each<[string, SecretFilter]>([
        ['an unknown cursor', { cursor: 'x' }],
        ['a limit of zero', { limit: 0 }],
        ['a tag with NUL', { tags: ['\0'] }],
      ])('refuse %s', async (_sentence, filter) => {
        await expect(subject.store.listMetadata(filter)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
      });
    });

    it.each(HOSTILE_TEXTS)('keeps hostile text in names and labels: %j', async (text) => {
      const name = { ...key, credentialId: text, attemptId: text };
      const label = aLabel({ ownerId: text, scopeId: text, protocol: text, tags: [text] });
      expect(await subject.store.putIfAbsent(name, Buffer.from('v'), label)).toBe(true);
      const { entries } = await subject.store.listMetadata({
        ownerId: text,
        scopeId: text,
        protocol: text,
        tags: [text],
      });
      expect(entries).toEqual([{ key: name, metadata: label }]);
    });

    it.each(UNSTORABLE_TEXTS)('refuses %s in a name and in a label', async (_name, text) => {
      const refused = { code: 'ERR_CONFIG_MALFORMED' };
      const value = Buffer.from('v');
      await expect(subject.store.putIfAbsent({ ...key, credentialId: text }, value)).rejects.toMatchObject(refused);
      await expect(subject.store.putIfAbsent(key, value, aLabel({ tags: [text] }))).rejects.toMatchObject(refused);
      expect(await subject.store.get({ ...key, credentialId: text })).toBeNull();
      expect(await subject.store.get(key)).toBeNull();
    });

    it('stores and reads a batch with a result for each item', async () => {
      const keys = Array.from({ length: 30 }, (_, generation) => ({ ...key, generation }));
      const bad = { ...key, credentialId: 'a\0' };
      const items = [...keys, bad].map((name) => ({ key: name, envelope: Buffer.from(String(name.generation)) }));
      await subject.store.putIfAbsent({ ...key, generation: 3 }, Buffer.from('taken'));
      const stored = await putSecrets(subject.store, items, { concurrency: 4 });
      expect(stored.map((result) => (result.ok ? result.value : result.error.code))).toEqual([
        ...keys.map(({ generation }) => generation !== 3),
        'ERR_CONFIG_MALFORMED',
      ]);
      const read = await getSecrets(subject.store, [...keys, { ...key, generation: 99 }]);
      expect(read.map((result) => (result.ok ? (result.value?.toString() ?? null) : 'failed'))).toEqual([
        ...keys.map(({ generation }) => (generation === 3 ? 'taken' : String(generation))),
        null,
      ]);
    });
  });
}
