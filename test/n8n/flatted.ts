/**
 * Decodes the "flatted" JSON in which n8n answers with execution data: an array whose strings, objects and arrays refer to each
 * other by index, so that a value that occurs twice is stored once.
 */
export function decodeFlatted(text: string): unknown {
  const table: unknown = JSON.parse(text);
  if (!Array.isArray(table)) throw new TypeError('flatted JSON is an array');
  const entries: readonly unknown[] = table;
  const decoded = new Map<number, unknown>();

  function follow(value: unknown): unknown {
    return typeof value === 'string' ? entryAt(Number(value)) : value;
  }
  function entryAt(index: number): unknown {
    if (decoded.has(index)) return decoded.get(index);
    const entry = entries[index];
    if (typeof entry !== 'object' || entry === null) return entry;
    // Remembered before it is filled: entries may refer to each other in a circle.
    if (Array.isArray(entry)) {
      const list: unknown[] = [];
      decoded.set(index, list);
      for (const value of entry) list.push(follow(value));
      return list;
    }
    const object: Record<string, unknown> = {};
    decoded.set(index, object);
    for (const [key, value] of Object.entries(entry)) object[key] = follow(value);
    return object;
  }
  return entryAt(0);
}
