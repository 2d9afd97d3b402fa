/**
 * Every text under which a secret may lie in bytes: as it is, percent-encoded, as JSON, in hexadecimal, and in base64 at any of
 * its three alignments.
 */
export function tracesOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  const plain = [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1), hex, hex.toUpperCase()];
  const base64 = [0, 1, 2].flatMap((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    // Without the characters that bytes before and after it would change.
    const inner = text.slice(shift === 0 ? 0 : shift + 1, Math.floor(((shift + bytes.length) * 8) / 6));
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [...new Set([...plain, ...base64])];
}

/** The names of those places in which one of the secrets has left a trace. */
export function findTraces(secrets: readonly string[], places: ReadonlyMap<string, Buffer | string>): string[] {
  const traces = secrets.flatMap(tracesOf);
  return [...places].filter(([, content]) => traces.some((trace) => content.includes(trace))).map(([name]) => name);
}
