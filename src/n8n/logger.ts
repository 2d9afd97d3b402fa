import { LoggerProxy } from 'n8n-workflow';
import type { Logger } from '../ports.ts';

/** The engine's log lines in n8n's own log. */
export const hostLogger: Logger = {
  debug: (fields, message) => {
    LoggerProxy.debug(message, { ...fields });
  },
  info: (fields, message) => {
    LoggerProxy.info(message, { ...fields });
  },
  warn: (fields, message) => {
    LoggerProxy.warn(message, { ...fields });
  },
  error: (fields, message) => {
    LoggerProxy.error(message, { ...fields });
  },
};

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** The same without the lines below a level of `CREDLIFE_LOG_LEVEL`. */
export function hostLoggerFrom(level: string): Logger {
  const log =
    (name: 'debug' | 'info' | 'warn' | 'error'): Logger['info'] =>
    (fields, message) => {
      if (LEVELS.indexOf(name) >= LEVELS.indexOf(level)) hostLogger[name](fields, message);
    };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}
