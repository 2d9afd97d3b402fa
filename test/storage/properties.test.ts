import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { isCredentialError } from '../../src/errors.ts';
import type { CredentialRecord, StatePath } from '../../src/lifecycle/credential.ts';
import { eventOf } from '../../src/lifecycle/events.ts';
import { silentLogger, systemFetch, systemRandom, type Ports } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { AuthStorage } from '../../src/sessions/auth-storage.ts';
import { MemoryAuthRows } from '../../src/sessions/memory-rows.ts';
import { openAuthStorage } from '../../src/sessions/open.ts';
import { openStores } from '../../src/storage/open.ts';
import type { Claim, RecordFilter } from '../../src/storage/record-store.ts';
import type { SecretFilter } from '../../src/storage/secret-store.ts';
import type { Stores } from '../../src/storage/stores.ts';
import { aSession, aToken } from '../conformance/auth-storage.ts';
import { PostgresServer } from '../servers/postgres.ts';
import { temporaryFolder } from '../support/folder.ts';
import { aRecord, NOW, secondsAfter } from '../support/record.ts';
import { SteppedClock } from '../support/stepped-clock.ts';

const RUNS = 25;
const LEASE_MS = 3_600_000;
const TIMEOUT_MS = 180_000;

let server: PostgresServer;
beforeAll(async () => {
  server = await PostgresServer.start();
}, 60_000);
afterAll(() => server.stop());

const clock = new SteppedClock();
const ports: Ports = { clock, random: systemRandom, fetch: systemFetch, logger: silentLogger };

/** Opens one subject per driver, each on a database that nobody has used. */
async function onEachDriver<T extends { close(): Promise<void> }>(
  open: (database: string) => Promise<T>,
  work: (subjects: T[]) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder();
  const subjects: T[] = [];
  try {
    for (const database of ['memory', join(folder.path, 'c.db'), server.freshUrl()])
      subjects.push(await open(database));
    await work(subjects);
  } finally {
    await Promise.all(subjects.map((subject) => subject.close()));
    folder.dispose();
  }
}

/** What an operation answers, errors of the catalogue and misuse included. */
async function answerOf(operation: () => Promise<unknown>): Promise<unknown> {
  try {
    return await operation();
  } catch (error) {
    if (isCredentialError(error)) return { error: error.code };
    if (error instanceof TypeError) return { error: 'TypeError' };
    throw error;
  }
}

/** Runs a course of operations on all drivers side by side; after each step all must have answered the same. */
async function compare<Subject, Operation>(
  subjects: readonly Subject[],
  course: readonly Operation[],
  run: (subject: Subject, operation: Operation) => Promise<unknown>,
): Promise<void> {
  for (const [step, operation] of course.entries()) {
    const [reference, ...others] = await Promise.all(
      subjects.map((subject) => answerOf(() => run(subject, operation))),
    );
    for (const other of others)
      expect({ step, operation, answer: other }).toEqual({ step, operation, answer: reference });
  }
}

/** Mostly texts that are kept, so that a course gets far; now and then one that is refused. */
const text = (kept: readonly string[], refused: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 40, arbitrary: fc.constantFrom(...kept) }, { weight: 1, arbitrary: fc.constantFrom(...refused) });
const WORDS = ['git', 'GitHub', 'prod', 'Próduction', '日本', '\u{1F511}', 'a\u{10FFFF}', '', 'x_%', "o'", '\uFFEE'];
const word = text(WORDS, ['\0', '\uD800']);
const id = text(['a', 'B', 'ä', '\u{1F511}', '\uFFEE', '__proto__'], ['', 'z\0']);
const instant = fc.option(fc.integer({ min: -5, max: 5 }).map((seconds) => secondsAfter(NOW, seconds)));
const state = fc.constantFrom<StatePath>('valid.fresh', 'expired.needsUser', 'refreshing.sent');
const record: fc.Arbitrary<CredentialRecord> = fc
  .record({
    id,
    state,
    name: fc.array(word, { maxLength: 3 }).map((words) => words.join(' ')),
    protocol: word,
    ownerId: fc.option(word),
    scopeId: fc.option(word),
    tags: fc.array(word, { maxLength: 3 }),
    refreshDueAt: instant,
    expiresAt: instant,
  })
  .map((fields) => aRecord(fields));
const filters: fc.Arbitrary<RecordFilter> = fc.record(
  {
    ownerId: word,
    protocol: word,
    scopeId: word,
    state: fc.constantFrom('valid', 'expired'),
    tags: fc.array(word, { maxLength: 2 }),
    name: word,
    dueBefore: instant.map((at) => at ?? NOW),
    expiringBefore: instant.map((at) => at ?? NOW),
    limit: fc.integer({ min: 0, max: 4 }),
  },
  { requiredKeys: [] },
);

/** All together, some of them, or none but a page size. */
const filter = fc.oneof(
  filters,
  filters.map(({ limit = 3 }) => ({ limit })),
  filters.map(({ name = 'g' }) => ({ name, limit: 2 })),
);

type RecordOperation = readonly [name: string, run: (subject: RecordSubject) => Promise<unknown>];
/** A store, with the claims that it gave out: each driver is handed back its own. */
interface RecordSubject extends Stores {
  readonly claims: Claim[];
  close(): Promise<void>;
}

const remember = ({ claims }: RecordSubject, given: readonly (Claim | null)[]): unknown => {
  claims.push(...given.filter((claim) => claim !== null));
  return given.map((claim) => claim && [claim.credentialId, claim.fence]);
};
const claimOf = (subject: RecordSubject, index: number): Claim =>
  subject.claims[index % Math.max(subject.claims.length, 1)] ?? { credentialId: 'none', owner: 'o', fence: 1 };

async function everyPage(list: (cursor?: string) => Promise<{ nextCursor: string | null }>): Promise<unknown> {
  const pages: unknown[] = [];
  for (let cursor: string | null | undefined; cursor !== null && pages.length < 20;) {
    const page: { nextCursor: string | null } = await list(cursor);
    cursor = page.nextCursor;
    pages.push(page);
  }
  return pages;
}

const recordOperation: fc.Arbitrary<RecordOperation> = fc.oneof(
  {
    weight: 5,
    arbitrary: record.map((value): RecordOperation => [
      `insert ${value.id}`,
      ({ records }) => records.insert(value, [eventOf('credential.registered', value, value.name)]),
    ]),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(record, fc.nat(3), fc.boolean()).map(([value, index, fenced]): RecordOperation => [
      `write ${value.id}`,
      async (subject) => {
        const before = await subject.records.get(value.id);
        const expectedRevision = before?.revision ?? 1;
        const claim = claimOf(subject, index);
        return subject.records.compareAndSet({
          record: { ...value, revision: expectedRevision + 1 },
          expectedRevision,
          events: [eventOf('credential.refreshed', value, value.name)],
          ...(fenced && { claim, release: claim }),
        });
      },
    ]),
  },
  fc
    .tuple(id, fc.integer({ min: 1, max: 3 }))
    .map(([name, revision]): RecordOperation => [`delete ${name}`, ({ records }) => records.delete(name, revision)]),
  {
    weight: 6,
    arbitrary: filter.map((value): RecordOperation => [
      `list ${JSON.stringify(value)}`,
      ({ records }) => everyPage((cursor) => records.list({ ...value, ...(cursor !== undefined && { cursor }) })),
    ]),
  },
  id.map((name): RecordOperation => [`get ${name}`, ({ records }) => records.get(name)]),
  id.map((name): RecordOperation => [
    `claim ${name}`,
    async (subject) => remember(subject, [await subject.records.claim(name, 'o', LEASE_MS)]),
  ]),
  fc
    .record({ limit: fc.integer({ min: 1, max: 3 }) })
    .map((which): RecordOperation => [
      `claim ${JSON.stringify(which)} due`,
      async (subject) =>
        remember(subject, await subject.records.claimDue({ ...which, owner: 'o', leaseMs: LEASE_MS, now: NOW })),
    ]),
  fc
    .nat(3)
    .map((index): RecordOperation => [
      `renew ${String(index)}`,
      (subject) => subject.records.renewClaim(claimOf(subject, index), LEASE_MS),
    ]),
  fc
    .nat(3)
    .map((index): RecordOperation => [
      `release ${String(index)}`,
      (subject) => subject.records.releaseClaim(claimOf(subject, index)),
    ]),
  fc.constant<RecordOperation>([
    'read all events',
    async ({ records }) => (await records.readEvents(0, 1_000)).events.map(({ eventId }) => eventId),
  ]),
  fc.constant<RecordOperation>([
    'count',
    async ({ records }) => [await records.countByState(), await records.nextDueAt()],
  ]),
  fc
    .tuple(word, instant)
    .map(([key, at]): RecordOperation => [`consume ${key}`, ({ records }) => records.consumeOnce(key, at ?? NOW)]),
  fc.constant<RecordOperation>(['forget', ({ records }) => records.forgetConsumed(NOW)]),
  fc
    .tuple(id, word)
    .map(([credentialId, kind]): RecordOperation => [
      `notice ${credentialId} ${kind}`,
      async ({ records }) => [
        await records.openNotice({ credentialId, kind, eventId: 'e', openedAt: NOW }),
        await records.listNotices(credentialId),
      ],
    ]),
  fc
    .tuple(id, word)
    .map(([credentialId, kind]): RecordOperation => [
      `no notice ${credentialId} ${kind}`,
      ({ records }) => records.closeNotice(credentialId, kind),
    ]),
);

it(
  'records: random courses of operations get the same answers from memory, SQLite and PostgreSQL',
  async () => {
    const open = async (database: string): Promise<RecordSubject> => {
      const stores = await openStores(database, ports);
      return { ...stores, claims: [], close: () => stores.records.close() };
    };
    await fc.assert(
      fc.asyncProperty(fc.array(recordOperation, { minLength: 20, maxLength: 60 }), (course) =>
        onEachDriver(open, (subjects) => compare(subjects, course, (subject, [, run]) => run(subject))),
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  TIMEOUT_MS,
);

type SecretOperation = readonly [name: string, run: (subject: Stores) => Promise<unknown>];
const secretKey = fc
  .tuple(id, fc.nat(2), fc.constantFrom('registered' as const, 'grant' as const))
  .map(([credentialId, generation, field]) => ({ credentialId, field, generation, attemptId: 'a' }));
const label = fc.record({
  ownerId: fc.option(word),
  scopeId: fc.option(word),
  protocol: word,
  tags: fc.array(word, { maxLength: 2 }),
  expiresAt: instant,
  createdAt: fc.constant(NOW),
  updatedAt: fc.constant(NOW),
});
const secretFilter: fc.Arbitrary<SecretFilter> = fc.record(
  {
    credentialId: id,
    ownerId: word,
    scopeId: word,
    protocol: word,
    tags: fc.array(word, { maxLength: 2 }),
    expiringBefore: instant.map((at) => at ?? NOW),
    limit: fc.integer({ min: 1, max: 4 }),
  },
  { requiredKeys: [] },
);
const secretOperation: fc.Arbitrary<SecretOperation> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(secretKey, fc.uint8Array({ maxLength: 4 }), fc.option(label))
      .map(([key, bytes, metadata]): SecretOperation => [
        `put ${JSON.stringify(key)}`,
        ({ secrets }) => secrets.putIfAbsent(key, Buffer.from(bytes), metadata ?? undefined),
      ]),
  },
  {
    weight: 3,
    arbitrary: secretFilter.map((value): SecretOperation => [
      `list ${JSON.stringify(value)}`,
      ({ secrets }) =>
        everyPage((cursor) => secrets.listMetadata({ ...value, ...(cursor !== undefined && { cursor }) })),
    ]),
  },
  fc
    .tuple(secretKey, label)
    .map(([key, metadata]): SecretOperation => [
      `label ${JSON.stringify(key)}`,
      ({ secrets }) => secrets.updateMetadata(key, metadata),
    ]),
  secretKey.map((key): SecretOperation => [`get ${JSON.stringify(key)}`, ({ secrets }) => secrets.get(key)]),
  secretKey.map((key): SecretOperation => [`delete ${JSON.stringify(key)}`, ({ secrets }) => secrets.delete(key)]),
  id.map((name): SecretOperation => [`names of ${name}`, ({ secrets }) => secrets.list(name)]),
);

it(
  'secrets: random courses of operations get the same answers from memory, SQLite and PostgreSQL',
  async () => {
    const open = async (database: string): Promise<Stores & { close(): Promise<void> }> => {
      const stores = await openStores(database, ports);
      return { ...stores, close: () => stores.records.close() };
    };
    await fc.assert(
      fc.asyncProperty(fc.array(secretOperation, { minLength: 10, maxLength: 40 }), (course) =>
        onEachDriver(open, (subjects) => compare(subjects, course, (subject, [, run]) => run(subject))),
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  TIMEOUT_MS,
);

type AuthOperation = readonly [name: string, run: (storage: AuthStorage) => Promise<unknown>];
const hash = (purpose: string, text: string): Buffer => createHmac('sha256', purpose).update(text).digest();
const options = fc.option(fc.integer({ min: 1, max: 5 })).map((s) => (s === null ? {} : { ttlMs: s * 1_000 }));
const token = fc
  .record({ tokenId: id, userId: word, accessToken: word.map((text) => Secret.of(text)), life: fc.option(fc.nat(5)) })
  .map(({ life, ...facts }) => ({ facts, life }));
const authOperation: fc.Arbitrary<AuthOperation> = fc.oneof(
  fc.tuple(token, options, fc.boolean()).map(([{ facts, life }, ttl, isUpdate]): AuthOperation => [
    `${isUpdate ? 'update' : 'put'} token ${facts.tokenId}`,
    (storage) => {
      const expiresAt = life === null ? null : secondsAfter(clock.now(), life);
      const { tokenId, ...rest } = facts;
      const value = aToken(tokenId, { ...rest, expiresAt });
      return isUpdate ? storage.tokens.update(value, ttl) : storage.tokens.put(value, ttl);
    },
  ]),
  word.map((text): AuthOperation => [
    `token by ${text}`,
    (storage) => storage.tokens.getByAccessToken(Secret.of(text)),
  ]),
  id.map((name): AuthOperation => [
    `tokens ${name}`,
    async (storage) => [await storage.tokens.get(name), await storage.sessions.get(name)],
  ]),
  word.map((user): AuthOperation => [
    `user ${user}`,
    async (storage) => [await storage.tokens.listByUser(user), await storage.sessions.listByUser(user)],
  ]),
  fc
    .tuple(id, word, options)
    .map(([name, userId, ttl]): AuthOperation => [
      `start ${name}`,
      (storage) => storage.sessions.start(aSession(name, { userId, expiresAt: null }), ttl),
    ]),
  fc
    .tuple(id, options)
    .map(([name, ttl]): AuthOperation => [`touch ${name}`, (storage) => storage.sessions.touch(name, ttl)]),
  id.map((name): AuthOperation => [
    `delete ${name}`,
    async (storage) => [
      await storage.tokens.delete(name),
      await storage.sessions.end(name),
      await storage.keyValues.delete(name),
    ],
  ]),
  fc
    .tuple(word, word, options)
    .map(([key, value, ttl]): AuthOperation => [
      `put ${key}`,
      (storage) => storage.keyValues.put(key, Buffer.from(value), ttl),
    ]),
  fc
    .tuple(word, fc.integer({ min: 1, max: 3 }))
    .map(([prefix, limit]): AuthOperation => [
      `keys ${prefix}`,
      (storage) =>
        everyPage((cursor) => storage.keyValues.listKeys(prefix, { limit, ...(cursor !== undefined && { cursor }) })),
    ]),
  fc.constant<AuthOperation>([
    'report',
    async (storage) => [await storage.auditReport(), await storage.tokenAges(), await storage.sessionAges()],
  ]),
  fc.constant<AuthOperation>(['clean up', (storage) => storage.cleanUp()]),
);
const authCourse = fc.array(fc.tuple(authOperation, fc.nat(2_000)), { minLength: 10, maxLength: 40 });

it(
  'auth storage: random courses of operations and waits get the same answers and events from memory, SQLite and PostgreSQL',
  async () => {
    const open = async (
      database: string,
    ): Promise<{ storage: AuthStorage; events: unknown[]; close(): Promise<void> }> => {
      const events: unknown[] = [];
      const onEvent = (event: unknown): unknown => events.push(event);
      const storage =
        database === 'memory'
          ? new AuthStorage({ rows: new MemoryAuthRows(), ports, hash, onEvent })
          : await openAuthStorage(database, { ports, hash, onEvent });
      return { storage, events, close: () => storage.close() };
    };
    await fc.assert(
      fc.asyncProperty(authCourse, (course) =>
        onEachDriver(open, async (subjects) => {
          for (const [operation, waitMs] of course) {
            await clock.advance(waitMs);
            await compare(subjects, [operation], async ({ storage, events }, [, run]) => ({
              answer: await answerOf(() => run(storage)),
              events: events
                .splice(0)
                .map((event) => JSON.stringify(event))
                .sort(),
            }));
          }
        }),
      ),
      { numRuns: RUNS, endOnFailure: true },
    );
  },
  TIMEOUT_MS,
);
