import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** A secret that is planted and must be found nowhere. */
export function newCanary(): string {
  return `canary-${randomBytes(12).toString('base64url')}-end`;
}

/** What a canary looks like in other clothes; base64 in each of the three positions that a value can have in a longer text. */
export function disguisesOf(canary: string): ReadonlyMap<string, Buffer> {
  const bytes = Buffer.from(canary, 'utf8');
  const utf16 = Buffer.from(canary, 'utf16le');
  const disguises = new Map<string, Buffer>([
    ['raw', bytes],
    ['hex', Buffer.from(bytes.toString('hex'))],
    ['upper-case hex', Buffer.from(bytes.toString('hex').toUpperCase())],
    ['UTF-16 little-endian', utf16],
    ['UTF-16 big-endian', Buffer.from(utf16).swap16()],
    ['reversed', Buffer.from(bytes).reverse()],
  ]);
  for (const encoding of ['base64', 'base64url'] as const) {
    for (let before = 0; before < 3; before += 1) {
      const text = Buffer.concat([Buffer.alloc(before), bytes, Buffer.alloc(3)]).toString(encoding);
      // Without the characters that the neighbours have a part in.
      const certain = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
      disguises.set(`${encoding} after ${String(before)} bytes`, Buffer.from(certain));
    }
  }
  return disguises;
}

/** Where any of the canaries shows, as `file: disguise of canary number`. */
export function findCanaries(canaries: readonly string[], haystacks: ReadonlyMap<string, Buffer>): string[] {
  const found: string[] = [];
  for (const [place, bytes] of haystacks) {
    for (const [index, canary] of canaries.entries()) {
      for (const [disguise, needle] of disguisesOf(canary)) {
        if (bytes.includes(needle)) found.push(`${place}: ${disguise} of canary ${String(index)}`);
      }
    }
  }
  return found;
}

/** Every file below a folder, by its path within it. */
export function filesBelow(folder: string): Map<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(folder, name))]));
}
