import { EXIT_CODES, exitCodeOfError, exitCodeOfState, exitCodeTable } from '../../src/cli/exit-codes.ts';
import { ERROR_CATALOGUE, type ErrorCode } from '../../src/errors.ts';

test.each<[ErrorCode, number]>([
  ['ERR_INTERNAL', 1],
  ['ERR_CONFIG_MALFORMED', 2],
  ['ERR_CONFIG_SECRET_IN_ARGUMENT', 2],
  ['ERR_CREDENTIAL_NEEDS_USER', 3],
  ['ERR_OAUTH2_INVALID_CLIENT', 3],
  ['ERR_CREDENTIAL_NOT_FOUND', 4],
  ['ERR_ACCESS_DENIED', 4],
  ['ERR_STORE_UNAVAILABLE', 5],
  ['ERR_KEYRING_MASTER_KEY_MISMATCH', 5],
  ['ERR_CONFIG_MASTER_KEY_MISSING', 5],
  ['ERR_ENDPOINT_UNREACHABLE', 6],
  ['ERR_REFRESH_IN_PROGRESS', 6],
])('ends with %s as %d', (code, expected) => {
  expect(exitCodeOfError(code)).toBe(expected);
});

test('knows an exit code other than 0 for every error of the catalogue', () => {
  const known = Object.values(EXIT_CODES).map(({ code }): number => code);
  const codes = Object.keys(ERROR_CATALOGUE).filter((code): code is ErrorCode => code in ERROR_CATALOGUE);
  for (const code of codes) {
    expect(known).toContain(exitCodeOfError(code));
    expect(exitCodeOfError(code)).not.toBe(0);
  }
});

test('ends with 0 for a usable credential and 3 for one that is not', () => {
  expect([exitCodeOfState('valid'), exitCodeOfState('pending'), exitCodeOfState('expired')]).toEqual([0, 3, 3]);
});

test('documents every exit code', () => {
  expect(exitCodeTable().split('\n')).toHaveLength(Object.keys(EXIT_CODES).length);
});
