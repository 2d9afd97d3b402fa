import type { CredentialEngine } from '../../engine.ts';
import type { CredentialError } from '../../errors.ts';
import { wait } from '../../lifecycle/effects.ts';
import type { Ports } from '../../ports.ts';
import type { N8nWatch, WatchRound } from '../../watch/n8n-watch.ts';
import { nextLookMs } from '../../watch/plan.ts';
import { printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { failureLine, failureOf } from '../failure.ts';
import { EventLines } from '../serve/event-lines.ts';
import type { View } from '../serve/view.ts';
import { watchedCountsText, type WatchedRow } from '../watched-words.ts';
import { LiveWatchedTable } from './live-watched-table.ts';

export interface WatchCommandOptions extends GlobalOptions {
  readonly url?: string;
  readonly apiKeyFile?: string;
  readonly allowInsecureTransport?: boolean;
  /** Milliseconds; default an hour. */
  readonly every?: number;
  readonly once?: boolean;
  /** Milliseconds. */
  readonly for?: number;
}

/** A running `credlife watch n8n`. */
export interface Watching {
  readonly context: CommandContext;
  readonly options: WatchCommandOptions;
  readonly engine: CredentialEngine;
  readonly watch: N8nWatch;
  readonly ports: Ports;
  readonly everyMs: number;
  readonly url: string;
}

/** What is shown of one look at n8n. */
interface WatchView extends View {
  looked(failure: CredentialError | null): void;
}

export async function watchedRows(engine: CredentialEngine, watch: N8nWatch): Promise<WatchedRow[]> {
  const rows: WatchedRow[] = [];
  for (const credential of await watch.watched()) {
    rows.push({ credential, lastTest: await engine.lastTest(credential.id) });
  }
  return rows;
}

/**
 * Looks again and again until the signal ends it. What only a person can cure ends it at its first look; later it is one
 * alert, and the file with the key is read again each time.
 */
export async function keepLooking(watching: Watching, signal: AbortSignal): Promise<void> {
  const { context, options, engine, watch, ports, everyMs } = watching;
  const view = viewOf(watching);
  try {
    let failures = 0;
    for (let looks = 0; !signal.aborted; looks += 1) {
      const round = await lookUnlessEnded(watch, signal);
      if (round === null) break;
      if (looks === 0 && round.failure?.name === 'ConfigurationError') throw round.failure;
      if (looks === 0 && options.json !== true && context.output.isTTY !== true) await announce(watching, round);
      failures = round.failure === null ? 0 : failures + 1;
      view.looked(round.failure);
      await wait(ports, nextLookMs(everyMs, failures), signal).catch(() => undefined);
    }
  } finally {
    await view.close();
  }
  if (options.json === true) return;
  printLine(context.output, `credlife: ended; ${watchedCountsText(await watchedRows(engine, watch))}`);
}

async function lookUnlessEnded(watch: N8nWatch, signal: AbortSignal): Promise<WatchRound | null> {
  try {
    return await watch.round(signal);
  } catch (error) {
    if (signal.aborted) return null;
    throw error;
  }
}

function viewOf({ context, options, engine, watch, url }: Watching): WatchView {
  if (context.output.isTTY === true && options.json !== true)
    return new LiveWatchedTable(context, { url, engine, rows: () => watchedRows(engine, watch) });
  const lines = new EventLines(context, engine, options.json === true);
  return { looked: () => undefined, close: () => lines.close() };
}

/** What is there at the start: events tell only what changes from then on. */
async function announce({ context, engine, watch, ports, url }: Watching, { failure }: WatchRound): Promise<void> {
  const text = failure ? failureLine(failureOf(failure)) : watchedCountsText(await watchedRows(engine, watch));
  printLine(context.output, `${ports.clock.now().toISOString()}  ${url}: ${text}`);
}
