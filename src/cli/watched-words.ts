import type { CredentialSummary } from '../client.ts';
import { lifecycleStateOf } from '../lifecycle/credential.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { wrap, type Cell } from './columns.ts';
import { formatDuration } from './duration.ts';
import { printable } from './printable.ts';
import type { Style, Tone } from './style.ts';

/** A watched credential and how its last test went. */
export interface WatchedRow {
  readonly credential: CredentialSummary;
  readonly lastTest: TestResult | null;
}

/** What is known of a watched credential, in one word: what programs get, and what the table says at more length. */
export type WatchedState = 'working' | 'failing' | 'noTest' | 'untested' | 'paused' | 'ended';

const WORDS: Readonly<Record<WatchedState, { readonly text: string; readonly short?: string; readonly tone: Tone }>> = {
  working: { text: 'watched: works', tone: 'good' },
  failing: { text: 'watched: fails', tone: 'bad' },
  noTest: { text: 'watched: no test in n8n', short: 'watched: no test', tone: 'quiet' },
  untested: { text: 'watched: not tested', tone: 'notice' },
  paused: { text: 'watched: paused', tone: 'quiet' },
  ended: { text: 'not watched', tone: 'quiet' },
};

/** Whether it is n8n's own: tested, and never refreshed or changed. */
export function isWatched({ protocol }: Pick<CredentialSummary, 'protocol'>): boolean {
  return protocol === 'n8n';
}

export function watchedState({ credential, lastTest }: WatchedRow): WatchedState {
  if (lifecycleStateOf(credential.state) === 'revoked') return 'ended';
  if (credential.paused) return 'paused';
  if (lastTest?.inconclusive === true) return 'noTest';
  if (credential.health === 'unknown') return 'untested';
  return credential.health === 'healthy' ? 'working' : 'failing';
}

export function watchedStateCell(row: WatchedRow): Cell {
  return WORDS[watchedState(row)];
}

/** Whether it is n8n itself, and not one of its credentials. */
function isHost({ endpoint }: Pick<CredentialSummary, 'endpoint'>): boolean {
  return endpoint.endsWith('/');
}

/** State, expiry, next action and last event of a watched credential. */
export function watchedCells(row: WatchedRow, now: Date): Cell[] {
  const none: Cell = { text: '–', tone: 'quiet' };
  return [watchedStateCell(row), none, nextCell(row), tested(row, now)];
}

function nextCell(row: WatchedRow): Cell {
  if (watchedState(row) !== 'failing') return { text: 'none', tone: 'quiet' };
  if (isHost(row.credential)) return { text: 'asked again', tone: 'quiet' };
  return { text: 'you: correct it in n8n', short: 'see n8n' };
}

function tested(row: WatchedRow, now: Date): Cell {
  const cell = lastTestCell(row, now);
  return row.lastTest === null ? cell : { ...cell, text: `tested ${cell.text}`, short: cell.text };
}

export function sinceCell({ credential: { healthChangedAt } }: WatchedRow, now: Date): Cell {
  if (healthChangedAt === null) return { text: '–', tone: 'quiet' };
  return { text: formatDuration(now.getTime() - healthChangedAt.getTime()) };
}

export function lastTestCell({ lastTest }: WatchedRow, now: Date): Cell {
  if (lastTest === null) return { text: '–', tone: 'quiet' };
  return { text: `${formatDuration(now.getTime() - lastTest.testedAt.getTime())} ago`, tone: 'quiet' };
}

/** What is wrong with it and where to go, as wrapped lines; none when nothing is. */
export function watchedTrouble(
  row: WatchedRow,
  { width, style }: { readonly width: number; readonly style: Style },
): string[] {
  if (watchedState(row) !== 'failing') return [];
  const { credential, lastTest } = row;
  const sentence = wrap(printable(`${credential.name}: ${lastTest?.message ?? 'its test fails.'}`), width);
  const place = wrap(printable(credential.endpoint), width - 2);
  return [...sentence.map((line) => style('bad', line)), ...place.map((line) => style('quiet', `  ${line}`))];
}

/** Watched credentials by what is known of them: `3 watched: 1 fails, 1 works, 1 without a test`. */
export function watchedCountsText(all: readonly WatchedRow[]): string {
  const rows = all.filter(({ credential }) => !isHost(credential));
  const count = (state: WatchedState): number => rows.filter((row) => watchedState(row) === state).length;
  const parts = [
    [count('failing'), count('failing') === 1 ? 'fails' : 'fail'],
    [count('working'), count('working') === 1 ? 'works' : 'work'],
    [count('noTest'), 'without a test'],
    [count('untested'), 'not tested'],
    [count('paused'), 'paused'],
    [count('ended'), 'not watched'],
  ] as const;
  const said = parts.flatMap(([number, word]) => (number > 0 ? [`${number} ${word}`] : []));
  return `${rows.length} watched${said.length > 0 ? `: ${said.join(', ')}` : ''}`;
}
