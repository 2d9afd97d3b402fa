import { join } from 'node:path';
import Database from 'better-sqlite3';
import { createEmbeddedClient } from '../../src/embedded-client.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../servers/authorization-server.ts';
import { TestClock } from '../support/clock.ts';
import { machineEntry, openEngine, temporaryFolder } from '../support/engine.ts';

const folder = temporaryFolder();
let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer();
});
afterAll(async () => {
  await server.stop();
  folder.dispose();
});

const by = (id: string) => ({ usedBy: { kind: 'n8n', id } });

/** The documents of uses, read past the engine. */
function storedUses(): number {
  const db = new Database(join(folder.path, 'credentials.db'), { readonly: true });
  try {
    return db.prepare<[], number>("SELECT count(*) FROM documents WHERE kind = 'usage'").pluck().get() ?? 0;
  } finally {
    db.close();
  }
}

it('writes nothing while it is used, and all of it in the turn in which it is closed', async () => {
  const engine = await openEngine(folder.path, { ports: { clock: new TestClock() } });
  const { id } = await engine.register(machineEntry(server));
  for (let times = 0; times < 100; times += 1) await engine.use(id, by('lifecycleOAuth2Api'));
  expect(storedUses()).toBe(0);
  // As at the end of n8n's process, which waits for nothing.
  const closing = engine.close();
  expect(storedUses()).toBe(1);
  await closing;
  const again = await openEngine(folder.path);
  expect((await again.usage.of([id])).get(id)).toMatchObject({ uses: 100, users: [by('lifecycleOAuth2Api')] });
  await again.close();
});

it('adds up what several engines count, and counts whoever is refused too', async () => {
  const [one, other] = [await openEngine(folder.path), await openEngine(folder.path)];
  const { id } = await one.register(machineEntry(server));
  await one.use(id, by('a'));
  await other.use(id, by('b'));
  await one.revoke(id);
  await expect(other.use(id, by('c'))).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_REVOKED' });
  await expect(other.use('cr_nowhere', by('d'))).rejects.toMatchObject({ code: 'ERR_CREDENTIAL_NOT_FOUND' });
  await other.close();
  const usage = (await one.usage.of([id, 'cr_nowhere'])).get(id);
  expect(usage?.uses).toBe(3);
  expect(usage?.users.map(({ usedBy }) => usedBy?.id).sort()).toEqual(['a', 'b', 'c']);
  const { accessKey } = await one.grant(id, { scopes: ['list'] });
  const operator = await createEmbeddedClient(one).operator(accessKey);
  expect(await operator.usage([id])).toHaveLength(1);
  await expect(operator.usage([id, 'cr_nowhere'])).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' });
  await one.close();
});
