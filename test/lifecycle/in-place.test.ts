import fc from 'fast-check';
import { z } from 'zod/v4';
import { isJsonObject, type JsonObject, type JsonValue } from '../../src/json.ts';
import { encodeRecord, parseRecord, recordSchema, type CredentialRecord } from '../../src/lifecycle/credential.ts';
import { count, inPlaceReaderOf, instant } from '../../src/lifecycle/in-place.ts';
import { aValidRecord, NOW, secondsAfter } from '../support/record.ts';

/** A record in which as much as possible is something. */
const FULL: CredentialRecord = aValidRecord(3_600, {
  ...{ ownerId: 'o', scopeId: 's', tags: ['a', 'b'], health: 'healthy', healthChangedAt: NOW, learnedLifeMs: 5 },
  authorizations: [
    ...[{ authorizationId: 'h', kind: 'redirect', begunAt: NOW, expiresAt: NOW } as const].map((begun) => ({
      ...{ ...begun, sentAt: NOW, generation: 2, endedAt: null },
    })),
  ],
  next: { field: 'registered', generation: 1, attemptId: 'n' },
  previous: { field: 'registered', generation: 0, attemptId: 'p' },
  rotation: {
    ...{ state: 'overlapping', direction: 'forward', overlap: 'dual', reason: 'rotationRequested', attemptId: 'x' },
    ...{ candidate: 1, refusals: 0, failedTries: 2, startedAt: NOW, probedAt: NOW, rotatedAt: NOW, retireDueAt: NOW },
    grant: { field: 'grant', generation: 2, attemptId: 'y' },
    failure: { code: 'ERR_INTERNAL', message: 'm', at: NOW },
  },
  rotationPolicy: { rotateEveryMs: 1, rotationGraceMs: 0, window: { cron: '* * * * *', timeZone: 'UTC' } },
  ...{ grantExpiresAt: NOW, idleExpiresAt: NOW, secretExpiresAt: NOW, refreshDueAt: NOW, testDueAt: NOW },
  ...{ rotationDueAt: NOW, noticeDueAt: NOW, pausedAt: NOW, deletedAt: NOW, testEveryMs: 0, retryNotBefore: NOW },
  toldEnds: [{ end: 'token', endsAt: secondsAfter(NOW, 5), leadMs: 3 }],
  failure: { class: 'transient', code: 'ERR_ENDPOINT_UNAVAILABLE', message: 'down', at: NOW },
  ...{ notices: ['credential.failing'], lastRefreshedAt: NOW },
});

const read = inPlaceReaderOf(recordSchema);

function jsonOf(value: object): JsonObject {
  const json: unknown = JSON.parse(JSON.stringify(value));
  if (!isJsonObject(json)) throw new TypeError('Expected an object.');
  return json;
}

type Path = readonly (string | number)[];

/** Every place in a JSON value. */
function pathsOf(value: JsonValue, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, member]) => pathsOf(member, [...path, key]))];
}

/** The value with another one at a place; `undefined` takes away what is there. */
function withAt(value: JsonObject, [key, ...rest]: Path, put: JsonValue | undefined): JsonObject {
  if (key === undefined) return isJsonObject(put) ? put : value;
  const inner = value[key] ?? null;
  const replaced = rest.length === 0 || inner === null ? put : withAt(inner as JsonObject, rest, put);
  const next = Array.isArray(value) ? Object.assign([...value], { [key]: replaced }) : { ...value, [key]: replaced };
  return next as JsonObject;
}

/** Both readers of one text: they accept the same and make the same of it. */
function expectSame(schema: z.ZodObject, json: object): boolean {
  const text = JSON.stringify(json);
  const inPlace: unknown = JSON.parse(text);
  const accepted = inPlaceReaderOf(schema)(inPlace);
  const result = schema.safeParse(JSON.parse(text));
  expect(accepted).toBe(result.success);
  if (accepted) expect(inPlace).toStrictEqual(result.data);
  return accepted;
}

describe('reading a record in place', () => {
  it('makes of a record what zod makes of it', () => {
    expect(expectSame(recordSchema, FULL)).toBe(true);
    expect(expectSame(recordSchema, aValidRecord(60))).toBe(true);
    expect(parseRecord(encodeRecord(FULL))).toStrictEqual(FULL);
  });

  it('gives the very value that it was given, and leaves what is text', () => {
    const json: unknown = jsonOf(FULL);
    expect(read(json)).toBe(true);
    expect(json).toMatchObject({ issuedAt: NOW, rotation: { startedAt: NOW }, name: FULL.name });
  });

  it('takes nothing at any place that zod does not take there', () => {
    const record = jsonOf(FULL);
    const strange = [
      ...[undefined, null, true, 0, -1, 1.5, 2 ** 53, 7, '', 'x', 'grant', 'valid.fresh', [], {}, [null], [{}]],
      ...['2026-03-01T12:00:00.000Z', '2026-03-01T12:00:00Z', '2026-02-30T12:00:00.000Z', '2026-03-01', '1', ' '],
      ...['2026-03-01T12:00:00.000+01:00', '+012026-03-01T12:00:00.000Z', { __proto__: null }, { extra: 1 }],
    ];
    let refused = 0;
    for (const path of pathsOf(record).slice(1)) {
      for (const value of strange) if (!expectSame(recordSchema, withAt(record, path, value))) refused += 1;
    }
    expect(refused).toBeGreaterThan(1_500);
  });

  it('takes no unknown member, at any depth', () => {
    const record = jsonOf(FULL);
    for (const path of pathsOf(record)) {
      for (const key of ['extra', 'toString', 'constructor']) {
        expectSame(recordSchema, withAt(record, [...path, key], 'x'));
      }
    }
    const text = encodeRecord(FULL);
    expect(read(JSON.parse(text.replace('{', '{"__proto__":{"name":"x"},')))).toBe(false);
    expect(read(JSON.parse(text.replace('"name":', '"__proto__":')))).toBe(false);
    expect(read(jsonOf({ ...FULL, name: undefined, extra: 'x' }))).toBe(false);
  });

  it('agrees with zod on records that chance has changed', () => {
    const record = jsonOf(FULL);
    const paths = pathsOf(record).slice(1);
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        expectSame(recordSchema, withAt(record, path, value as JsonValue));
      }),
    );
  });
});

describe('reading other schemas in place', () => {
  it('asks zod where something is refined, formatted, transformed or not strict', () => {
    const schema = z.strictObject({
      short: z.string().max(2),
      trimmed: z.string().trim(),
      mail: z.email(),
      day: z.iso.date(),
      coerced: z.coerce.number(),
      positive: z.int().positive(),
      few: z.array(z.string()).max(1),
      even: count.refine((value) => value % 2 === 0),
      none: z
        .string()
        .nullable()
        .refine((value) => value !== 'no'),
      word: z.enum(['a', 'b']).refine((value) => value === 'a'),
      loose: z.object({ at: instant }),
    });
    const good = {
      ...{ short: 'ab', trimmed: ' a ', mail: 'a@b.example', day: '2026-03-01', coerced: '5', positive: 1, few: ['a'] },
      ...{ even: 2, none: null, word: 'a', loose: { at: NOW.toISOString(), extra: 1 } },
    };
    expect(expectSame(schema, good)).toBe(true);
    const bad = { short: 'abc', mail: 'a', day: '2026-02-30', coerced: 'x', positive: 0, few: ['a', 'b'], even: 1 };
    for (const [key, value] of Object.entries({ ...bad, none: 'no', word: 'b', loose: { at: 'x' } })) {
      expect(expectSame(schema, { ...good, [key]: value })).toBe(false);
    }
  });

  it('is in doubt about what a default would stand for', () => {
    const schema = z.strictObject({ at: instant.nullable().default(null), note: z.string().optional() });
    const reads = inPlaceReaderOf(schema);
    expect(reads({ at: null, note: 'x' })).toBe(true);
    expect(reads({ note: 'x' })).toBe(false);
    expect(reads({ at: null })).toBe(false);
    expect(reads({ at: null, extra: 'x' })).toBe(false);
  });

  it('is for strict objects alone', () => {
    expect(() => inPlaceReaderOf(z.object({ at: instant }))).toThrow(TypeError);
    expect(() => inPlaceReaderOf(z.strictObject({ at: instant }).refine(() => true))).toThrow(TypeError);
  });
});
