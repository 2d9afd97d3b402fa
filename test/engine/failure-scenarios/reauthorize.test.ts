import type { CredentialEngine } from '../../../src/engine.ts';
import { systemFetch, type Fetch } from '../../../src/ports.ts';
import { OidcServer } from '../../servers/oidc.ts';
import { TestClock } from '../../support/clock.ts';
import { openEngine, temporaryFolder } from '../../support/engine.ts';
import { eventually } from '../../support/eventually.ts';
import { openDatabase, type SeenDatabase } from '../support/database.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { PEOPLES_CLIENTS, personsEntry, walkThrough } from '../support/sign-in.ts';

let server: OidcServer;
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;
let engine: CredentialEngine;
let other: CredentialEngine;
let database: SeenDatabase;
/** Answers of the token endpoint, oldest first. */
let issued: { access_token: string; refresh_token: string }[];

const fetch: Fetch = async (url, init) => {
  const response = await systemFetch(url, init);
  if (url.endsWith('/token') && response.ok) issued.push((await response.clone().json()) as (typeof issued)[0]);
  return response;
};

beforeAll(async () => {
  server = await OidcServer.start({ clients: PEOPLES_CLIENTS });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  folder = temporaryFolder();
  issued = [];
  clock = new TestClock();
  engine = await openEngine(folder.path, { ports: { clock, fetch } });
  other = await openEngine(folder.path, { ports: { clock, fetch } });
  database = openDatabase(folder.path);
});

afterEach(async () => {
  await server.set({ holdNext: false, dropAnswers: 0 });
  await server.release();
  await engine.close();
  await other.close();
  database.close();
  folder.dispose();
});

/** Longer than a dead process keeps its claim. */
const LEASE_MS = 6_000;
jest.setTimeout(30_000);

async function signedIn(): Promise<string> {
  const { id } = await engine.register(personsEntry(server));
  await engine.reauthorize(id, { callbackUrl: await walkThrough(engine, id) });
  return id;
}

/** Makes the work's token request wait at the server until `end`; the next one is answered at once. */
async function heldUp<T>(work: () => Promise<T>): Promise<{ end: () => Promise<T> }> {
  await server.set({ holdNext: true });
  const outcome = work();
  outcome.catch(() => undefined);
  await eventually(async () => (await server.waiting()) === 1);
  return {
    end: async () => {
      await server.release();
      return outcome;
    },
  };
}

describe.each<[string, () => CredentialEngine]>([
  ['this engine', () => engine],
  ['another engine', () => other],
])('a person signs in again while a refresh by %s is in flight', (_sentence, by) => {
  it('F06 the old refresh does not overwrite the new grant', async () => {
    const id = await signedIn();
    const callbackUrl = await walkThrough(engine, id);
    const refreshing = await heldUp(() => by().refresh(id));
    expect((await engine.reauthorize(id, { callbackUrl })).credential).toMatchObject({ generation: 2 });
    const granted = issued.at(-1)?.access_token ?? '';
    await refreshing.end();
    // The refresh was answered, later than the sign-in.
    expect([issued.length, issued.at(-1)?.access_token === granted]).toEqual([3, false]);
    expect(await engine.get(id)).toMatchObject({ state: 'valid.fresh', reason: 'authorized', generation: 2 });
    expect((await by().use(id)).headers['authorization']).toBe(`Bearer ${granted}`);
    expect(await by().refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 3, failure: null });
  });

  it('F06 the invalid_grant of the old refresh does not mark the new grant dead', async () => {
    const id = await signedIn();
    const callbackUrl = await walkThrough(engine, id);
    const refreshing = await heldUp(() => by().refresh(id));
    await server.endRefreshToken(issued[0]?.refresh_token ?? '');
    await engine.reauthorize(id, { callbackUrl });
    await refreshing.end();
    expect((await server.requests()).at(-1)).toMatchObject({ grantType: 'refresh_token', error: 'invalid_grant' });
    expect(await engine.get(id)).toMatchObject({ state: 'valid.fresh', reason: 'authorized', failure: null });
    const { events } = await engine.readEvents(0);
    expect(events.map(({ type }) => type)).not.toContain('refresh.failed');
    expect(await by().refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 3 });
  });
});

it('F06 a sign-in settles a refresh whose answer was lost, and the spent token is not presented again', async () => {
  const id = await signedIn();
  const callbackUrl = await walkThrough(engine, id);
  await server.set({ dropAnswers: 1 });
  expect(await engine.refresh(id)).toMatchObject({ state: 'refreshing.ambiguous' });
  await engine.reauthorize(id, { callbackUrl });
  expect(await engine.get(id)).toMatchObject({ state: 'valid.fresh', generation: 2, failure: null });
  expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 3 });
  expect((await server.requests()).slice(-2).map(({ status }) => status)).toEqual([200, 200]);
});

it('F08 what a sign-in brings after a revocation is revoked at the server and not stored', async () => {
  const { id } = await engine.register(personsEntry(server));
  const callbackUrl = await walkThrough(engine, id);
  const answer = await heldUp(() => engine.reauthorize(id, { callbackUrl }));
  await other.revoke(id);
  await expect(answer.end()).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
  expect(issued).toHaveLength(1);
  expect(await server.isActive(issued[0]?.access_token ?? '')).toBe(false);
  expect(await server.isActive(issued[0]?.refresh_token ?? '')).toBe(false);
  expect([database.secretsOf(id), (await engine.get(id)).state]).toEqual([[], 'revoked.byUser']);
});

describe('a process is killed in a sign-in', () => {
  /** Kills a process after its code has left and before the answer has come. */
  async function killedInExchange(id: string, callbackUrl: string): Promise<void> {
    const victim = await EngineProcess.start(folder.path);
    await heldUp(() => victim.ask('reauthorize', id, { callbackUrl }));
    await victim.kill();
    await server.release();
    clock.advance(LEASE_MS);
  }

  it('F13 between callback and save: the code is spent, and that is what is said', async () => {
    const { id } = await engine.register(personsEntry(server));
    const callbackUrl = await walkThrough(engine, id);
    await killedInExchange(id, callbackUrl);
    await expect(engine.use(id)).rejects.toMatchObject({ code: 'ERR_AUTHORIZATION_INTERRUPTED' });
    expect(await engine.get(id)).toMatchObject({
      ...{ state: 'pending.authorizing', reason: 'authorizationInterrupted', dueAt: null },
      failure: { class: 'permanent', code: 'ERR_AUTHORIZATION_INTERRUPTED' },
    });
    await expect(engine.reauthorize(id, { callbackUrl })).rejects.toMatchObject({ code: 'ERR_AUTHORIZATION_REPLAYED' });
    const again = await walkThrough(engine, id);
    expect((await engine.reauthorize(id, { callbackUrl: again })).credential).toMatchObject({ state: 'valid.fresh' });
  });

  it('F13 a keeper finds it by itself', async () => {
    const { id } = await engine.register(personsEntry(server));
    await killedInExchange(id, await walkThrough(engine, id));
    const keeper = await openEngine(folder.path, { ports: { clock }, keeper: true });
    await eventually(async () => (await keeper.get(id)).reason === 'authorizationInterrupted');
    await keeper.close();
  });

  it('F13 the grant from before goes on', async () => {
    const id = await signedIn();
    await killedInExchange(id, await walkThrough(engine, id));
    expect(await engine.use(id)).toMatchObject({ generation: 1 });
    expect(await engine.refresh(id)).toMatchObject({ state: 'valid.fresh', generation: 2, failure: null });
  });

  it('F13 after the answer was sealed: it is only pointed at', async () => {
    const { id } = await engine.register(personsEntry(server));
    const callbackUrl = await walkThrough(engine, id);
    database.execute(`CREATE TRIGGER stop BEFORE UPDATE ON records WHEN new.record ->> 'generation' = 1
      BEGIN SELECT RAISE(ABORT, 'no room'); END`);
    await expect(engine.reauthorize(id, { callbackUrl })).rejects.toMatchObject({ name: 'StorageError' });
    await engine.close();
    clock.advance(LEASE_MS);
    database.execute('DROP TRIGGER stop');
    expect(await other.use(id)).toMatchObject({
      headers: { authorization: `Bearer ${issued[0]?.access_token ?? ''}` },
    });
    expect(await other.get(id)).toMatchObject({ state: 'valid.fresh', reason: 'authorized', generation: 1 });
    expect(issued).toHaveLength(1);
  });
});

it('F13 an answer that is lost on the way is told as such', async () => {
  const { id } = await engine.register(personsEntry(server));
  const callbackUrl = await walkThrough(engine, id);
  await server.set({ dropAnswers: 1 });
  await expect(engine.reauthorize(id, { callbackUrl })).rejects.toMatchObject({
    code: 'ERR_AUTHORIZATION_INTERRUPTED',
  });
  expect(await engine.get(id)).toMatchObject({ state: 'pending.authorizing', reason: 'authorizationInterrupted' });
});
