import { StorageError } from '../errors.ts';

/** SQLSTATE classes of a server that cannot serve now: connection, rights, resources, conflicts, stalls, shutdown, system. */
const UNAVAILABLE = /^(08|28|3D|42501|40|53|55P03|57|58|25006|25P03)/;
/** A transaction that lost to another one: it was rolled back whole, and may well win the next time. */
const CONFLICT = /^(40001|40P01|55P03)$/;
const CORRUPT = /^XX00[12]$/;
/** What Node says of sockets, names and certificates. */
const NETWORK = /^(E[A-Z]+|ERR_(TLS|SSL)_\w+|\w*(CERT|SIGNATURE|CRL|ISSUER)\w*)$/;
/** What the driver says without a code. */
const DRIVER =
  /^(Connection terminated|timeout exceeded|Client has encountered|The server does not support SSL|Cannot use a pool)/;

/** Runs a store operation and turns the driver's own errors into ours. `place` is host and database, never the password. */
export async function translated<T>(place: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw translate(place, error);
  }
}

export function translate(place: string, error: unknown): unknown {
  if (!Error.isError(error) || error instanceof StorageError) return error;
  const code = codeOf(error);
  if (code !== null && CORRUPT.test(code)) {
    return new StorageError('ERR_STORE_CORRUPT', `The database ${place} is not intact (${code}).`);
  }
  const why = code ?? DRIVER.exec(error.message)?.[0] ?? null;
  const isKnown = code === null ? why !== null : UNAVAILABLE.test(code) || NETWORK.test(code);
  // The driver's message may quote values, and its stack the connection settings: neither goes on.
  return isKnown ? unavailable(place, why) : error;
}

export function isConflict(error: unknown): boolean {
  return Error.isError(error) && CONFLICT.test(codeOf(error) ?? '');
}

function unavailable(place: string, why: string | null): StorageError {
  return new StorageError('ERR_STORE_UNAVAILABLE', `The database ${place} cannot be used (${why ?? 'unknown'}).`);
}

function codeOf(error: Error): string | null {
  // Node tries each address of a host and reports them together.
  if (error instanceof AggregateError && Error.isError(error.errors[0])) return codeOf(error.errors[0]);
  return 'code' in error && typeof error.code === 'string' ? error.code : null;
}
