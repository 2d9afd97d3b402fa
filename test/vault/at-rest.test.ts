import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expandDataKey, openEnvelope, sealEnvelope } from '../../src/vault/envelope.ts';

const PAGE = readFileSync(join(__dirname, '../../docs/at-rest.md'), 'utf8');

describe('the example of docs/at-rest.md', () => {
  const example = new Map(
    (/### Example\n\n```\n([^`]*)```/.exec(PAGE)?.[1] ?? '').split('\n').flatMap((line): [string, string][] => {
      const [, label, value] = /^(\w+(?: \w+)*)\s{2,}(.*)$/.exec(line) ?? [];
      return label === undefined || value === undefined ? [] : [[label, value]];
    }),
  );
  const text = (label: string): string => example.get(label) ?? `no ${label}`;
  const bytes = (label: string): Buffer => Buffer.from(text(label), 'hex');
  const name = {
    ownerId: text('owner'),
    credentialId: text('record'),
    field: text('field'),
    generation: Number(text('generation')),
    attemptId: text('attempt'),
  };
  const key = expandDataKey(bytes('key id'), bytes('data key'));
  const envelope = Buffer.concat([bytes('header'), bytes('ciphertext'), bytes('tag')]);

  it('derives encryption key and commitment from the data key', () => {
    expect(key.encryptionKey.unwrap()).toEqual(bytes('encryption key'));
    expect(key.commitment).toEqual(bytes('commitment'));
  });

  it('has the header that the table describes', () => {
    const header = Buffer.concat([Buffer.from([1, 1]), bytes('key id'), bytes('commitment'), bytes('nonce')]);
    expect(bytes('header')).toEqual(header);
    const rows = [...PAGE.matchAll(/^\| (\d+) \| (\d+) \| /gm)].map((row) => [Number(row[1]), Number(row[2])]);
    expect(rows).toEqual([
      [0, 1],
      [1, 1],
      [2, 16],
      [18, 32],
      [50, 12],
    ]);
    expect(header).toHaveLength(62);
  });

  it('names the value by its parts, each after its length', () => {
    const parts = ['+', name.ownerId, name.credentialId, name.field, String(name.generation), name.attemptId];
    const prefixed = parts.map(
      (part) => `${part.length.toString(16).padStart(8, '0')}${Buffer.from(part).toString('hex')}`,
    );
    expect(text('name')).toBe(prefixed.join(''));
  });

  it('is what sealing gives with this nonce', () => {
    const random = { bytes: () => bytes('nonce') };
    expect(sealEnvelope(key, name, Buffer.from(text('plaintext')), random)).toEqual(envelope);
  });

  it('opens', () => {
    expect(openEnvelope(key, name, envelope).toString()).toBe(text('plaintext'));
  });
});

describe('the chances of docs/at-rest.md', () => {
  /** Chance that two of `count` equally likely values out of 2^bits are equal. */
  const collision = (count: number, bits: number): number => -Math.expm1((-count * (count - 1)) / 2 / 2 ** bits);
  const rows = [...PAGE.matchAll(/^\| ([\d,]+) \| ([\d.]+e-\d+) \| ([\d.]+e-\d+) \|$/gm)].map((row) => row.slice(1));

  it('are those of the birthday bound', () => {
    expect(rows).toHaveLength(5);
    for (const [count = '', prefix, random] of rows) {
      const starts = Number(count.replaceAll(',', ''));
      expect([prefix, random]).toEqual([
        collision(starts, 32).toExponential(1),
        collision(starts * 3, 96).toExponential(1),
      ]);
    }
  });

  it('are below 1e-17 for a key that is replaced and below 2e-10 for one that is used up', () => {
    expect(PAGE).toContain(`chance is ${collision(1_000_000, 96).toExponential(1)}`);
    expect(PAGE).toContain(`whatever happens, ${collision(2 ** 32, 96).toExponential(1)}`);
  });
});
