import stringWidth from 'string-width';
import { layOut, truncate, wrap, type Cell, type Column } from '../../src/cli/columns.ts';
import { plainStyle, styleFor } from '../../src/cli/style.ts';

const COLUMNS: readonly Column[] = [
  { title: 'NAME', leastWidth: 4 },
  { title: 'STATE' },
  { title: 'LAST EVENT', shortTitle: 'LAST' },
];

const row = (name: string, state: string, event: string, short = event): Cell[] => [
  { text: name },
  { text: state },
  { text: event, short },
];

test('aligns columns by what a terminal shows, not by what a string counts', () => {
  const lines = layOut(
    COLUMNS,
    [row('日本語', 'valid', 'a'), row('é', 'valid', 'b'), row('👩‍👩‍👧', 'valid', 'c')],
    80,
    plainStyle,
  );
  expect(lines).toEqual(['NAME    STATE  LAST EVENT', '日本語  valid  a', 'é       valid  b', '👩‍👩‍👧      valid  c']);
});

test('takes short forms before it cuts anything', () => {
  const rows = [row('Billing', 'valid', 'refreshed 3s ago', '3s refreshed')];
  expect(layOut(COLUMNS, rows, 30, plainStyle)).toEqual(['NAME     STATE  LAST', 'Billing  valid  3s refreshed']);
});

test('cuts only columns that allow it', () => {
  const rows = [row('A rather long name', 'valid', 'refreshed')];
  expect(layOut(COLUMNS, rows, 26, plainStyle)).toEqual(['NAME      STATE  LAST', 'A rathe…  valid  refreshed']);
});

test('leaves columns out from the right when nothing can be cut any more', () => {
  const rows = [row('A rather long name', 'expired: needs you', 'refreshed')];
  expect(layOut(COLUMNS, rows, 24, plainStyle)).toEqual(['NAME  STATE', 'A r…  expired: needs you']);
});

test('is never wider than asked while one column can be cut', () => {
  const rows = [row('日本語の名前', 'refreshing', 'refreshed 3s ago', '3s'), row('x'.repeat(60), 'valid', '–')];
  for (let width = 16; width < 100; width += 1) {
    for (const line of layOut(COLUMNS, rows, width, plainStyle)) expect(stringWidth(line)).toBeLessThanOrEqual(width);
  }
});

test('colours do not change the layout', () => {
  const cells = [[{ text: 'ok', tone: 'good' } as const, { text: 'valid' }, { text: 'x' }]];
  const [, coloured] = layOut(COLUMNS, cells, 80, styleFor(true, {}));
  expect(coloured).toBe('\u001b[32mok\u001b[39m    valid  x');
});

test.each([
  ['abcdef', 6, 'abcdef'],
  ['abcdef', 5, 'abcd…'],
  ['日本語', 5, '日本…'],
  ['日本語', 4, '日…'],
  ['👩‍👩‍👧👩‍👩‍👧', 3, '👩‍👩‍👧…'],
  ['abc', 1, '…'],
  ['abc', 0, ''],
])('cuts %s to %d cells', (text, width, expected) => {
  expect(truncate(text, width)).toBe(expected);
});

test('wraps at spaces and cuts words that are too long', () => {
  expect(wrap('one two three https://a.very.long.example', 9)).toEqual(['one two', 'three', 'https://…']);
});
