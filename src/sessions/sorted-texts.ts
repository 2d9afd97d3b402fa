import { compareTexts } from '../storage/texts.ts';

/** Texts in the order of their code points, found by halving. */
export class SortedTexts {
  readonly #texts: string[] = [];

  add(text: string): void {
    const index = this.#find(text);
    if (this.#texts[index] !== text) this.#texts.splice(index, 0, text);
  }

  delete(text: string): void {
    const index = this.#find(text);
    if (this.#texts[index] === text) this.#texts.splice(index, 1);
  }

  /** Those that begin with `prefix` and come after `after`, in order. */
  *from(prefix: string, after: string): Generator<string> {
    const start = compareTexts(after, prefix) > 0 ? after : prefix;
    for (let index = this.#find(start); index < this.#texts.length; index += 1) {
      const text = this.#texts[index] ?? '';
      if (!text.startsWith(prefix)) return;
      if (text !== after) yield text;
    }
  }

  /** Index of the first text that is not less than `text`. */
  #find(text: string): number {
    let low = 0;
    let high = this.#texts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareTexts(this.#texts[middle] ?? '', text) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
