import pino from 'pino';
import { silentLogger, type Logger } from '../ports.ts';
import type { CommandContext } from './context.ts';

/** Log lines as JSON on standard error. On a terminal they would tear the table, so there only a level that was asked for. */
export function commandLogger({ env, errors }: CommandContext, level: string): Logger {
  if (errors.isTTY === true && env['CREDLIFE_LOG_LEVEL'] === undefined) return silentLogger;
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, errors);
}
