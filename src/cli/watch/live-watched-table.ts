import stringWidth from 'string-width';
import type { CredentialEngine } from '../../engine.ts';
import type { CredentialError } from '../../errors.ts';
import { systemClock } from '../../ports.ts';
import { truncate, wrap } from '../columns.ts';
import type { CommandContext } from '../context.ts';
import { failureLine, failureOf } from '../failure.ts';
import { Redrawing } from '../serve/redrawing.ts';
import { Screen } from '../serve/screen.ts';
import type { View } from '../serve/view.ts';
import type { Style } from '../style.ts';
import { watchedCountsText, watchedTrouble, type WatchedRow } from '../watched-words.ts';
import { byUrgency, watchedTable } from './watched-table.ts';

export interface WatchedContent {
  readonly url: string;
  readonly now: Date;
  readonly rows: readonly WatchedRow[];
  /** Why n8n could not be asked at the last look. */
  readonly failure: CredentialError | null;
  readonly hasLooked: boolean;
}

/** One frame: head, table, what is wrong, foot; never more than `height` lines. */
export function composeWatchedFrame(
  { url, now, rows, failure, hasLooked }: WatchedContent,
  { width, height }: { readonly width: number; readonly height: number },
  style: Style,
): string[] {
  const clock = now.toTimeString().slice(0, 8);
  const head = truncate(`credlife watch n8n: ${watchedCountsText(rows)}`, width - clock.length - 2);
  const alarm = failure ? wrap(failureLine(failureOf(failure)), width).map((line) => style('bad', line)) : [];
  const top = [style('strong', head) + gap(head, clock, width) + style('quiet', clock), ...alarm, ''];
  const end = 'Ctrl-C ends';
  const place = truncate(url, width - end.length - 2);
  const foot = ['', style('quiet', place + gap(place, end, width) + end)];
  const room = Math.max(1, height - top.length - foot.length);
  const body =
    rows.length === 0 && !hasLooked ? ['asking n8n …'] : bodyLines(rows, { now, width, height: room }, style);
  return [...top, ...body.slice(0, room), ...foot].slice(0, height);
}

function bodyLines(
  rows: readonly WatchedRow[],
  { now, width, height }: { readonly now: Date; readonly width: number; readonly height: number },
  style: Style,
): string[] {
  const sorted = byUrgency(rows);
  const space = height - 1;
  const shown = sorted.slice(0, sorted.length > space ? Math.max(1, space - 1) : space);
  const table = watchedTable(shown, { now, width, style });
  const hidden = sorted.length - shown.length;
  const more = hidden > 0 ? [style('quiet', `… and ${hidden} more: credlife list`)] : [];
  const troubles = shown.flatMap((row) => watchedTrouble(row, { width, style }));
  const left = height - table.length - more.length - 1;
  return [...table, ...more, ...(left > 0 && troubles.length > 0 ? ['', ...troubles.slice(0, left)] : [])];
}

function gap(left: string, right: string, width: number): string {
  return ' '.repeat(Math.max(1, width - stringWidth(left) - right.length));
}

/** The table of watched credentials on a terminal, redrawn in place every second and after each event. */
export class LiveWatchedTable implements View {
  readonly #context: CommandContext;
  readonly #url: string;
  readonly #rows: () => Promise<WatchedRow[]>;
  readonly #screen: Screen;
  readonly #redrawing: Redrawing;
  #failure: CredentialError | null = null;
  #hasLooked = false;

  constructor(
    context: CommandContext,
    options: { readonly url: string; readonly engine: CredentialEngine; readonly rows: () => Promise<WatchedRow[]> },
  ) {
    this.#context = context;
    this.#url = options.url;
    this.#rows = options.rows;
    this.#screen = new Screen(context.output);
    this.#redrawing = new Redrawing(this.#screen, options.engine, () => this.#frame());
  }

  looked(failure: CredentialError | null): void {
    this.#failure = failure;
    this.#hasLooked = true;
    this.#redrawing.soon();
  }

  /** Draws a last frame, which stays. */
  close(): Promise<void> {
    return this.#redrawing.close();
  }

  async #frame(): Promise<string[]> {
    const { width, height } = this.#screen;
    const content = { url: this.#url, failure: this.#failure, hasLooked: this.#hasLooked };
    return composeWatchedFrame(
      { ...content, now: systemClock.now(), rows: await this.#rows() },
      { width, height },
      this.#context.style,
    );
  }
}
