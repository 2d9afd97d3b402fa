/**
 * What n8n looks for in the message of an error, in whatever place and case: where one of these occurs, it shows a general sentence instead
 * ("The service refused the connection - perhaps it is offline"), and what it was about is lost, our code too.
 */
const REPLACED_BY_HOST: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ECONNABORTED: 'connection aborted',
  ENOTFOUND: 'no such name',
  EAI_AGAIN: 'the name server does not answer',
  GETADDRINFO: 'name lookup',
  ETIMEDOUT: 'timed out',
  EHOSTUNREACH: 'no way to the host',
  EADDRNOTAVAIL: 'address not available',
  ERRADDRINUSE: 'address in use',
  ENOENT: 'no such file',
  EISDIR: 'is a folder',
  ENOTDIR: 'is no folder',
  EACCES: 'no access',
  EEXIST: 'exists already',
  EPERM: 'not permitted',
};

const ANY = Object.keys(REPLACED_BY_HOST).join('|');
const STANDING_ALONE = new RegExp(`\\b(?:${ANY})\\b`, 'g');
const ANYWHERE = new RegExp(ANY, 'gi');
const WORD_JOINER = '\u2060';

/** A sentence that n8n shows as it is: network codes in words, and a name that happens to hold one with an invisible joint in it. */
export function textForHost(text: string): string {
  return text
    .replace(STANDING_ALONE, (code) => REPLACED_BY_HOST[code] ?? code)
    .replace(ANYWHERE, (part) => `${part.slice(0, 1)}${WORD_JOINER}${part.slice(1)}`);
}
