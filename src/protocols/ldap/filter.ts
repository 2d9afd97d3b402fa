import { FilterParser } from 'ldapts';
import { escapeLdapFilter } from './escape.ts';

export { escapeLdapFilter } from './escape.ts';

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
