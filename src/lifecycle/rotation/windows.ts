import { Cron } from 'croner';

/** How long a maintenance window stays open: work that comes later waits for the next one. */
export const WINDOW_OPEN_MS = 3_600_000;

const FIVE_FIELDS = /^(?:[^\s]+ +){4}[^\s]+$/;

/** Whether this is a window that opens some day: a cron expression of five fields in a known time zone. */
export function isWindow({ cron, timeZone }: { readonly cron: string; readonly timeZone: string }): boolean {
  if (!FIVE_FIELDS.test(cron)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return nextWindowAt({ cron, timeZone }, new Date('2024-01-01T00:00:00Z')) !== null;
  } catch {
    return false;
  }
}

/**
 * The first opening after `after`. Where the clocks go forward over it, it opens at the end of the gap; where they go back
 * over it, at the first of the two instants only.
 */
export function nextWindowAt(
  { cron, timeZone }: { readonly cron: string; readonly timeZone: string },
  after: Date,
): Date | null {
  return new Cron(cron, { timezone: timeZone, paused: true }).nextRun(after);
}
