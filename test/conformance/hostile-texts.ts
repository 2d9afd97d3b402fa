import type { RecordStore } from '../../src/storage/record-store.ts';
import { aRecord } from '../support/record.ts';

/** Texts that have broken stores, and none of which may change what a query means. */
export const HOSTILE_TEXTS: readonly string[] = [
  "Robert'); DROP TABLE records;--",
  '" OR ""="',
  '$1 ? :name @id %s %_ \\',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  'null',
  '\u0001\u001b[31m\r\n\t',
  '\u202Eabc\u202C\uFEFF\u200B',
  '\u{1F468}\u200D\u{1F469}\u200D\u{1F467} \uFFFF \u{10FFFF}',
  'e\u0301 \u00e9 \u0130 \u00df \ufb03',
  '{"json": [1]}',
  "{a,b} '{x}'",
  ' leading and trailing ',
];

/** Texts that some driver could not give back unchanged. */
export const UNSTORABLE_TEXTS: readonly [string, string][] = [
  ['NUL', 'a\0b'],
  ['half a character', 'a\uD800'],
];

const named = (text: string) => ({ id: text, name: text, protocol: text, ownerId: text, scopeId: text });
const MEBIBYTE = 2 ** 20;

/** Faithful or refused, in every text field: part of `recordStoreConformance`. */
export function hostileTextConformance(store: () => RecordStore): void {
  describe('hostile texts', () => {
    it.each(HOSTILE_TEXTS)('keep their bytes in every field and find nothing else: %j', async (text) => {
      const config = Object.fromEntries([[text, { nested: Object.fromEntries([[text, [text]]]) }]]);
      const record = aRecord({ ...named(text), tags: [text], config });
      await store().insert(record, []);
      await store().insert(aRecord({ id: 'bystander' }), []);
      expect(await store().get(text)).toEqual(record);
      for (const filter of [{ ownerId: text }, { protocol: text }, { scopeId: text }, { tags: [text] }]) {
        expect((await store().list(filter)).records).toEqual([record]);
      }
      const { nextCursor } = await store().list({ limit: 1 });
      expect((await store().list({ cursor: nextCursor ?? '' })).records).toHaveLength(1);
      expect(await store().claim(text, text, 1_000)).toMatchObject({ credentialId: text });
      expect(await store().consumeOnce(text, record.createdAt)).toBe(true);
      expect(await store().consumeOnce(text, record.createdAt)).toBe(false);
      expect(await store().delete(text, 1)).toBe(true);
      expect((await store().get('bystander'))?.id).toBe('bystander');
    });

    describe.each(UNSTORABLE_TEXTS)('%s', (_name, text) => {
      it.each(['id', 'name', 'protocol', 'ownerId', 'scopeId'])('is refused in the field %s', async (field) => {
        const record = { ...aRecord(), [field]: text };
        await expect(store().insert(record, [])).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
        expect((await store().list({})).records).toEqual([]);
      });

      it('is refused in a tag, by an update too, which changes nothing', async () => {
        await store().insert(aRecord(), []);
        const change = { record: aRecord({ tags: [text], revision: 2 }), expectedRevision: 1 };
        await expect(store().compareAndSet(change)).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
        expect(await store().get(aRecord().id)).toEqual(aRecord());
      });

      it('names nothing', async () => {
        expect(await store().get(text)).toBeNull();
        expect(await store().claim(text, 'o', 1_000)).toBeNull();
        expect(await store().lastAttempt(text)).toBeNull();
        expect(await store().lastEvent(text)).toBeNull();
        expect(await store().getAccessKey(text)).toBeNull();
        expect(await store().getTest(text)).toBeNull();
        expect(await store().delete(text, 1)).toBe(false);
      });

      it('is kept inside settings, which are one JSON text', async () => {
        const record = aRecord({ config: { [text]: text } });
        await store().insert(record, []);
        expect(await store().get(record.id)).toEqual(record);
      });
    });

    it.each(['id', 'name', 'protocol', 'ownerId', 'scopeId'])('a mebibyte is refused in %s', async (field) => {
      const record = { ...aRecord(), [field]: 'x'.repeat(MEBIBYTE) };
      await expect(store().insert(record, [])).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    });

    it('a mebibyte is refused as a tag and as a filter', async () => {
      const tag = 'x'.repeat(MEBIBYTE);
      await expect(store().insert(aRecord({ tags: [tag] }), [])).rejects.toMatchObject({
        code: 'ERR_CONFIG_MALFORMED',
      });
      await expect(store().list({ tags: [tag] })).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    });

    it('the longest texts of the widest characters are kept', async () => {
      const wide = (length: number): string => '\uFFEE'.repeat(length);
      const record = aRecord({
        ...{ id: wide(256), name: wide(1_024), protocol: wide(128), ownerId: wide(512), scopeId: wide(512) },
        tags: [wide(512)],
      });
      await store().insert(record, []);
      expect((await store().list({ tags: [wide(512)], ownerId: wide(512) })).records).toEqual([record]);
    });

    it('an instant whose text does not sort is refused', async () => {
      const record = aRecord({ refreshDueAt: new Date(8.64e15) });
      await expect(store().insert(record, [])).rejects.toMatchObject({ code: 'ERR_CONFIG_MALFORMED' });
    });
  });
}
