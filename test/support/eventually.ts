import { setTimeout as delay } from 'node:timers/promises';

/** Polls until `read` gives something other than undefined, null or false, and returns that. */
export async function eventually<T>(
  read: () => T | Promise<T>,
  { timeoutMs = 15_000, everyMs = 20 } = {},
): Promise<Exclude<T, undefined | null | false>> {
  const endsAt = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (value !== undefined && value !== null && value !== false) return value as Exclude<T, undefined | null | false>;
    if (Date.now() > endsAt) throw new Error(`Not so after ${String(timeoutMs)} ms: ${read.toString()}`);
    await delay(everyMs);
  }
}

/** Lets `ms` pass in which something must not happen. */
export async function quietFor(ms: number): Promise<void> {
  await delay(ms);
}
