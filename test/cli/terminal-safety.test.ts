import fc from 'fast-check';
import { printable } from '../../src/cli/printable.ts';
import { styleFor } from '../../src/cli/style.ts';

test.each([
  ['an escape sequence', '\u001b[2J\u001b]0;title\u0007', '\ufffd[2J\ufffd]0;title\ufffd'],
  ['an 8-bit control sequence', '\u009b31m', '\ufffd31m'],
  ['line breaks', 'a\r\nb\u2028c\u2029d\u0085e', 'a\ufffd\ufffdb\ufffdc\ufffdd\ufffde'],
  ['text that runs backwards', 'user\u202egpj.exe', 'user\ufffdgpj.exe'],
  ['invisible characters', 'a\u200bd\u2060m\ufeffin', 'a\ufffdd\ufffdm\ufffdin'],
  ['half a character', 'a\ud800b', 'a\ufffdb'],
])('makes %s harmless', (_what, text, expected) => {
  expect(printable(text)).toBe(expected);
});

test('leaves names of all scripts as they are', () => {
  for (const name of ['Größe', '日本語', 'עברית', '👩‍👩‍👧', 'Ελλάδα']) expect(printable(name)).toBe(name);
});

test('lets no control character through, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    }),
  );
});

test.each([
  ['on a terminal', true, {}, true],
  ['in a pipe', false, {}, false],
  ['with NO_COLOR', true, { NO_COLOR: '1' }, false],
  ['with an empty NO_COLOR, as the convention has it', true, { NO_COLOR: '' }, true],
  ['on a dumb terminal', true, { TERM: 'dumb' }, false],
])('colours %s: %#', (_where, isTerminal, env, coloured) => {
  expect(styleFor(isTerminal, env)('bad', 'x')).toBe(coloured ? '\u001b[31mx\u001b[39m' : 'x');
});
