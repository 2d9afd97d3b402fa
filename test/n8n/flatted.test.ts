import { describe, expect, it } from '@jest/globals';
import { decodeFlatted } from './flatted.ts';

describe('decodeFlatted', () => {
  it.each([
    ['a primitive', '[1]', 1],
    ['a string', '["hello"]', 'hello'],
    ['an object', '[{"a":1,"b":"1"},"text"]', { a: 1, b: 'text' }],
    ['a list of lists', '[["1",true,null],["2"],"deep"]', [['deep'], true, null]],
    ['a string of digits, which is no reference', '[{"a":"1"},"0"]', { a: '0' }],
    ['a value that occurs twice', '[{"a":"1","b":"1"},{"c":2}]', { a: { c: 2 }, b: { c: 2 } }],
  ])('decodes %s', (_case, text, expected) => {
    expect(decodeFlatted(text)).toEqual(expected);
  });

  it('decodes what refers to itself', () => {
    const decoded = decodeFlatted('[{"self":"0"}]');
    expect(decoded).toHaveProperty('self', decoded);
  });

  it('refuses what is not flatted', () => {
    expect(() => decodeFlatted('{"a":1}')).toThrow(TypeError);
  });
});
