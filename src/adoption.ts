import type { AdoptedEntry } from './client.ts';
import { isCredentialError } from './errors.ts';
import { canonicalJson, type JsonObject } from './json.ts';
import type { CredentialId, CredentialRecord } from './lifecycle/credential.ts';
import { revised, type Surroundings } from './lifecycle/effects.ts';
import { secondChance } from './lifecycle/policy.ts';
import { registerRecord } from './lifecycle/register.ts';
import { SingleFlight } from './single-flight.ts';

/**
 * Takes over what a person typed into a host. The id is a keyed hash over protocol, endpoint, client, scopes and secret:
 * the same input finds the same credential, in every process, and a wrong secret finds nothing that is not its own.
 */
export class Adoption {
  readonly #surroundings: Surroundings;
  readonly #onAdopted: (id: CredentialId) => Promise<void>;
  readonly #flights = new SingleFlight<CredentialId>();

  /** @param onAdopted Called once for each credential that was new. */
  constructor(surroundings: Surroundings, onAdopted: (id: CredentialId) => Promise<void>) {
    this.#surroundings = surroundings;
    this.#onAdopted = onAdopted;
  }

  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_CONFIG_UNKNOWN_PROTOCOL` */
  async adopt(entry: AdoptedEntry): Promise<CredentialId> {
    const { drivers, vault } = this.#surroundings;
    const driver = drivers.driver(entry.protocol);
    const config = driver.parseConfig(entry.config);
    const secret = driver.parseSecret(entry.secret, config);
    const identity = canonicalJson({ protocol: driver.protocol, ...driver.identity(config), secret });
    const id = `ad_${vault.keyedHash('adoption', identity).subarray(0, 16).toString('hex')}`;
    return this.#flights.run(id, () => this.#adoptOnce(id, config, entry));
  }

  async settled(): Promise<void> {
    await this.#flights.settled();
  }

  async #adoptOnce(id: CredentialId, config: JsonObject, entry: AdoptedEntry): Promise<CredentialId> {
    const existing = await this.#surroundings.records.get(id);
    if (existing) {
      await this.#applyEdit(existing, config);
      return id;
    }
    const unowned = { ownerId: null, scopeId: null, tags: [] } as const;
    try {
      await registerRecord(this.#surroundings, { ...entry, ...unowned, id, origin: 'adopted' });
      await this.#onAdopted(id);
    } catch (error) {
      // Another process adopted the same input first: it is the same credential.
      if (!isCredentialError(error) || error.code !== 'ERR_STORE_DUPLICATE') throw error;
    }
    return id;
  }

  /**
   * Settings outside the identity may change in the host; a refused credential gets another chance with them. Where a try is a
   * login it does not: they change nothing about it, and two forms that differ in them would each ask for one in turn.
   */
  async #applyEdit(record: CredentialRecord, config: JsonObject): Promise<void> {
    if (canonicalJson(record.config) === canonicalJson(config)) return;
    const { records, ports, drivers } = this.#surroundings;
    const now = ports.clock.now();
    const isLogin = drivers.driver(record.protocol).testTraits?.(config).isLogin ?? true;
    const next = revised(record, { config, ...(isLogin ? {} : secondChance(record, now)) }, now);
    await records.compareAndSet({ record: next, expectedRevision: record.revision });
  }
}
