import type { Clock } from '../ports.ts';

/** How long SQLite itself waits for another process's lock. Nothing else of this process can happen meanwhile. */
export const BLOCKING_MS = 100;
/** How long a write waits for the lock in all: longer than a process may be stopped inside a transaction and be called alive. */
const PATIENCE_MS = 5_000;
const PAUSE_MS = 10;

/**
 * Runs a write, again while another process holds the lock of the file. Between the tries the event loop goes on: answers are read,
 * and claims of this process are known to be held or lost. `operation` changes nothing when it finds the lock taken.
 */
export async function patiently<T>(clock: Clock, operation: () => T): Promise<T> {
  const endsAtMs = clock.hostTime().ms + PATIENCE_MS;
  for (;;) {
    try {
      return operation();
    } catch (error) {
      if (!isBusy(error) || clock.hostTime().ms >= endsAtMs) throw error;
    }
    await new Promise<void>((resolve) => clock.schedule(PAUSE_MS, resolve, { keepAlive: true }));
  }
}

function isBusy(error: unknown): boolean {
  return Error.isError(error) && 'code' in error && String(error.code).startsWith('SQLITE_BUSY');
}
