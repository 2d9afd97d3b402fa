import type { JsonObject } from '../../src/json.ts';
import type { CredentialRecord } from '../../src/lifecycle/credential.ts';
import { encodeSealedGrant } from '../../src/lifecycle/sealed-grant.ts';
import { silentLogger, systemFetch, systemRandom, type Clock, type Ports } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { openSqlite, type Stores } from '../../src/storage/sqlite.ts';
import type { Keys } from '../../src/vault/keys.ts';
import { openVault, type VaultOptions } from '../../src/vault/open-vault.ts';
import type { Vault } from '../../src/vault/vault.ts';
import { TestClock } from './clock.ts';
import { aRecord } from './record.ts';

export const RAW_KEY = Buffer.alloc(32, 5);

export type TestVaultOptions = Partial<VaultOptions> & { readonly path?: string; readonly clock?: Clock };

/** A store with its vault, as one process has them. */
export interface TestVault {
  readonly stores: Stores;
  readonly vault: Vault;
  readonly keys: Keys;
  /** Registers a credential as the engine does: its secret sealed first, then the record. */
  register(id: string, secret?: JsonObject, ownerId?: string | null): Promise<CredentialRecord>;
  /** Commits the next grant of a credential as a refresh does. */
  commitGrant(id: string, token: string): Promise<CredentialRecord>;
  record(id: string): Promise<CredentialRecord>;
  /** What the record points at, opened: first what was registered, then the grant's token. */
  read(id: string): Promise<unknown[]>;
  close(): Promise<void>;
}

export async function openTestVault({ path = 'memory', clock = new TestClock(), ...options }: TestVaultOptions = {}) {
  return testVaultOn(openSqlite(path, clock), clock, options);
}

export async function testVaultOn(stores: Stores, clock: Clock, options: Partial<VaultOptions>): Promise<TestVault> {
  const ports: Ports = { clock, random: systemRandom, fetch: systemFetch, logger: silentLogger };
  const opened = await openVault(stores, { masterKey: RAW_KEY, ...options }, ports);
  const { vault } = opened;
  const { records } = stores;
  const record = async (id: string): Promise<CredentialRecord> => {
    const found = await records.get(id);
    if (!found) throw new Error(`no record ${id}`);
    return found;
  };
  return {
    stores,
    vault,
    keys: opened.keys(
      'test',
      () => undefined,
      () => undefined,
    ),
    record,
    register: async (id, secret = { clientSecret: `secret of ${id}` }, ownerId = null) => {
      const created = aRecord({ id, ownerId });
      await vault.put(created, created.registered, Secret.of(secret));
      await records.insert(created, []);
      return created;
    },
    commitGrant: async (id, token) => {
      const before = await record(id);
      const generation = before.generation + 1;
      const grant = { field: 'grant', generation, attemptId: systemRandom.bytes(8).toString('hex') } as const;
      const issued = {
        grant: Secret.of({ accessToken: token }),
        issuedAt: clock.now(),
        expiresAt: null,
        refreshable: true,
      };
      await vault.put(before, grant, encodeSealedGrant(issued));
      const next = { ...before, grant, generation, revision: before.revision + 1 };
      if (!(await records.compareAndSet({ record: next, expectedRevision: before.revision })))
        throw new Error('conflict');
      return next;
    },
    read: async (id) => {
      const { registered, grant, ...owner } = await record(id);
      const values = [registered, grant].filter((pointer) => pointer !== null);
      return Promise.all(values.map(async (pointer) => (await vault.get(owner, pointer)).unwrap()));
    },
    close: async () => {
      await opened.close();
      await records.close();
    },
  };
}
