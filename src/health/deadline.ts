import { TransientError } from '../errors.ts';
import type { Clock } from '../ports.ts';

/**
 * Runs `operation` for at most `ms` on the engine's clock. Its signal is aborted at the deadline, and nobody waits for an
 * operation that does not heed it.
 *
 * @throws TransientError `ERR_ENDPOINT_TIMEOUT`
 */
export async function withDeadline<T>(
  clock: Clock,
  { ms, what }: { readonly ms: number; readonly what: string },
  operation: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.schedule(
    ms,
    () => {
      const error = new TransientError('ERR_ENDPOINT_TIMEOUT', `${what} did not end in time.`);
      reject(error);
      controller.abort(error);
    },
    { keepAlive: true },
  );
  const running = operation(controller.signal);
  // Whoever is late has nobody left to tell.
  running.catch(() => undefined);
  try {
    return await Promise.race([running, late]);
  } finally {
    cancel();
  }
}
