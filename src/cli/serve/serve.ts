import { dirname, join } from 'node:path';
import { CredentialEngine } from '../../engine.ts';
import { systemClock, systemRandom } from '../../ports.ts';
import { CLIENT_IDS } from '../../sandbox/clients.ts';
import type { SandboxStatistics } from '../../sandbox/statistics.ts';
import type { StateCounts } from '../../storage/record-store.ts';
import { printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { databasePath, settingsOf } from '../database-location.ts';
import { formatDuration } from '../duration.ts';
import { namesMasterKey, prepareFolder } from '../master-key-file.ts';
import { commandLogger } from '../logger.ts';
import { EventLines } from './event-lines.ts';
import { countsText } from './frame.ts';
import { LiveTable } from './live-table.ts';
import { registerSamples } from './samples.ts';
import { ServeInspection } from './inspection.ts';
import { SandboxSession } from './sandbox-session.ts';
import { stopped, stopSignal, type StopSignal } from './stop-signal.ts';
import type { View } from './view.ts';

export interface ServeCommandOptions extends GlobalOptions {
  readonly sandbox?: boolean;
  readonly inspect?: boolean;
  /** Milliseconds. */
  readonly for?: number;
}

/** `credlife serve`: keeps credentials alive and shows them until it is told to end. */
export async function serve(context: CommandContext, options: ServeCommandOptions): Promise<void> {
  const startedAt = systemClock.now();
  const end = stopSignal(options.for);
  const folder = dirname(databasePath(context, options));
  announce(
    context,
    options,
    `keeping the credentials in ${folder} alive${options.sandbox === true ? ', with a sandbox' : ''}`,
  );
  // Whoever read our output has gone: there is nobody left to show anything to.
  context.output.on('error', () => {
    end.stop();
  });
  try {
    const summary = await run(context, options, folder, end);
    printSummary(context, options, { ...summary, ranMs: systemClock.now().getTime() - startedAt.getTime() });
  } finally {
    end.dispose();
  }
}

interface Summary {
  readonly counts: StateCounts;
  readonly statistics: SandboxStatistics | null;
}

async function run(
  context: CommandContext,
  options: ServeCommandOptions,
  folder: string,
  end: StopSignal,
): Promise<Summary> {
  const note = (text: string): void => {
    // The live table says it in its own place; a line between its frames would tear it.
    if (!isLive(context, options)) announce(context, options, text);
  };
  if (options.sandbox === true && !namesMasterKey(context.env)) {
    prepareFolder(databasePath(context, options), systemRandom);
  }
  const { engineOptions, logLevel, keeper, inspect } = settingsOf(context, options);
  const logger = commandLogger(context, logLevel);
  await using cleanup = new AsyncDisposableStack();
  const sandbox = options.sandbox === true ? await SandboxSession.start(join(folder, 'sandbox'), note) : null;
  if (sandbox) cleanup.defer(() => sandbox.close());
  // Behind the engine, so that it hears the last refreshes.
  let inspection: ServeInspection | null = null;
  cleanup.defer(() => inspection?.close());
  const engine = await CredentialEngine.open({ ...engineOptions, keeper: keeper !== 'off', ports: { logger } });
  cleanup.defer(() => engine.close());
  inspection = await ServeInspection.start(engine, inspect, options.inspect === true, logger);
  if (inspection.viewerUrl !== null) announce(context, options, `inspector: ${inspection.viewerUrl}`);
  note(`the database holds ${countsText(await engine.countByState())}`);
  const view = viewFor(context, options, engine, sandbox);
  try {
    if (sandbox) await registerSamples(engine, sandbox.server);
    await stopped(end.signal);
  } finally {
    await view.close();
  }
  return { counts: await engine.countByState(), statistics: (await sandbox?.statistics()) ?? null };
}

function viewFor(
  context: CommandContext,
  options: ServeCommandOptions,
  engine: CredentialEngine,
  sandbox: SandboxSession | null,
): View {
  return isLive(context, options)
    ? new LiveTable(context, engine, sandbox)
    : new EventLines(context, engine, options.json === true);
}

function isLive(context: CommandContext, { json }: ServeCommandOptions): boolean {
  return context.output.isTTY === true && json !== true;
}

/** On a terminal one calm line; in a log with its instant; never into a JSON stream. */
function announce(context: CommandContext, options: ServeCommandOptions, text: string): void {
  if (options.json === true) return;
  const isTerminal = context.output.isTTY === true;
  printLine(
    context.output,
    isTerminal ? context.style('quiet', `credlife: ${text}`) : `${systemClock.now().toISOString()}  ${text}`,
  );
}

function printSummary(
  context: CommandContext,
  { json }: ServeCommandOptions,
  { counts, statistics, ranMs }: Summary & { readonly ranMs: number },
): void {
  const rotatingRefreshes = statistics?.refreshes[CLIENT_IDS.rotating] ?? 0;
  if (json === true) {
    const sandbox = statistics && { ...statistics, rotatingRefreshes };
    printLine(context.output, JSON.stringify({ ranMs, credentialsByState: counts, sandbox }));
    return;
  }
  const credentials = `credlife: ended after ${formatDuration(ranMs)}; ${countsText(counts)}`;
  const sandbox = statistics
    ? `; sandbox: ${statistics.requests} requests at the server, ${rotatingRefreshes} refreshes of the rotating credential, ` +
      `spent tokens presented: ${statistics.spentTokensPresented}`
    : '';
  printLine(context.output, credentials + sandbox);
}
