import stringWidth from 'string-width';
import type { Style, Tone } from './style.ts';

/** One piece of a table. `short` says the same in less room. */
export interface Cell {
  readonly text: string;
  readonly short?: string;
  readonly tone?: Tone;
}

export interface Column {
  readonly title: string;
  /** Taken together with the short forms of the column's cells. */
  readonly shortTitle?: string;
  /** The least width that it may be cut to; columns without one are never cut. */
  readonly leastWidth?: number;
}

const GAP = '  ';
const ELLIPSIS = '…';

/**
 * Lays cells out in columns no wider than `width`: first the short forms are taken, from the last column on, then
 * columns that allow it are cut with an ellipsis, the widest first, and at last columns are left out from the right.
 */
export function layOut(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
  style: Style,
): string[] {
  const titles = columns.map(
    ({ title, shortTitle = title }) => ({ text: title, short: shortTitle, tone: 'quiet' }) as const,
  );
  const { cells, widths } = fit(columns, [titles, ...rows], width);
  if (totalOf(widths) > width && columns.length > 1) return layOut(columns.slice(0, -1), rows, width, style);
  return cells.map((row) => {
    const parts = row.slice(0, columns.length).map((cell, index) => drawn(cell, widths[index] ?? 0, style));
    return parts.join(GAP).trimEnd();
  });
}

function fit(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
): { cells: readonly (readonly Cell[])[]; widths: number[] } {
  let cells = rows;
  let widths = widthsOf(columns, cells);
  for (let index = columns.length - 1; index >= 0 && totalOf(widths) > width; index -= 1) {
    cells = cells.map((row) =>
      row.map((cell, at) => (at === index ? { ...cell, text: cell.short ?? cell.text } : cell)),
    );
    widths = widthsOf(columns, cells);
  }
  return { cells, widths: cut(columns, widths, width) };
}

function cut(columns: readonly Column[], widths: readonly number[], width: number): number[] {
  const result = [...widths];
  while (totalOf(result) > width) {
    const widest = widestAbove(columns, result);
    if (widest === null) break;
    result[widest] = (result[widest] ?? 0) - 1;
  }
  return result;
}

function widestAbove(columns: readonly Column[], widths: readonly number[]): number | null {
  let widest: number | null = null;
  for (const [index, { leastWidth }] of columns.entries()) {
    const own = widths[index] ?? 0;
    if (leastWidth === undefined || own <= leastWidth) continue;
    if (widest === null || own > (widths[widest] ?? 0)) widest = index;
  }
  return widest;
}

function widthsOf(columns: readonly Column[], rows: readonly (readonly Cell[])[]): number[] {
  return columns.map((_, index) => Math.max(0, ...rows.map((row) => stringWidth(row[index]?.text ?? ''))));
}

function totalOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, GAP.length * Math.max(0, widths.length - 1));
}

function drawn(cell: Cell, width: number, style: Style): string {
  const text = truncate(cell.text, width);
  return style(cell.tone ?? 'plain', text) + ' '.repeat(Math.max(0, width - stringWidth(text)));
}

/** Text cut to `width` cells of a terminal, with an ellipsis in the last one when something is missing. */
export function truncate(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  if (width <= 0) return '';
  let result = '';
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(result + segment) > width - 1) break;
    result += segment;
  }
  return result + ELLIPSIS;
}

/** Text broken at spaces into lines no wider than `width`. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (stringWidth(longer) <= width || line === '') {
      line = longer;
    } else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line].map((each) => truncate(each, width));
}
