const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);
const LONGEST_MS = 7 * 24 * 3_600_000;

/** Reads `500ms`, `90s`, `3m` or `1h` as milliseconds; `null` for anything else, for zero and for more than a week. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,9})(ms|s|m|h)$/.exec(text);
  const unitMs = UNITS_MS.get(match?.[2] ?? '');
  if (unitMs === undefined) return null;
  const durationMs = Number(match?.[1]) * unitMs;
  return durationMs > 0 && durationMs <= LONGEST_MS ? durationMs : null;
}

const SPAN_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const LONGEST_SPAN_MS = 3_650 * 86_400_000;

/** Reads a span of the calendar, `90m`, `12h` or `30d`, as milliseconds; `null` for anything else and for more than ten years. */
export function parseSpan(text: string): number | null {
  const match = /^(\d{1,7})(m|h|d)$/.exec(text);
  const unitMs = SPAN_UNITS_MS.get(match?.[2] ?? '');
  if (unitMs === undefined) return null;
  const spanMs = Number(match?.[1]) * unitMs;
  return spanMs <= LONGEST_SPAN_MS ? spanMs : null;
}

/** A duration in the one unit that people would use: `42s`, `12m`, `5h`, `9d`. Never negative. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (seconds < 100) return `${seconds}s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)}m`;
  if (seconds < 48 * 3_600) return `${Math.round(seconds / 3_600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
}
