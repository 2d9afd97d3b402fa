import { describe, expect, it } from '@jest/globals';
import { generationIn, markerOf } from '../../src/n8n/marker.ts';

describe('the marker', () => {
  it('names a generation of one credential', () => {
    expect(generationIn(markerOf('a', 12), 'a')).toBe(12);
  });

  it('says nothing about another credential', () => {
    expect(generationIn(markerOf('a', 12), 'b')).toBeNull();
  });

  it('does not show the id', () => {
    expect(markerOf('5f9c0d1e2b3a4958', 1)).toMatch(/^generation:1@[0-9a-f]{12}$/);
    expect(markerOf('5f9c0d1e2b3a4958', 1)).not.toContain('5f9c');
  });

  it.each(['', 'generation:1', 'generation:-1@000000000000', 'generation:1e3@000000000000', 7, null, undefined, {}])(
    'is not %p',
    (value) => {
      expect(generationIn(value, 'a')).toBeNull();
    },
  );
});
