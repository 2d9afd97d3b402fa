import type { JsonObject } from '../../../src/json.ts';
import {
  lifecycleStateOf,
  type CredentialRecord,
  type SecretPointer,
  type StatePath,
} from '../../../src/lifecycle/credential.ts';
import { encodeSealedGrant } from '../../../src/lifecycle/sealed-grant.ts';
import { STATE_MEANINGS } from '../../../src/lifecycle/meanings.ts';
import { systemRandom } from '../../../src/ports.ts';
import type { Secret } from '../../../src/secret.ts';
import type { Claim } from '../../../src/storage/record-store.ts';
import { openSqlite, type Stores } from '../../../src/storage/sqlite.ts';
import { KeyRing } from '../../../src/vault/key-ring.ts';
import { Vault } from '../../../src/vault/vault.ts';
import { MASTER_KEY } from '../../support/engine.ts';
import type { ScriptedDriver } from './scripted-driver.ts';
import type { ModelClock } from './model-clock.ts';

/** Another process on the same database: it holds claims, settles records, and reads what is stored. */
export class OtherHolder {
  readonly #stores: Stores;
  readonly #vault: Vault;
  readonly #clock: ModelClock;
  readonly #driver: ScriptedDriver;

  private constructor(stores: Stores, vault: Vault, clock: ModelClock, driver: ScriptedDriver) {
    this.#stores = stores;
    this.#vault = vault;
    this.#clock = clock;
    this.#driver = driver;
  }

  static async open(database: string, clock: ModelClock, driver: ScriptedDriver): Promise<OtherHolder> {
    const stores = openSqlite(database, clock);
    const ports = { clock, random: systemRandom };
    const keyRing = await KeyRing.open(stores.records, MASTER_KEY, ports);
    return new OtherHolder(stores, new Vault(keyRing, stores.secrets, systemRandom), clock, driver);
  }

  async read(id: string): Promise<CredentialRecord> {
    const record = await this.#stores.records.get(id);
    if (!record) throw new Error('the record is gone');
    return record;
  }

  async hold(id: string): Promise<Claim> {
    const claim = await this.#stores.records.claim(id, 'other', 3_600_000);
    if (!claim) throw new Error('somebody holds a claim that nobody uses');
    return claim;
  }

  async release(claim: Claim): Promise<void> {
    await this.#stores.records.releaseClaim(claim);
  }

  /** Leaves the record in a state, with a grant as such a record has one. */
  async settle(id: string, state: StatePath): Promise<void> {
    const record = await this.read(id);
    const generation = record.generation + 1;
    const [reason = 'recovering'] = STATE_MEANINGS[state].reasons;
    const grant = await this.#grantFor(record, generation, state);
    await this.change(id, {
      state,
      reason,
      generation,
      ...grant,
      refreshDueAt: null,
      retryNotBefore: null,
      failure: null,
    });
  }

  async change(id: string, changes: Partial<CredentialRecord>): Promise<void> {
    const record = await this.read(id);
    const next = { ...record, ...changes, revision: record.revision + 1, updatedAt: this.#clock.now() };
    const written = await this.#stores.records.compareAndSet({ record: next, expectedRevision: record.revision });
    if (!written) throw new Error('the record was written meanwhile');
  }

  async put(record: CredentialRecord, pointer: SecretPointer, value: Secret<JsonObject>): Promise<void> {
    await this.#vault.put(record, pointer, value);
  }

  async close(): Promise<void> {
    await this.#stores.records.close();
  }

  async #grantFor(record: CredentialRecord, generation: number, state: StatePath): Promise<Partial<CredentialRecord>> {
    const lifecycle = lifecycleStateOf(state);
    if (lifecycle === 'pending') return { grant: null, issuedAt: null, expiresAt: null };
    if (lifecycle === 'revoked' || lifecycle === 'refreshing') return {};
    const issued = this.#driver.issue(lifecycle === 'expired' ? -1 : undefined);
    const grant = { field: 'grant', generation, attemptId: 'other' } as const;
    await this.#vault.put(record, grant, encodeSealedGrant(issued));
    return { grant, issuedAt: issued.issuedAt, expiresAt: issued.expiresAt };
  }
}
