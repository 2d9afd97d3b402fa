import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  ConfigurationError,
  ERROR_CATALOGUE,
  errorOfCode,
  isCredentialError,
  toCredentialError,
  type ErrorCode,
} from '../src/errors.ts';

const CODES = Object.keys(ERROR_CATALOGUE) as ErrorCode[];

it('has each code in docs/errors.md, with its class and what to do, in the same order', () => {
  const rows = CODES.map((code) => {
    const error = errorOfCode(code, '');
    return `| \`${code}\` | \`${error.name}\` | ${error.action} |`;
  });
  const document = readFileSync(join(__dirname, '../docs/errors.md'), 'utf8');
  const documented = document.split('\n').filter((line) => line.startsWith('| `ERR_'));
  expect(documented.map(squeeze)).toEqual(rows.map(squeeze));
});

it.each(CODES)('%s ends its advice with a full stop and is thrown by the class of its kind', (code) => {
  const { kind, action } = ERROR_CATALOGUE[code];
  expect(action).toMatch(/^[A-Z].*\.$/);
  expect(errorOfCode(code, 'm').name.toLowerCase()).toContain(kind.toLowerCase());
});

it('says sentence, code and advice in one line', () => {
  const error = new ConfigurationError('ERR_CREDENTIAL_NOT_FOUND', 'There is no credential with this id.');
  expect(error.describe()).toBe(`There is no credential with this id. [ERR_CREDENTIAL_NOT_FOUND] ${error.action}`);
});

it('is recognised across two copies of the package', () => {
  const foreign = Object.assign(new Error('m'), { code: 'ERR_STORE_CONFLICT', action: 'a' });
  expect(isCredentialError(foreign)).toBe(true);
  expect(isCredentialError(Object.assign(new Error('m'), { code: 'ENOENT' }))).toBe(false);
  expect(isCredentialError({ code: 'ERR_STORE_CONFLICT' })).toBe(false);
});

it.each<[string, unknown]>([
  [
    'an error of a library',
    Object.assign(new Error('token canary-1'), { response: 'canary-1', cause: { token: 'canary-1' } }),
  ],
  ['a thrown text', 'canary-1'],
  ['nothing', undefined],
])('wraps %s without what it quotes', (_sentence, thrown) => {
  const error = toCredentialError(thrown);
  expect(error.code).toBe('ERR_INTERNAL');
  expect(inspect(error, { depth: Infinity })).not.toContain('canary-1');
});

it('passes its own errors through untouched', () => {
  const error = new ConfigurationError('ERR_CONFIG_MALFORMED', 'm');
  expect(toCredentialError(error)).toBe(error);
});

function squeeze(row: string): string {
  return row.replace(/\s+/g, ' ');
}
