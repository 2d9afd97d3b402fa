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
