import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * Holder of a secret value. Every way of printing it gives `[redacted]`; `unwrap()` is the one way out, and
 * `test/secret.test.ts` lists the files that may take it.
 *
 * @example
 * const password = Secret.of('hunter2');
 * `${password}`; // '[redacted]'
 */
export class Secret<T> {
  // A private field is in no enumeration, no JSON, no inspection and no structured clone.
  #held: { readonly value: T } | null;

  private constructor(value: T) {
    this.#held = { value };
    Object.freeze(this);
  }

  static of<T>(value: T): Secret<T> {
    return new Secret(value);
  }

  /**
   * The value itself. Keep it in the narrowest scope and never put it on an object that may be printed.
   *
   * @throws TypeError after `release()`
   */
  unwrap(): T {
    if (this.#held === null) throw new TypeError('This secret was released.');
    return this.#held.value;
  }

  /**
   * Forgets the value. Bytes are overwritten with zeros where they are; text cannot be, because JavaScript strings are
   * immutable: it goes when the garbage collector takes it.
   */
  release(): void {
    const value = this.#held?.value;
    if (value instanceof Uint8Array) value.fill(0);
    this.#held = null;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
