/** The Basic Encoding Rules (X.690) as LDAP restricts them: definite lengths only (RFC 4511 §5.1). */
export interface Element {
  readonly tag: number;
  /** Where its content begins and ends. */
  readonly start: number;
  readonly end: number;
}

/** The bytes are not what RFC 4511 §5.1 allows. */
export class MalformedBerError extends Error {}

/** Tag, offset and length of the content, as far as the first bytes tell; `null` while they are too few. */
export function readHeader(bytes: Buffer, offset: number, limit: number): Element | null {
  const tag = bytes[offset];
  const first = bytes[offset + 1];
  if (tag === undefined || first === undefined || offset + 2 > limit) return null;
  if ((tag & 0x1f) === 0x1f) throw new MalformedBerError('A tag of several bytes.');
  if (first < 0x80) return { tag, start: offset + 2, end: offset + 2 + first };
  const octets = first - 0x80;
  if (octets === 0) throw new MalformedBerError('An indefinite length.');
  if (octets > 4) throw new MalformedBerError('A length of more than four bytes.');
  if (offset + 2 + octets > Math.min(limit, bytes.length)) return null;
  const start = offset + 2 + octets;
  return { tag, start, end: start + bytes.readUIntBE(offset + 2, octets) };
}

/** The elements between two offsets. Each lies wholly within them. */
export function* elementsBetween(bytes: Buffer, start: number, end: number): Generator<Element> {
  for (let offset = start; offset < end;) {
    const element = readHeader(bytes, offset, end);
    if (element === null || element.end > end) throw new MalformedBerError('An element longer than what holds it.');
    yield element;
    offset = element.end;
  }
}

/** One element with this content. */
export function encodeElement(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...encodedLength(content.length)]), content]);
}

function encodedLength(length: number): number[] {
  if (length < 0x80) return [length];
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 0x100)) octets.unshift(rest % 0x100);
  return [0x80 + octets.length, ...octets];
}
