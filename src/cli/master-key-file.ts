import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigurationError, StorageError } from '../errors.ts';
import type { RandomSource } from '../ports.ts';
import { driverOf, placeOf } from '../storage/location.ts';

export interface Prepared {
  readonly folder: string;
  readonly keyFile: string;
  /** False when a key was there: it is never overwritten. */
  readonly created: boolean;
}

/** Whether the environment names a master key, so that no key file is needed. */
export function namesMasterKey(env: Readonly<Record<string, string | undefined>>): boolean {
  const names = ['CREDLIFE_MASTER_KEY', 'CREDLIFE_MASTER_KEY_FILE', 'CREDLIFE_PASSPHRASE_FILE'];
  return names.some((name) => env[name] !== undefined);
}

/**
 * Makes the folder of the database (0700) and a master key beside it (0600), unless they are there.
 *
 * @throws StorageError `ERR_STORE_UNAVAILABLE`
 * @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MISSING` for a database that is no file
 */
export function prepareFolder(database: string, random: RandomSource): Prepared {
  if (driverOf(database) !== 'sqlite') throw masterKeyNeeded(database);
  const folder = dirname(database);
  const keyFile = join(folder, 'master.key');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (existsSync(keyFile)) return { folder, keyFile, created: false };
    // "wx": of two that start at once, one writes and the other finds it.
    writeFileSync(keyFile, `${random.bytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' });
    return { folder, keyFile, created: true };
  } catch (error) {
    if (existsSync(keyFile)) return { folder, keyFile, created: false };
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new StorageError('ERR_STORE_UNAVAILABLE', `The folder ${folder} cannot be prepared (${code}).`);
  }
}

/** Beside a database that is no file there is no place for a key. */
function masterKeyNeeded(database: string): ConfigurationError {
  return new ConfigurationError(
    'ERR_CONFIG_MASTER_KEY_MISSING',
    `A master key for ${placeOf(database)} must be named in the environment.`,
  );
}
