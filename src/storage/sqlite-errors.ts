import { StorageError } from '../errors.ts';

/** Runs a store operation and turns the database's own errors into ours. */
export function translated<T>(path: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw translate(path, error);
  }
}

function translate(path: string, error: unknown): unknown {
  if (!Error.isError(error) || !('code' in error) || error instanceof StorageError) return error;
  const code = String(error.code);
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) {
    return new StorageError('ERR_STORE_CORRUPT', `The file ${path} is not an intact SQLite database (${code}).`);
  }
  const isFileError = ['ENOENT', 'EACCES', 'EROFS', 'EISDIR', 'ENOTDIR', 'ENOSPC', 'EPERM'].includes(code);
  if (isFileError || code.startsWith('SQLITE_')) {
    return new StorageError('ERR_STORE_UNAVAILABLE', `The database ${path} cannot be used (${code}).`);
  }
  return error;
}

/** The same for an operation that takes its time. */
export async function translatedAsync<T>(path: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw translate(path, error);
  }
}
