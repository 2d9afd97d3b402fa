import { Adoption } from './adoption.ts';
import { AccessKeys, type Access } from './access/access-key.ts';
import {
  ACCESS_SCOPES,
  type AccessScope,
  type AdoptedEntry,
  type CredentialSummary,
  type RejectionDecision,
  type UseOptions,
} from './client.ts';
import { requireDrivers, requireEngineOptions, requireRegisterInput } from './engine-options.ts';
import { ConfigurationError, InternalError, StorageError, toCredentialError } from './errors.ts';
import { EventBus, type EventListener } from './event-bus.ts';
import { Awakening } from './lifecycle/awakening.ts';
import {
  lifecycleStateOf,
  type CredentialId,
  type CredentialRecord,
  type Reason,
  type StatePath,
} from './lifecycle/credential.ts';
import { openGrant, type Surroundings } from './lifecycle/effects.ts';
import type { CredentialEvent, EventType } from './lifecycle/events.ts';
import { recordTest, testRecord } from './lifecycle/health.ts';
import { decideDue, decideUse, isAlive, servedUntilMs } from './lifecycle/policy.ts';
import { Inspections, type Inspector } from './lifecycle/inspect.ts';
import { registerRecord } from './lifecycle/register.ts';
import { Scheduler } from './lifecycle/scheduler.ts';
import { expireRecord } from './lifecycle/settle.ts';
import { withOutboundPolicy } from './outbound/outbound-fetch.ts';
import type { OutboundOptions } from './outbound/policy.ts';
import { silentLogger, systemClock, systemFetch, systemRandom, type Ports } from './ports.ts';
import { OAuth2Driver } from './protocols/oauth2/driver.ts';
import { ProtocolRegistry, type Material, type ProtocolDriver, type TestResult } from './protocols/protocol.ts';
import { RejectionReports } from './rejection.ts';
import { orAborted, SingleFlight } from './single-flight.ts';
import type { Claim, RecordFilter, RecordStore, StateCounts } from './storage/record-store.ts';
import { openStores } from './storage/open.ts';
import type { Stores } from './storage/stores.ts';
import { refusal, summaryOf } from './summary.ts';
import { type Anchor } from './vault/anchor.ts';
import { openVault, type OpenedVault } from './vault/open-vault.ts';
import type { Keys } from './vault/keys.ts';
import type { MasterKey } from './vault/key-ring.ts';

export type { MasterKey } from './vault/key-ring.ts';

export interface EngineOptions {
  /** Path of a SQLite file in an existing folder, a `postgres://` URL, `'memory'`, or stores of your own. */
  readonly database: string | Stores;
  /** 32 random bytes, or a passphrase. */
  readonly masterKey: MasterKey;
  /** Whether this engine refreshes due credentials by itself; default false. */
  readonly keeper?: boolean;
  /** A place outside the database that remembers how new it was: an older database is then refused. */
  readonly anchor?: Anchor;
  /** Takes the database as it is, although its anchor has seen a newer one: after a restore on purpose. */
  readonly acceptOlderStore?: boolean;
  readonly ports?: Partial<Ports>;
  /** Where requests may go; by default wherever an owner typed, but link-local and cloud-metadata addresses. */
  readonly outbound?: OutboundOptions;
  /** Drivers of protocols that this package does not speak, beside its own. */
  readonly drivers?: (ports: Ports) => readonly ProtocolDriver[];
}

export interface RegisterInput {
  readonly protocol: string;
  readonly name: string;
  readonly ownerId?: string;
  /** The workflow, project or environment that it is for. */
  readonly scopeId?: string;
  readonly tags?: readonly string[];
  readonly config: unknown;
  readonly secret: unknown;
  /** Whether to try it at once; default true. */
  readonly test?: boolean;
}

export interface Registered {
  readonly id: CredentialId;
  readonly state: StatePath;
  readonly test: TestResult | null;
  readonly credential: CredentialSummary;
}

interface Cached {
  readonly material: Material;
  readonly mark: number;
  /** Milliseconds since 1970 between which nothing has to be decided again. */
  readonly fromMs: number;
  readonly untilMs: number;
}

const CACHE_LIMIT = 10_000;
const DEFAULT_PORTS: Ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };

/**
 * Keeps credentials alive: the composition root, and the one face for hosts, command and library users.
 *
 * @example
 * const engine = await CredentialEngine.open({ database: './credentials.db', masterKey, keeper: true });
 * const { headers } = await engine.use(id);
 */
export class CredentialEngine {
  readonly accessKeys: AccessKeys;
  /** Status, rotation, re-encryption, change of the master key, verification. */
  readonly keys: Keys;
  readonly #opened: OpenedVault;
  readonly #stores: Stores;
  readonly #surroundings: Surroundings;
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #bus: EventBus;
  readonly #inspections: Inspections;
  readonly #awakening: Awakening;
  readonly #scheduler: Scheduler;
  readonly #adoption: Adoption;
  readonly #rejections: RejectionReports;
  readonly #refreshes = new SingleFlight<void>();
  readonly #tests = new SingleFlight<TestResult>();
  readonly #cache = new Map<CredentialId, Cached>();
  readonly #uses = new Set<Promise<Material>>();
  #closed = false;

  private constructor(surroundings: Surroundings, stores: Stores, opened: OpenedVault, keeper: boolean) {
    const { ports, records, vault, owner } = surroundings;
    this.#stores = stores;
    this.#opened = opened;
    this.keys = opened.keys(owner, () => {
      this.#requireOpen();
    });
    this.#surroundings = surroundings;
    this.#ports = ports;
    this.#records = records;
    this.#bus = new EventBus(ports.logger);
    this.#inspections = new Inspections(ports.logger);
    const publish = (event: CredentialEvent): void => {
      this.#bus.publish(event);
    };
    this.#awakening = new Awakening(surroundings, publish, this.#inspections);
    this.#adoption = new Adoption(surroundings, (id) => this.#publishLast(id));
    this.#rejections = new RejectionReports(surroundings, (record, reason) => this.#refresh(record, reason));
    this.accessKeys = new AccessKeys(records, vault, ports);
    this.#scheduler = new Scheduler({
      ports,
      records,
      owner,
      run: (claim) => this.#runDue(claim),
      busy: () => this.#refreshes.keys(),
    });
    if (keeper) this.#scheduler.start();
  }

  /**
   * Opens the engine on a database, founding the database when the file is new.
   *
   * @throws StorageError `ERR_STORE_UNAVAILABLE`, `ERR_STORE_CORRUPT`, `ERR_STORE_SCHEMA_TOO_NEW`, `ERR_STORE_ROLLED_BACK`
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED` for a database URL, `ERR_STORE_DRIVER_MISSING`
   * @throws KeyRingError `ERR_KEYRING_MASTER_KEY_MISMATCH`, `ERR_KEYRING_PARAMETERS_REFUSED`
   */
  static async open(options: EngineOptions): Promise<CredentialEngine> {
    requireEngineOptions(options);
    const ports = withOutboundPolicy({ ...DEFAULT_PORTS, ...options.ports }, options.outbound);
    const drivers = requireDrivers(new OAuth2Driver(ports), options.drivers?.(ports) ?? []);
    const { database } = options;
    const stores = typeof database === 'string' ? await openStores(database, ports) : database;
    try {
      const opened = await openVault(stores, options, ports);
      const registry = new ProtocolRegistry(drivers);
      const owner = ports.random.bytes(8).toString('hex');
      const surroundings = { ports, records: stores.records, vault: opened.vault, drivers: registry, owner };
      return new CredentialEngine(surroundings, stores, opened, options.keeper ?? false);
    } catch (error) {
      await stores.records.close();
      throw error;
    }
  }

  /**
   * Stores a credential and tries it. What is wrong with it shows in its state, not as an error.
   *
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_CONFIG_UNKNOWN_PROTOCOL`: then nothing was stored
   */
  async register(input: RegisterInput): Promise<Registered> {
    this.#requireOpen();
    requireRegisterInput(input);
    const id = `cr_${this.#ports.random.bytes(10).toString('hex')}`;
    const { protocol, name, ownerId = null, scopeId = null, tags = [], config, secret } = input;
    const record = await registerRecord(this.#surroundings, {
      id,
      protocol,
      name,
      ownerId,
      scopeId,
      tags,
      origin: 'registered',
      config,
      secret,
    });
    await this.#publishLast(record.id);
    const test = (input.test ?? true) ? await this.test(id) : null;
    const credential = await this.get(id);
    return { id, state: credential.state, test, credential };
  }

  /**
   * Gives material that is good now: from memory while it is fresh, after one shared refresh when it is not.
   *
   * @throws ConfigurationError | ReauthorizationRequiredError | TransientError why it cannot be used, by who must act
   */
  async use(id: CredentialId, options: UseOptions = {}): Promise<Material> {
    this.#requireOpen();
    const cached = this.#cache.get(id);
    if (cached && this.#isFresh(cached)) return cached.material;
    const call = this.#useStored(id, options.signal);
    this.#uses.add(call);
    try {
      return await call;
    } finally {
      this.#uses.delete(call);
    }
  }

  /** Tries the credential at the other side, obtaining a grant first when there is none. */
  async test(id: CredentialId, options: { signal?: AbortSignal } = {}): Promise<TestResult> {
    this.#requireOpen();
    return orAborted(
      this.#tests.run(id, () => this.#testOnce(id)),
      options.signal,
    );
  }

  /** Obtains a new grant now, whatever the due time. Ends in the state that it reached. */
  async refresh(id: CredentialId, options: { signal?: AbortSignal } = {}): Promise<CredentialSummary> {
    this.#requireOpen();
    const record = await this.#require(id);
    if (lifecycleStateOf(record.state) === 'revoked') throw refusal(record, this.#ports.clock.now());
    await this.#refresh(record, 'refreshRequested', options.signal);
    return this.get(id);
  }

  /** Ends the credential for good, here and at the other side. */
  async revoke(id: CredentialId): Promise<CredentialSummary> {
    this.#requireOpen();
    await this.#awakening.revoke(await this.#require(id));
    this.#cache.delete(id);
    return this.get(id);
  }

  /** @throws ConfigurationError `ERR_CREDENTIAL_NOT_FOUND` */
  async get(id: CredentialId): Promise<CredentialSummary> {
    this.#requireOpen();
    return this.#summary(await this.#require(id));
  }

  async list(
    filter: RecordFilter = {},
  ): Promise<{ credentials: readonly CredentialSummary[]; nextCursor: string | null }> {
    this.#requireOpen();
    const { records, nextCursor } = await this.#records.list(filter);
    return { credentials: records.map((record) => this.#summary(record)), nextCursor };
  }

  async countByState(): Promise<StateCounts> {
    this.#requireOpen();
    return this.#records.countByState();
  }

  async lastEvent(id: CredentialId): Promise<CredentialEvent | null> {
    this.#requireOpen();
    return this.#records.lastEvent(id);
  }

  /** Events after `cursor` (0 for all) out of the durable outbox, oldest first, written by any process. */
  async readEvents(cursor: number, limit = 100): Promise<{ events: readonly CredentialEvent[]; cursor: number }> {
    this.#requireOpen();
    return this.#records.readEvents(cursor, limit);
  }

  /**
   * Says that a request with material of `generation` failed. Asks the other side and refreshes only when it confirms the
   * rejection; where nothing can confirm it, refreshes at most once per generation.
   */
  async reportRejected(id: CredentialId, generation: number): Promise<RejectionDecision> {
    this.#requireOpen();
    await this.#require(id);
    return this.#rejections.report(id, generation);
  }

  /** Issues an access key for one credential, or (`null`) for all. The key is shown this once. */
  async grant(id: CredentialId | null, options: { scopes: readonly AccessScope[] }): Promise<{ accessKey: string }> {
    this.#requireOpen();
    const unknown = options.scopes.find((scope) => !ACCESS_SCOPES.includes(scope));
    if (options.scopes.length === 0 || unknown !== undefined) {
      throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The scopes must be some of: ${ACCESS_SCOPES.join(', ')}.`);
    }
    if (id !== null) await this.#require(id);
    return { accessKey: await this.accessKeys.issue(id, options.scopes) };
  }

  /** What an access key allows. @throws AccessError `ERR_ACCESS_DENIED` */
  async checkAccess(accessKey: string): Promise<Access> {
    this.#requireOpen();
    return this.accessKeys.check(accessKey);
  }

  /** Registers what a person typed into a host, once, under an id that only the same input leads to. Returns the id. */
  async adopt(entry: AdoptedEntry): Promise<CredentialId> {
    this.#requireOpen();
    return this.#adoption.adopt(entry);
  }

  /** Listens to events of this process. Returns the function that ends it. */
  on(type: EventType | '*', listener: EventListener): () => void {
    return this.#bus.on(type, listener);
  }

  /**
   * Hands XState's inspection events of every actor that this engine wakes from now on to the inspector, live: what the
   * Stately inspector shows. They hold ids, states, reasons and codes, never a secret. Returns the function that ends it.
   */
  inspect(inspector: Inspector): () => void {
    this.#requireOpen();
    return this.#inspections.add(inspector);
  }

  /**
   * Writes a consistent copy of the database to a new file while everything goes on. It is as sealed as the database: it
   * opens with the same master key. `restoreBackup` puts it back.
   *
   * @throws StorageError `ERR_STORE_EXISTS`, `ERR_STORE_UNAVAILABLE`, `ERR_STORE_BACKUP_UNSUPPORTED`
   */
  async backup(file: string): Promise<void> {
    this.#requireOpen();
    const { backup } = this.#stores;
    if (backup === null) {
      throw new StorageError('ERR_STORE_BACKUP_UNSUPPORTED', 'This store is backed up by its database server.');
    }
    await backup(file);
  }

  /** Takes no new work, waits for refreshes under way, and closes the store. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#scheduler.stop();
    await Promise.all(
      [this.#refreshes, this.#tests, this.#rejections, this.#adoption].map((flights) => flights.settled()),
    );
    await Promise.allSettled(this.#uses);
    await this.#opened.close();
    await this.#records.close();
    this.#cache.clear();
  }

  async #useStored(id: CredentialId, signal: AbortSignal | undefined): Promise<Material> {
    // Taken before the record is read: a write in between makes the cache entry stale, never wrong.
    const mark = this.#records.changeMark();
    const record = await this.#require(id);
    const usable = await this.#usable(record, signal);
    const material = await this.#materialOf(usable);
    if (usable === record) this.#remember(record, material, mark);
    return material;
  }

  async #usable(record: CredentialRecord, signal: AbortSignal | undefined, isRetry = false): Promise<CredentialRecord> {
    const { decision, reason } = decideUse(record, this.#ports.clock.now());
    if (decision === 'serve') return record;
    if (decision === 'refuse') throw refusal(record, this.#ports.clock.now());
    if (decision === 'serveAndRefresh') {
      this.#refreshBehind(record, reason);
      return record;
    }
    await this.#refresh(record, reason, signal);
    const refreshed = await this.#require(record.id);
    const now = this.#ports.clock.now();
    const { decision: then } = decideUse(refreshed, now);
    // What an interrupted refresh had brought may have expired before it was found: that is no answer yet.
    const found = then === 'refreshFirst' && refreshed.generation > record.generation && !isRetry;
    if (found && !isAlive(refreshed, now)) return this.#usable(refreshed, signal, true);
    if (!isAlive(refreshed, now) || then === 'refuse') throw refusal(refreshed, now);
    return refreshed;
  }

  /** A clock that was set back asks the policy again too. */
  #isFresh({ mark, fromMs, untilMs }: Cached): boolean {
    const nowMs = this.#ports.clock.now().getTime();
    return nowMs >= fromMs && nowMs < untilMs && mark === this.#records.changeMark();
  }

  async #materialOf(record: CredentialRecord): Promise<Material> {
    // The record that it answers with may be newer than ours: its facts belong to this grant.
    const { record: opened, driver, grant } = await openGrant(this.#surroundings, record);
    if (grant === null) throw refusal(opened, this.#ports.clock.now());
    return { ...driver.material(grant), expiresAt: opened.expiresAt, generation: opened.generation };
  }

  #remember(record: CredentialRecord, material: Material, mark: number): void {
    const now = this.#ports.clock.now();
    const untilMs = servedUntilMs(record, now);
    if (this.#cache.size >= CACHE_LIMIT) this.#cache.delete(this.#cache.keys().next().value ?? '');
    this.#cache.set(record.id, { material, mark, fromMs: now.getTime(), untilMs });
  }

  async #refresh(
    record: CredentialRecord,
    reason: Reason,
    signal?: AbortSignal,
    claim: Claim | null = null,
  ): Promise<void> {
    const flight = this.#refreshes.run(record.id, async () => {
      await this.#awakening.refresh(record, reason, claim);
      this.#cache.delete(record.id);
      this.#scheduler.wake();
    });
    await orAborted(flight, signal);
  }

  #refreshBehind(record: CredentialRecord, reason: Reason): void {
    this.#refresh(record, reason).catch((error: unknown) => {
      this.#ports.logger.warn(
        { credentialId: record.id, code: toCredentialError(error).code },
        'A refresh behind a caller failed.',
      );
    });
  }

  async #runDue(claim: Claim): Promise<void> {
    const record = await this.#require(claim.credentialId);
    const { decision, reason } = decideDue(record, this.#ports.clock.now());
    if (decision === 'refresh' && !this.#refreshes.has(record.id))
      return this.#refresh(record, reason, undefined, claim);
    if (decision === 'expire') {
      return this.#awakening.expire(record, await expireRecord(this.#surroundings, record, claim));
    }
    await this.#records.releaseClaim(claim);
  }

  async #testOnce(id: CredentialId): Promise<TestResult> {
    const record = await this.#require(id);
    const state = lifecycleStateOf(record.state);
    const hopeless = state === 'revoked' || record.state === 'expired.needsUser';
    if (!isAlive(record, this.#ports.clock.now()) && !hopeless) await this.#refresh(record, 'refreshRequested');
    const result = await testRecord(this.#surroundings, await this.#require(id), AbortSignal.timeout(30_000));
    const settled = await recordTest(this.#surroundings, id, result);
    for (const event of settled.events) this.#bus.publish(event);
    await this.#awakening.tested(await this.#require(id), result.success);
    return result;
  }

  async #require(id: CredentialId): Promise<CredentialRecord> {
    const record = await this.#records.get(id);
    if (record) return record;
    throw new ConfigurationError('ERR_CREDENTIAL_NOT_FOUND', 'There is no credential with this id.', {
      credentialId: id,
    });
  }

  async #publishLast(id: CredentialId): Promise<void> {
    const event = await this.#records.lastEvent(id);
    if (event) this.#bus.publish(event);
  }

  #summary(record: CredentialRecord): CredentialSummary {
    return summaryOf(record, this.#surroundings.drivers.driver(record.protocol).endpoint(record.config));
  }

  #requireOpen(): void {
    if (this.#closed) throw new InternalError('ERR_ENGINE_CLOSED', 'This engine is closed.');
  }
}
