import { stripVTControlCharacters } from 'node:util';

/** What a text says about its subject; a style turns it into colour. */
export type Tone = 'good' | 'notice' | 'busy' | 'bad' | 'quiet' | 'strong' | 'plain';

export type Style = (tone: Tone, text: string) => string;

const CODES: Readonly<Record<Tone, readonly [number, number] | null>> = {
  good: [32, 39],
  notice: [33, 39],
  busy: [36, 39],
  bad: [31, 39],
  quiet: [2, 22],
  strong: [1, 22],
  plain: null,
};

const coloured: Style = (tone, text) => {
  const codes = CODES[tone];
  return codes === null || text === '' ? text : `\u001b[${codes[0]}m${text}\u001b[${codes[1]}m`;
};

export const plainStyle: Style = (_tone, text) => stripVTControlCharacters(text);

/** Colours on a terminal only, never with NO_COLOR (https://no-color.org) and never on a dumb terminal. */
export function styleFor(isTerminal: boolean, env: Readonly<Record<string, string | undefined>>): Style {
  const refused = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return isTerminal && !refused ? coloured : plainStyle;
}
