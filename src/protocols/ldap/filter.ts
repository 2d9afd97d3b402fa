import { FilterParser } from 'ldapts';

const SPECIAL = /[\0()*\\]/g;

/**
 * Escapes a value for use in a search filter (RFC 4515 §3), so that it is one literal value there, whatever it holds.
 * Bytes come out as `\xx` each; of a text only what has a meaning in a filter.
 *
 * @example
 * `(uid=${escapeLdapFilter('*)(uid=*')})`; // (uid=\2a\29\28uid=\2a)
 */
export function escapeLdapFilter(value: string | Uint8Array): string {
  if (typeof value !== 'string') return [...value].map(escapedByte).join('');
  // A lone surrogate has no UTF-8: it becomes the replacement character here, not a byte of its own on the wire.
  return value.toWellFormed().replaceAll(SPECIAL, (character) => escapedByte(character.charCodeAt(0)));
}

function escapedByte(byte: number): string {
  return `\\${byte.toString(16).padStart(2, '0')}`;
}

/** Puts a value into the places that a filter of the settings leaves for it: `(uid={username})`. */
export function fillFilter(template: string, place: 'username' | 'dn', value: string): string {
  return template.replaceAll(`{${place}}`, () => escapeLdapFilter(value));
}

const DEEPEST = 32;
const LONGEST = 16_384;

/** Whether a text is a filter (RFC 4515 §3), and none that a parser has to descend far into. */
export function isFilter(text: string): boolean {
  if (text.length > LONGEST || !text.startsWith('(')) return false;
  let depth = 0;
  let deepest = 0;
  // A parenthesis in a value is escaped: these are all structure.
  for (const character of text) {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0;
    deepest = Math.max(deepest, depth);
  }
  return depth === 0 && deepest <= DEEPEST && isParsed(text);
}

function isParsed(text: string): boolean {
  try {
    FilterParser.parseString(text);
    return true;
  } catch {
    return false;
  }
}
