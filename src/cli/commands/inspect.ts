import { InspectionRelay } from '../../inspection/relay.ts';
import type { Traffic } from '../../inspection/switchboard.ts';
import { readInspectionAddress } from '../../settings.ts';
import { printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { commandLogger } from '../logger.ts';
import { stopped, stopSignal } from '../serve/stop-signal.ts';

export interface InspectCommandOptions extends GlobalOptions {
  readonly port?: number;
  /** Milliseconds. */
  readonly for?: number;
}

/**
 * `credlife inspect`: the relay between engines of other processes and the Stately inspector. It opens no database and
 * needs no key.
 */
export async function inspect(context: CommandContext, options: InspectCommandOptions): Promise<void> {
  const named = readInspectionAddress(context.env);
  const logger = commandLogger(context, context.env['CREDLIFE_LOG_LEVEL'] ?? 'error');
  const port = options.port ?? named?.port ?? 0;
  const relay = await InspectionRelay.start({ port, ...(named && { token: named.token }), ports: { logger } });
  const end = stopSignal(options.for);
  context.output.on('error', () => {
    end.stop();
  });
  try {
    introduce(context, options, relay);
    relay.onTraffic((traffic) => {
      tell(context, options, traffic);
    });
    await stopped(end.signal);
  } finally {
    await relay.close();
    end.dispose();
  }
}

function introduce(context: CommandContext, { json }: InspectCommandOptions, relay: InspectionRelay): void {
  const { viewerUrl, publisherUrl } = relay;
  if (json === true) {
    printLine(context.output, JSON.stringify({ viewerUrl, publisherUrl }));
    return;
  }
  printLine(context.output, `Watch:    ${viewerUrl}`);
  printLine(context.output, `Engines:  CREDLIFE_INSPECT='${publisherUrl}'`);
  printLine(
    context.output,
    'Both addresses hold the token of this start: who has it sees ids, states and codes, and no secret.',
  );
}

function tell(context: CommandContext, { json }: InspectCommandOptions, traffic: Traffic): void {
  const { publishers, viewers } = traffic;
  const text = `credlife: ${counted(publishers, 'engine')}, ${counted(viewers, 'viewer')}`;
  printLine(context.output, json === true ? JSON.stringify({ engines: publishers, viewers }) : text);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
