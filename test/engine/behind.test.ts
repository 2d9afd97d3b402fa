import { join } from 'node:path';
import type { CredentialEngine } from '../../src/engine.ts';
import { openSqlite } from '../../src/storage/sqlite.ts';
import type { Stores } from '../../src/storage/stores.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { openEngine, rotatingEntry, temporaryFolder } from '../support/engine.ts';
import { openDatabase } from './support/database.ts';

let server: AuthorizationServer;
let folder: ReturnType<typeof temporaryFolder>;
let clock: TestClock;

beforeAll(async () => {
  server = await startAuthorizationServer({ reuseGraceMs: 0 });
});

afterAll(async () => {
  await server.stop();
});

beforeEach(() => {
  folder = temporaryFolder();
  clock = new TestClock();
});

afterEach(() => {
  folder.dispose();
});

/** An engine on stores of which one method is another one. */
async function engineOn(change: (stores: Stores) => { records?: object; secrets?: object }): Promise<CredentialEngine> {
  const stores = openSqlite(join(folder.path, 'credentials.db'), clock);
  const changedBy = <T extends object>(store: T, own: object = {}): T =>
    new Proxy(store, {
      get: (target, name): unknown => {
        const member: unknown = Reflect.get(name in own ? own : target, name);
        return typeof member === 'function' && !(name in own) ? (member.bind(target) as unknown) : member;
      },
    });
  const { records, secrets } = change(stores);
  const changed = {
    ...stores,
    records: changedBy(stores.records, records),
    secrets: changedBy(stores.secrets, secrets),
  };
  return openEngine(folder.path, { database: changed, ports: { clock } });
}

/** The generations of the grants that are stored. */
function grantsOf(id: string): number[] {
  const database = openDatabase(folder.path);
  const grants = database.secretsOf(id).filter(({ field }) => field === 'grant');
  database.close();
  return grants.map(({ generation }) => generation);
}

test('a caller does not wait until old values are deleted, and the end of the engine does', async () => {
  const told: string[] = [];
  let isSlow = false;
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  const engine = await engineOn(({ secrets }) => ({
    secrets: {
      delete: async (key: Parameters<typeof secrets.delete>[0]): Promise<void> => {
        if (isSlow) await held;
        await secrets.delete(key);
        told.push(`deleted ${String(key.generation)}`);
      },
    },
  }));
  const { id } = await engine.register(await rotatingEntry(server, { config: { reuseGraceMs: 0 } }));
  await engine.refresh(id);
  isSlow = true;
  const { generation } = await engine.refresh(id);
  told.push('answered');
  const before = grantsOf(id);
  const closed = engine.close().then(() => told.push('closed'));
  goOn();
  await closed;
  expect(told).toEqual(['answered', `deleted ${String(generation - 2)}`, 'closed']);
  expect(before).toEqual([generation - 2, generation - 1, generation]);
  expect(grantsOf(id)).toEqual([generation - 1, generation]);
});

test('old values that could not be deleted go with the next refresh, and no caller hears of it', async () => {
  let isBroken = true;
  const engine = await engineOn(({ secrets }) => ({
    secrets: {
      delete: async (key: Parameters<typeof secrets.delete>[0]): Promise<void> => {
        if (isBroken) throw new Error('broken');
        await secrets.delete(key);
      },
    },
  }));
  const { id } = await engine.register(await rotatingEntry(server, { config: { reuseGraceMs: 0 } }));
  await engine.refresh(id);
  const { generation } = await engine.refresh(id);
  isBroken = false;
  await engine.refresh(id);
  await engine.close();
  expect(grantsOf(id)).toEqual([generation, generation + 1]);
});

test('the write that says a request is sent prolongs the claim, and a refresh takes no other renewal', async () => {
  const leases: number[] = [];
  let renewals = 0;
  const engine = await engineOn(({ records }) => ({
    records: {
      renewClaim: (...parameters: Parameters<typeof records.renewClaim>) => {
        renewals += 1;
        return records.renewClaim(...parameters);
      },
      compareAndSet: (change: Parameters<typeof records.compareAndSet>[0]) => {
        if (change.leaseMs !== undefined) leases.push(change.leaseMs);
        expect(change.leaseMs !== undefined).toBe(change.attempt?.phase === 'sent');
        return records.compareAndSet(change);
      },
    },
  }));
  const { id } = await engine.register(await rotatingEntry(server, { config: { reuseGraceMs: 0 } }));
  leases.length = 0;
  await engine.refresh(id);
  await engine.close();
  expect(leases).toEqual([4_000]);
  expect(renewals).toBe(0);
});

test('an edit between reading and writing costs no refresh: the claim is asked for, and the write made on top', async () => {
  let edits = 0;
  const engine = await engineOn(({ records }) => ({
    records: {
      compareAndSet: async (change: Parameters<typeof records.compareAndSet>[0]) => {
        if (change.attempt?.phase === 'sent' && (edits += 1) === 1) {
          const record = await records.get(change.record.id);
          if (record) {
            const edited = { ...record, tags: ['edited'], revision: record.revision + 1 };
            await records.compareAndSet({ record: edited, expectedRevision: record.revision });
          }
        }
        return records.compareAndSet(change);
      },
    },
  }));
  const { id } = await engine.register(await rotatingEntry(server, { config: { reuseGraceMs: 0 } }));
  const { state, tags } = await engine.refresh(id);
  expect(state).toBe('valid.fresh');
  expect(tags).toEqual(['edited']);
  expect(edits).toBeGreaterThan(1);
  await engine.close();
});

test('a holder whose claim was ended sends nothing', async () => {
  const before = (await server.tokenRequests('rotating')).length;
  let isTried = false;
  const engine = await engineOn(({ records }) => ({
    records: {
      compareAndSet: async (change: Parameters<typeof records.compareAndSet>[0]) => {
        if (change.attempt?.phase === 'sent' && change.claim && !isTried) {
          isTried = true;
          await records.releaseClaim(change.claim);
        }
        return records.compareAndSet(change);
      },
    },
  }));
  const { id } = await engine.register({ ...(await rotatingEntry(server)), test: false });
  await expect(engine.refresh(id)).rejects.toMatchObject({ code: 'ERR_REFRESH_IN_PROGRESS' });
  expect(isTried).toBe(true);
  expect((await server.tokenRequests('rotating')).length).toBe(before);
  await engine.close();
});
