// Control characters, line and paragraph separators, and the marks that turn or hide text: all that can move a cursor,
// break a line or make a name look like another.
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]/gu;

/** Text that is safe on a terminal, on one line: what could steer the terminal becomes U+FFFD. */
export function printable(text: string): string {
  return text.toWellFormed().replace(UNPRINTABLE, '\ufffd');
}
