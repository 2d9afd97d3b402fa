/** What RFC 4514 §2.4 asks for, and `=`, which it allows. */
const SPECIAL = new Set('"+,;<>=\\');

/**
 * Escapes one attribute value for use in a distinguished name (RFC 4514 §2.4). What comes out is one value, whatever it
 * holds: no comma ends it, no space at its ends is lost, NUL and other control characters are written in hexadecimal.
 *
 * @example
 * `cn=${escapeLdapDn('x,ou=admins')},dc=example,dc=com`; // cn=x\,ou\=admins,dc=example,dc=com
 */
export function escapeLdapDn(value: string): string {
  // A lone surrogate has no UTF-8.
  const characters = [...value.toWellFormed()];
  const last = characters.length - 1;
  return characters.map((character, index) => escaped(character, index === 0, index === last)).join('');
}

function escaped(character: string, isFirst: boolean, isLast: boolean): string {
  if (SPECIAL.has(character) || (character === '#' && isFirst)) return `\\${character}`;
  if (character === ' ' && (isFirst || isLast)) return String.raw`\ `;
  if (character >= ' ' && character !== '\x7f') return character;
  return `\\${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

/** Puts a user name into the place that a template leaves for it: `uid={username},ou=people,dc=example,dc=com`. */
export function fillDnTemplate(template: string, username: string): string {
  return template.replaceAll('{username}', () => escapeLdapDn(username));
}
