import { CredentialEngine } from '../../engine.ts';
import { ConfigurationError } from '../../errors.ts';
import { withOutboundPolicy } from '../../outbound/outbound-fetch.ts';
import { systemClock, systemFetch, systemRandom } from '../../ports.ts';
import type { N8nConnection } from '../../protocols/n8n/config.ts';
import { N8nWatch } from '../../watch/n8n-watch.ts';
import { printJson, printLine, widthOf, type CommandContext } from '../context.ts';
import { absolutePath, settingsOf } from '../database-location.ts';
import { EXIT_CODES, exitCodeOfError } from '../exit-codes.ts';
import { failureLine, failureOf } from '../failure.ts';
import { commandLogger } from '../logger.ts';
import { stopSignal, type StopSignal } from '../serve/stop-signal.ts';
import { watchedState } from '../watched-words.ts';
import { keepLooking, watchedRows, type WatchCommandOptions, type Watching } from './watching.ts';
import { watchedLines, type TableLook } from './watched-table.ts';

const HOUR_MS = 3_600_000;

/** `credlife watch n8n`: has n8n test its own credentials, and alerts once when one fails or works again. */
export async function watchN8n(context: CommandContext, options: WatchCommandOptions): Promise<void> {
  const end = stopSignal(options.for);
  context.output.on('error', () => {
    end.stop();
  });
  try {
    await run(context, options, end);
  } finally {
    end.dispose();
  }
}

async function run(context: CommandContext, options: WatchCommandOptions, end: StopSignal): Promise<void> {
  const { engineOptions, logLevel, keeper } = settingsOf({ ...context, env: environmentOf(context, options) }, options);
  const connection = required(engineOptions.n8n);
  const logger = commandLogger(context, logLevel);
  const ports = withOutboundPolicy({ clock: systemClock, random: systemRandom, fetch: systemFetch, logger }, undefined);
  // One look leaves before webhooks could be sent: whoever keeps the database sends what is in its outbox.
  const isKeeper = keeper !== 'off' && options.once !== true;
  const engine = await CredentialEngine.open({ ...engineOptions, keeper: isKeeper, ports: { logger } });
  try {
    const everyMs = options.every ?? HOUR_MS;
    const watch = new N8nWatch(engine, { connection, ports, everyMs });
    const watching: Watching = { context, options, engine, watch, ports, everyMs, url: connection.url };
    await (options.once === true ? lookOnce(watching, end) : keepLooking(watching, end.signal));
  } finally {
    await engine.close();
  }
}

/** Arguments stand before settings. The key itself is never one. */
function environmentOf(context: CommandContext, options: WatchCommandOptions): CommandContext['env'] {
  const { url, apiKeyFile, allowInsecureTransport } = options;
  return {
    ...context.env,
    ...(url !== undefined && { CREDLIFE_N8N_URL: url }),
    ...(apiKeyFile !== undefined && { CREDLIFE_N8N_API_KEY_FILE: absolutePath(context, apiKeyFile) }),
    ...(allowInsecureTransport === true && { CREDLIFE_N8N_ALLOW_INSECURE_TRANSPORT: 'true' }),
  };
}

function required(connection: N8nConnection | undefined): N8nConnection {
  if (connection) return connection;
  throw new ConfigurationError('ERR_N8N_NOT_CONNECTED', 'It is not said which n8n to watch.');
}

/** One look: exit code 0 when everything that n8n can test works, 3 when something fails, else why n8n could not be asked. */
async function lookOnce({ context, options, engine, watch, url }: Watching, end: StopSignal): Promise<void> {
  const { failure } = await watch.round(end.signal);
  const rows = await watchedRows(engine, watch);
  if (options.json === true) {
    const credentials = rows.map((row) => ({ ...row.credential, watched: watchedState(row), lastTest: row.lastTest }));
    printJson(context, { n8n: { url, failure: failure && failureOf(failure) }, credentials });
  } else {
    for (const line of watchedLines(rows, lookOf(context))) printLine(context.output, line);
    if (failure) printLine(context.errors, context.style('bad', failureLine(failureOf(failure))));
  }
  const isFailing = rows.some((row) => watchedState(row) === 'failing');
  context.setExitCode(failure ? exitCodeOfError(failure.code) : EXIT_CODES[isFailing ? 'attention' : 'ok'].code);
}

function lookOf(context: CommandContext): TableLook {
  return { now: systemClock.now(), width: widthOf(context.output), style: context.style };
}
