import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * Holder of a secret value. Every way of printing it gives `[redacted]`; `unwrap()` is the one way out.
 *
 * @example
 * const password = Secret.of('hunter2');
 * `${password}`; // '[redacted]'
 */
export class Secret<T> {
  // A private field is in no enumeration, no JSON, no inspection and no structured clone.
  readonly #value: T;

  private constructor(value: T) {
    this.#value = value;
    Object.freeze(this);
  }

  static of<T>(value: T): Secret<T> {
    return new Secret(value);
  }

  /** The value itself. Keep it in the narrowest scope and never put it on an object that may be printed. */
  unwrap(): T {
    return this.#value;
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
