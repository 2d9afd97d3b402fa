import type { CredentialSummary } from '../client.ts';
import type { CredentialEngine } from '../engine.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { layOut, wrap, type Cell, type Column } from './columns.ts';
import { actionOf } from './failure.ts';
import { printable } from './printable.ts';
import { rotationCell, rotationTrouble } from './rotation-words.ts';
import {
  credentialStateCell,
  expiryCell,
  lastEventCell,
  nextActionCell,
  protocolCell,
  stateCell,
  troubleText,
} from './state-words.ts';
import type { Style } from './style.ts';
import { isWatched, watchedCells, watchedTrouble } from './watched-words.ts';

/** A credential and what happened to it last. */
export interface CredentialRow {
  readonly credential: CredentialSummary;
  readonly lastEvent: CredentialEvent | null;
  /** Of a credential that is only watched: how its last test went. */
  readonly lastTest?: TestResult | null;
}

export interface TableOptions {
  readonly now: Date;
  readonly width: number;
  readonly style: Style;
  /** Adds the column of ids. */
  readonly ids?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: 'NAME', leastWidth: 8 },
  { title: 'PROTOCOL', shortTitle: 'VIA' },
  { title: 'STATE' },
  { title: 'EXPIRES IN', shortTitle: 'EXPIRES' },
  { title: 'NEXT ACTION', shortTitle: 'NEXT' },
  { title: 'LAST EVENT', shortTitle: 'LAST', leastWidth: 5 },
];
const ID_COLUMN: Column = { title: 'ID' };
const ROTATION_COLUMN: Column = { title: 'ROTATION', leastWidth: 5 };
const INDENT = '  ';

/** The row of a credential as it now is. */
export async function rowOf(
  engine: Pick<CredentialEngine, 'lastEvent' | 'lastTest'>,
  credential: CredentialSummary,
): Promise<CredentialRow> {
  const lastEvent = await engine.lastEvent(credential.id);
  if (!isWatched(credential)) return { credential, lastEvent };
  return { credential, lastEvent, lastTest: await engine.lastTest(credential.id) };
}

/** Lines of the table of credentials, title line first. */
export function credentialTable(rows: readonly CredentialRow[], options: TableOptions): string[] {
  const rotates = rows.some(({ credential }) => credential.rotation.state !== 'idle');
  const columns = [...COLUMNS, ...(rotates ? [ROTATION_COLUMN] : []), ...(options.ids === true ? [ID_COLUMN] : [])];
  return layOut(
    columns,
    rows.map((row) => cellsOf(row, options, rotates)),
    options.width,
    options.style,
  );
}

function cellsOf(
  { credential, lastEvent, lastTest }: CredentialRow,
  { now, ids }: TableOptions,
  rotates: boolean,
): Cell[] {
  const cells: Cell[] = [
    { text: printable(credential.name), tone: 'strong' },
    protocolCell(credential.protocol),
    ...(isWatched(credential)
      ? watchedCells({ credential, lastTest: lastTest ?? null }, now)
      : [
          credentialStateCell(credential),
          expiryCell(credential, now),
          nextActionCell(credential, now),
          lastEventCell(lastEvent, now),
        ]),
    ...(rotates ? [rotationCell(credential)] : []),
  ];
  return ids === true ? [...cells, { text: credential.id, short: credential.id.slice(0, 12), tone: 'quiet' }] : cells;
}

/** What is wrong with each credential that is not simply valid, and what to do, as wrapped lines. */
export function troubleLines(
  rows: readonly CredentialRow[],
  { width, style }: Pick<TableOptions, 'width' | 'style'>,
): string[] {
  return rows.flatMap(({ credential, lastTest }) => {
    if (isWatched(credential)) return watchedTrouble({ credential, lastTest: lastTest ?? null }, { width, style });
    const rotation = rotationLines(credential, { width, style });
    const trouble = troubleText(credential);
    if (trouble === null) return rotation;
    const sentence = wrap(printable(`${credential.name}: ${trouble}`), width);
    const action = credential.failure === null ? [] : wrap(actionOf(credential.failure.code), width - INDENT.length);
    const { tone } = stateCell(credential.state);
    return [
      ...sentence.map((line) => style(tone, line)),
      ...action.map((line) => style('quiet', INDENT + line)),
      ...rotation,
    ];
  });
}

function rotationLines(
  credential: CredentialSummary,
  { width, style }: Pick<TableOptions, 'width' | 'style'>,
): string[] {
  const trouble = rotationTrouble(credential);
  const { failure } = credential.rotation;
  if (trouble === null || failure === null) return [];
  const sentence = wrap(printable(`${credential.name}: ${trouble}`), width);
  const action = wrap(actionOf(failure.code), width - INDENT.length);
  return [...sentence.map((line) => style('notice', line)), ...action.map((line) => style('quiet', INDENT + line))];
}
