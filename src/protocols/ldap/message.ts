import { elementsBetween, encodeElement, MalformedBerError, readHeader, type Element } from './ber.ts';

/**
 * Messages as they come from the network, before the library parses them. The library takes any length at its word, waits
 * for two gigabytes that never come, and reads on for ever inside an element that is longer than what holds it. So only
 * whole messages of the exact form of RFC 4511 §4.1.1 reach it.
 */
const MESSAGE = 0x30;
const INTEGER = 0x02;
const BOOLEAN = 0x01;
const OCTETS = 0x04;
const ENUMERATED = 0x0a;
const SEQUENCE = 0x30;
const SET = 0x31;
const CONTROLS = 0xa0;
const SEARCH_ENTRY = 0x64;
const SEARCH_REFERENCE = 0x73;
const EXTENDED_REQUEST = 0x77;
const EXTENDED_RESPONSE = 0x78;
const REFERRAL = 0xa3;
/** Bind, search done, modify, add, delete, modify DN, compare, extended. */
const RESULTS = new Set([0x61, 0x65, 0x67, 0x69, 0x6b, 0x6d, 0x6f, EXTENDED_RESPONSE]);
/** SASL credentials, name and value of an extended response. */
const RESULT_EXTRAS = new Set([0x87, 0x8a, 0x8b]);
const START_TLS = '1.3.6.1.4.1.1466.20037';

/** Takes a stream of bytes apart into whole messages, holding no more than one of them. */
export class MessageReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #held = 0;
  #wanted = 2;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of a message that is not whole yet. */
  get pendingBytes(): number {
    return this.#held;
  }

  /** @throws MalformedBerError when the bytes can be no message, or one larger than allowed; then nothing more may be read */
  read(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    const messages: Buffer[] = [];
    while (this.#held >= this.#wanted) {
      const bytes = this.#joined();
      const header = readHeader(bytes, 0, bytes.length);
      if (bytes[0] !== MESSAGE) throw new MalformedBerError('No message begins here.');
      if (header !== null && header.end > this.#maxBytes) throw new MalformedBerError('A message that is too large.');
      this.#wanted = header?.end ?? this.#held + 1;
      if (header === null || this.#held < header.end) continue;
      const message = bytes.subarray(0, header.end);
      requireMessage(message, header);
      messages.push(message);
      this.#chunks = [bytes.subarray(header.end)];
      this.#held -= header.end;
      this.#wanted = 2;
    }
    return messages;
  }

  #joined(): Buffer {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1) return only;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

function requireMessage(bytes: Buffer, { start, end }: Element): void {
  const [id, operation, controls, ...more] = elementsBetween(bytes, start, end);
  requireTag(id, INTEGER);
  if (id.end - id.start < 1 || id.end - id.start > 4) throw new MalformedBerError('No message id.');
  if (operation === undefined || more.length > 0) throw new MalformedBerError('Not the parts of a message.');
  requireOperation(bytes, operation);
  if (controls !== undefined) requireControls(bytes, controls);
}

function requireOperation(bytes: Buffer, operation: Element): void {
  const parts = [...elementsBetween(bytes, operation.start, operation.end)];
  if (RESULTS.has(operation.tag)) requireResult(bytes, parts);
  else if (operation.tag === SEARCH_ENTRY) requireEntry(bytes, parts);
  else if (operation.tag === SEARCH_REFERENCE) requireAll(parts, OCTETS);
  else throw new MalformedBerError('An operation that no answer has.');
}

/** LDAPResult, RFC 4511 §4.1.9. */
function requireResult(bytes: Buffer, [code, matchedDn, message, ...extras]: readonly Element[]): void {
  requireTag(code, ENUMERATED);
  if (code.end - code.start !== 1) throw new MalformedBerError('No result code.');
  requireTag(matchedDn, OCTETS);
  requireTag(message, OCTETS);
  for (const extra of extras) {
    if (extra.tag === REFERRAL) requireAll([...elementsBetween(bytes, extra.start, extra.end)], OCTETS);
    else if (!RESULT_EXTRAS.has(extra.tag)) throw new MalformedBerError('Not the parts of a result.');
  }
}

/** SearchResultEntry, RFC 4511 §4.5.2. */
function requireEntry(bytes: Buffer, [name, attributes, ...more]: readonly Element[]): void {
  requireTag(name, OCTETS);
  requireTag(attributes, SEQUENCE);
  if (more.length > 0) throw new MalformedBerError('Not the parts of an entry.');
  for (const attribute of elementsBetween(bytes, attributes.start, attributes.end)) {
    requireTag(attribute, SEQUENCE);
    const [type, values, ...others] = elementsBetween(bytes, attribute.start, attribute.end);
    requireTag(type, OCTETS);
    requireTag(values, SET);
    if (others.length > 0) throw new MalformedBerError('Not the parts of an attribute.');
    requireAll([...elementsBetween(bytes, values.start, values.end)], OCTETS);
  }
}

/** Controls, RFC 4511 §4.1.11. */
function requireControls(bytes: Buffer, controls: Element): void {
  requireTag(controls, CONTROLS);
  for (const control of elementsBetween(bytes, controls.start, controls.end)) {
    requireTag(control, SEQUENCE);
    const [type, ...rest] = elementsBetween(bytes, control.start, control.end);
    requireTag(type, OCTETS);
    const tags = rest.map(({ tag }) => tag).join();
    if (!['', String(BOOLEAN), String(OCTETS), `${String(BOOLEAN)},${String(OCTETS)}`].includes(tags)) {
      throw new MalformedBerError('Not the parts of a control.');
    }
  }
}

function requireAll(elements: readonly Element[], tag: number): void {
  for (const element of elements) requireTag(element, tag);
}

function requireTag(element: Element | undefined, tag: number): asserts element is Element {
  if (element?.tag !== tag) throw new MalformedBerError('Not the tag that belongs here.');
}

/** StartTLS (RFC 4511 §4.14.1), as the first message of a connection. */
export function encodeStartTlsRequest(): Buffer {
  const id = encodeElement(INTEGER, Buffer.from([1]));
  return encodeElement(MESSAGE, id, encodeElement(EXTENDED_REQUEST, encodeElement(0x80, Buffer.from(START_TLS))));
}

/** The result code of an extended response; `null` when the message is something else. */
export function extendedResultOf(message: Buffer): number | null {
  const header = readHeader(message, 0, message.length);
  if (header === null) return null;
  const [, operation] = elementsBetween(message, header.start, header.end);
  if (operation?.tag !== EXTENDED_RESPONSE) return null;
  const [code] = elementsBetween(message, operation.start, operation.end);
  return code === undefined ? null : (message[code.start] ?? null);
}

/** The value of a password modify request, RFC 3062 §2. The new password is always ours: a generated one would come back damaged. */
export function encodePasswordModify(fields: { user: string | null; old: string | null; next: string }): Buffer {
  const { user, old, next } = fields;
  return encodeElement(
    SEQUENCE,
    ...(user === null ? [] : [encodeElement(0x80, Buffer.from(user))]),
    ...(old === null ? [] : [encodeElement(0x81, Buffer.from(old))]),
    encodeElement(0x82, Buffer.from(next)),
  );
}
