/** Texts as n8n hands them over: several chosen ones, an array that an expression made, or one text with commas. Empty ones do not count. */
export function textsFrom(entered: unknown): string[] {
  const parts: readonly unknown[] = Array.isArray(entered) ? entered : isText(entered) ? entered.split(',') : [];
  return [...new Set(parts.filter(isText).map((text) => text.trim()))].filter((text) => text !== '');
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}
