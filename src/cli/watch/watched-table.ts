import { layOut, type Cell, type Column } from '../columns.ts';
import { printable } from '../printable.ts';
import type { Style } from '../style.ts';
import {
  lastTestCell,
  sinceCell,
  watchedCountsText,
  watchedState,
  watchedStateCell,
  watchedTrouble,
  type WatchedRow,
} from '../watched-words.ts';

export interface TableLook {
  readonly now: Date;
  readonly width: number;
  readonly style: Style;
}

const COLUMNS: readonly Column[] = [
  { title: 'NAME', leastWidth: 8 },
  { title: 'TYPE', leastWidth: 6 },
  { title: 'STATE' },
  { title: 'SINCE' },
  { title: 'LAST TEST', shortTitle: 'TESTED' },
];
const ORDER = ['failing', 'untested', 'working', 'noTest', 'paused', 'ended'] as const;

/** What needs a person first, then by name. */
export function byUrgency(rows: readonly WatchedRow[]): WatchedRow[] {
  const rank = (row: WatchedRow): number => ORDER.indexOf(watchedState(row));
  return [...rows].sort((a, b) => rank(a) - rank(b) || a.credential.name.localeCompare(b.credential.name));
}

/** Lines of the table of watched credentials, title line first. */
export function watchedTable(rows: readonly WatchedRow[], { now, width, style }: TableLook): string[] {
  const cells = rows.map((row): Cell[] => [
    { text: printable(row.credential.name), tone: 'strong' },
    { text: printable(row.lastTest?.details.metadata['type'] ?? '–'), tone: 'quiet' },
    watchedStateCell(row),
    sinceCell(row, now),
    lastTestCell(row, now),
  ]);
  return layOut(COLUMNS, cells, width, style);
}

/** The table, what is wrong with each that fails, and how many there are of what. */
export function watchedLines(rows: readonly WatchedRow[], look: TableLook): string[] {
  const sorted = byUrgency(rows);
  const troubles = sorted.flatMap((row) => watchedTrouble(row, look));
  return [
    ...watchedTable(sorted, look),
    ...(troubles.length > 0 ? ['', ...troubles] : []),
    '',
    look.style('strong', watchedCountsText(rows)),
  ];
}
