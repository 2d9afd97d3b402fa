import type { SecretKey, SecretStore } from '../../src/storage/secret-store.ts';

export interface SecretStoreSubject {
  readonly store: SecretStore;
  readonly dispose: () => Promise<void>;
}

const key: SecretKey = { credentialId: 'cr_1', field: 'grant', generation: 1, attemptId: 'a' };

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
  });
}
