import { LoggerProxy } from 'n8n-workflow';
import { hostLoggerFrom } from '../../src/n8n/logger.ts';

const heard: string[] = [];
const hear = (level: string) => (message: string) => {
  heard.push(`${level}: ${message}`);
};

beforeEach(() => {
  heard.length = 0;
  LoggerProxy.init({ debug: hear('debug'), info: hear('info'), warn: hear('warn'), error: hear('error') });
});

it.each<[string, string[]]>([
  ['trace', ['debug: a', 'info: b', 'warn: c', 'error: d']],
  ['debug', ['debug: a', 'info: b', 'warn: c', 'error: d']],
  ['info', ['info: b', 'warn: c', 'error: d']],
  ['warn', ['warn: c', 'error: d']],
  ['error', ['error: d']],
  ['fatal', []],
  ['silent', []],
])("with %s, n8n's log gets %p", (level, expected) => {
  const logger = hostLoggerFrom(level);
  logger.debug({}, 'a');
  logger.info({}, 'b');
  logger.warn({}, 'c');
  logger.error({}, 'd');
  expect(heard).toEqual(expected);
});
