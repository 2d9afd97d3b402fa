import { z } from 'zod/v4';
import { isPlainObject } from '../json.ts';

/** ISO 8601 in UTC, as `JSON.stringify` writes a date. */
const instantText = z.iso.datetime();
/** An instant. Of instants and counts only these two schemas are read without zod. */
export const instant = instantText.transform((text) => new Date(text));
/** How many: 0, 1, 2 … */
export const count = z.int().nonnegative();

const DOUBT = Symbol('doubt');
type Reader = (value: unknown) => unknown;

/**
 * Reads what was parsed from JSON as `schema` does, at a fraction of the cost: members that become something else are
 * replaced where they are, so that nothing is built anew. It only ever says yes: after `false` zod has to be asked, and with a value
 * that was parsed anew, since part of this one may be replaced.
 *
 * Read here is what records are full of: strict objects, arrays, `nullable`, texts, booleans, literals, words of a list,
 * `instant` and `count`, as far as nothing is refined. Each other member is read by zod itself.
 *
 * @throws TypeError when `schema` is no strict object without refinements
 */
export function inPlaceReaderOf<S extends z.ZodObject>(schema: S): (value: unknown) => value is z.output<S> {
  if (!isStrictObject(schema)) throw new TypeError('Expected a strict object without refinements.');
  const read = readerOf(schema);
  return (value): value is z.output<S> => read(value) !== DOUBT;
}

function readerOf(schema: unknown): Reader {
  if (schema === instant) return readInstant;
  if (schema === count) return readCount;
  if (!(schema instanceof z.ZodType)) throw new TypeError('Expected a schema.');
  return hasChecks(schema) ? byZod(schema) : plainReaderOf(schema);
}

function plainReaderOf(schema: z.ZodType): Reader {
  if (isStrictObject(schema)) {
    return strictObject(Object.entries(schema.shape).map(([key, member]) => [key, readerOf(member)]));
  }
  // Its default stands for what is missing, and that is in doubt.
  if (schema instanceof z.ZodDefault) return readerOf(schema.def.innerType);
  if (schema instanceof z.ZodNullable) return nullable(readerOf(schema.def.innerType));
  if (schema instanceof z.ZodArray) return array(readerOf(schema.element));
  if (schema instanceof z.ZodEnum) return oneOf(new Set<unknown>(schema.options));
  if (schema instanceof z.ZodLiteral) return oneOf(schema.values);
  if (schema instanceof z.ZodString) return readText;
  if (schema instanceof z.ZodBoolean) return readBoolean;
  return byZod(schema);
}

function isStrictObject(schema: z.ZodType): schema is z.ZodObject {
  return schema instanceof z.ZodObject && schema.def.catchall instanceof z.ZodNever && !hasChecks(schema);
}

function hasChecks({ def }: z.ZodType): boolean {
  return def.checks !== undefined && def.checks.length > 0;
}

const readText: Reader = (value) => (typeof value === 'string' ? value : DOUBT);
const readBoolean: Reader = (value) => (typeof value === 'boolean' ? value : DOUBT);
const readCount: Reader = (value) => (Number.isSafeInteger(value) && Number(value) >= 0 ? value : DOUBT);
const readInstant: Reader = (value) =>
  typeof value === 'string' && instantText.def.pattern?.test(value) === true ? new Date(value) : DOUBT;

function byZod(schema: z.ZodType): Reader {
  return (value) => {
    const result = schema.safeParse(value);
    return result.success ? result.data : DOUBT;
  };
}

function nullable(read: Reader): Reader {
  return (value) => (value === null ? null : read(value));
}

function oneOf(words: ReadonlySet<unknown>): Reader {
  return (value) => (words.has(value) ? value : DOUBT);
}

function array(read: Reader): Reader {
  return (value) => {
    if (!Array.isArray(value)) return DOUBT;
    const members: unknown[] = value;
    for (const [index, before] of members.entries()) {
      const member = read(before);
      if (member === DOUBT) return DOUBT;
      members[index] = member;
    }
    return members;
  };
}

/** A member that is missing is in doubt, and one that is unknown shows by the count. */
function strictObject(members: readonly (readonly [string, Reader])[]): Reader {
  return (value) => {
    if (!isPlainObject(value) || Object.keys(value).length !== members.length) return DOUBT;
    for (const [key, read] of members) {
      const before = value[key];
      const member = before === undefined ? DOUBT : read(before);
      if (member === DOUBT) return DOUBT;
      if (member !== before) value[key] = member;
    }
    return value;
  };
}
