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
