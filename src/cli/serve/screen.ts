import type { Output } from '../context.ts';

const BEGIN_UPDATE = '\u001b[?2026h';
const END_UPDATE = '\u001b[?2026l';
const CLEAR_LINE_END = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const CLEAR_ALL = '\u001b[2J\u001b[H';

/**
 * Draws frames in place on a terminal, each in one write that a terminal shows at once. The cursor rests, visible, below
 * the frame, so that there is nothing to restore however the process ends.
 */
export class Screen {
  readonly #output: Output;
  #drawn: readonly string[] = [];
  readonly #onResize = (): void => {
    this.#clear = true;
  };
  #clear = false;

  constructor(output: Output) {
    this.#output = output;
    output.on('resize', this.#onResize);
  }

  get width(): number {
    // The last column stays empty: a character there makes some terminals wrap.
    return Math.max(20, (this.#output.columns ?? 80) - 1);
  }

  get height(): number {
    return Math.max(4, (this.#output.rows ?? 24) - 1);
  }

  /** Replaces the last frame. At most `height` lines are drawn; an unchanged frame costs nothing. */
  draw(lines: readonly string[]): void {
    const frame = lines.slice(0, this.height);
    const unchanged = frame.length === this.#drawn.length && frame.every((line, index) => line === this.#drawn[index]);
    if ((unchanged && !this.#clear) || this.#output.writableNeedDrain) return;
    const text = frame.map((line) => `${line}${CLEAR_LINE_END}\n`).join('');
    this.#output.write(BEGIN_UPDATE + this.#start() + text + CLEAR_BELOW + END_UPDATE);
    this.#drawn = frame;
    this.#clear = false;
  }

  close(): void {
    this.#output.off('resize', this.#onResize);
  }

  #start(): string {
    // After a resize the terminal may have wrapped what was drawn: only a cleared screen is known.
    if (this.#clear) return CLEAR_ALL;
    return this.#drawn.length > 0 ? `\r\u001b[${this.#drawn.length}A` : '\r';
  }
}
