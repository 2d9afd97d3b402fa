import { Adoption } from './adoption.ts';
import type * as signIn from './authorizations.ts';
import { Authorizations } from './authorizations.ts';
import { AccessKeys, requireScopes, type Access } from './access/access-key.ts';
import type {
  AccessScope,
  AdoptedEntry,
  CredentialPage,
  CredentialSummary,
  RejectionDecision,
  UseOptions,
} from './client.ts';
import {
  requireEngineOptions,
  requireRegisterInput,
  type EngineOptions,
  type Registered,
  type RegisterInput,
} from './engine-options.ts';
import { openParts } from './engine-parts.ts';
import { ConfigurationError, InternalError } from './errors.ts';
import type { JsonObject } from './json.ts';
import { EventBus, type EventListener } from './event-bus.ts';
import { Awakening } from './lifecycle/awakening.ts';
import { lifecycleStateOf, type CredentialId, type CredentialRecord, type Reason } from './lifecycle/credential.ts';
import type { Surroundings } from './lifecycle/effects.ts';
import type { CredentialEvent, EventPage, EventType } from './lifecycle/events.ts';
import { Inspections, type Inspector } from './lifecycle/inspect.ts';
import type { RotationPolicyInput } from './lifecycle/rotation/plan.ts';
import { registerRecord } from './lifecycle/register.ts';
import { Scheduler } from './lifecycle/scheduler.ts';
import { expireRecord } from './lifecycle/settle.ts';
import type { Maintained } from './maintenance/retention.ts';
import type { Outbox } from './outbox/outbox.ts';
import type { Ports } from './ports.ts';
import type { Material, TestResult } from './protocols/protocol.ts';
import { RejectionReports } from './rejection.ts';
import { Rotations } from './rotations.ts';
import { orAborted, SingleFlight } from './single-flight.ts';
import type { Claim, RecordFilter, RecordStore, StateCounts } from './storage/record-store.ts';
import { backupOf, type Stores } from './storage/stores.ts';
import { refusal, summaryOf } from './summary.ts';
import { Upkeep, type UpkeepHooks, type UpkeepOptions } from './upkeep.ts';
import { Usage } from './usage.ts';
import { Uses } from './uses.ts';
import type { OpenedVault } from './vault/open-vault.ts';
import type { Keys } from './vault/keys.ts';
import { Edits, type EditHooks } from './verbs/edits.ts';
import type { CredentialChanges } from './verbs/update.ts';
import { Webhooks } from './webhooks/webhooks.ts';

export type { EngineOptions, Registered, RegisterInput } from './engine-options.ts';
export type { MasterKey } from './vault/key-ring.ts';

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
  /** Who is told of events by signed requests. */
  readonly webhooks: Webhooks;
  /** Who used which credential, and when last. */
  readonly usage: Usage;
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
  readonly #authorizations: Authorizations;
  readonly #rotations: Rotations;
  readonly #refreshes = new SingleFlight<void>();
  readonly #upkeep: Upkeep;
  readonly #edits: Edits;
  readonly #uses: Uses;
  /** What `close` waits for. */
  readonly #calls = new Set<Promise<unknown>>();
  #closed = false;

  private constructor(
    surroundings: Surroundings,
    stores: Stores,
    opened: OpenedVault,
    options: UpkeepOptions & { readonly keeper: boolean },
  ) {
    const { ports, records, vault, owner } = surroundings;
    this.#stores = stores;
    this.#opened = opened;
    const requireOpen = (): void => {
      this.#requireOpen();
    };
    this.keys = opened.keys(owner, requireOpen, (event) => {
      this.#publish(event);
    });
    this.#surroundings = surroundings;
    this.#ports = ports;
    this.#records = records;
    this.#bus = new EventBus(ports.logger);
    this.#inspections = new Inspections(ports.logger);
    const publish = (event: CredentialEvent): void => {
      this.#publish(event);
    };
    this.usage = new Usage(surroundings);
    this.#uses = new Uses(surroundings, this.usage, {
      require: (id) => this.#require(id),
      refresh: (record, reason, signal) => this.#refresh(record, reason, signal),
      whenUsable: (record, signal) => this.#rotations.whenUsable(record, signal),
    });
    this.#awakening = new Awakening(surroundings, publish, this.#inspections);
    this.#authorizations = new Authorizations(surroundings, this.#awakening);
    this.#adoption = new Adoption(surroundings, (id) => this.#publishLast(id));
    this.#rejections = new RejectionReports(surroundings, (record, reason) => this.#refresh(record, reason), publish);
    this.#rotations = new Rotations(surroundings, this.#awakening, (id) => {
      this.#uses.forget(id);
      this.#scheduler.wake();
    });
    this.accessKeys = new AccessKeys(records, vault, ports);
    this.#scheduler = new Scheduler({
      ports,
      records,
      owner,
      run: (claim) => this.#upkeep.runDue(claim),
      openness: (endpoint) => surroundings.gate.openness(endpoint),
      busy: () => [...this.#refreshes.keys(), ...this.#rotations.keys()],
    });
    const hooks = this.#hooks(publish);
    this.#upkeep = new Upkeep(surroundings, hooks, options);
    this.#edits = new Edits(surroundings, hooks);
    const wake = (): void => {
      this.#upkeep.deliverer.wake();
    };
    this.webhooks = new Webhooks({ ports, records, vault, requireOpen, wake });
    this.#upkeep.load();
    if (!options.keeper) return;
    this.#scheduler.start();
    this.#upkeep.start();
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
    const { surroundings, stores, opened, upkeep } = await openParts(options);
    return new CredentialEngine(surroundings, stores, opened, { ...upkeep, keeper: options.keeper ?? false });
  }

  /**
   * Stores a credential and tries it. What is wrong with it shows in its state, not as an error.
   *
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_CONFIG_UNKNOWN_PROTOCOL`: then nothing was stored
   */
  async register(input: RegisterInput): Promise<Registered> {
    this.#requireOpen();
    requireRegisterInput(input);
    return this.#counted(this.#register(input));
  }

  async #register(input: RegisterInput): Promise<Registered> {
    const id = `cr_${this.#ports.random.bytes(10).toString('hex')}`;
    const { test: isAsked = true, ownerId = null, scopeId = null, tags = [], ...given } = input;
    const registration = { ...given, ownerId, scopeId, tags, id, origin: 'registered' } as const;
    const record = await registerRecord(this.#surroundings, registration);
    await this.#publishLast(record.id);
    // Where a person has to sign in first there is nothing to try.
    const isTried = isAsked && record.state !== 'pending.authorizing';
    const test = isTried ? await this.#upkeep.tests.onDemand(id) : null;
    const credential = this.#summary(await this.#require(id));
    return { id, state: credential.state, test, credential };
  }

  /**
   * Gives material that is good now: from memory while it is fresh, after one shared refresh when it is not.
   *
   * @throws ConfigurationError | ReauthorizationRequiredError | TransientError why it cannot be used, by who must act
   */
  async use(id: CredentialId, options: UseOptions = {}): Promise<Material> {
    this.#requireOpen();
    return this.#uses.use(id, options);
  }

  #counted<T>(call: Promise<T>): Promise<T> {
    this.#calls.add(call);
    return call.finally(() => this.#calls.delete(call));
  }

  /**
   * Tries the credential at the other side, obtaining a grant first when there is none. With `cached` a result of the last
   * 5 minutes will do, a refused login too, if it is about the present settings, secret and grant and no passing failure.
   */
  async test(id: CredentialId, options: { signal?: AbortSignal; cached?: boolean } = {}): Promise<TestResult> {
    this.#requireOpen();
    const { tests } = this.#upkeep;
    const run = async (): Promise<TestResult> => {
      await this.#require(id);
      if (options.cached === true) return tests.cached(id);
      const since = this.#ports.clock.now();
      const result = await tests.onDemand(id);
      if (result.success) await this.#rotations.proven(id, since);
      return result;
    };
    return orAborted(run(), options.signal);
  }

  /** Obtains a new grant now, whatever the due time. Ends in the state that it reached. */
  async refresh(id: CredentialId, options: { signal?: AbortSignal } = {}): Promise<CredentialSummary> {
    this.#requireOpen();
    const record = await this.#require(id);
    if (lifecycleStateOf(record.state) === 'revoked') throw refusal(record, this.#ports.clock.now());
    await this.#refresh(await this.#rotations.whenUsable(record, options.signal), 'refreshRequested', options.signal);
    return this.get(id);
  }

  /** Replaces the registered secret now, or goes on with doing so: docs/rotation.md. What went wrong is in `rotation.failure`. */
  async rotate(id: CredentialId, options: { signal?: AbortSignal } = {}): Promise<CredentialSummary> {
    this.#requireOpen();
    await this.#rotations.rotate(await this.#require(id), options.signal);
    return this.get(id);
  }

  /** Puts the secret before back in use. @throws ConfigurationError `ERR_ROTATION_NOTHING_TO_ROLL_BACK` */
  async rollback(id: CredentialId, options: { signal?: AbortSignal } = {}): Promise<CredentialSummary> {
    this.#requireOpen();
    await this.#rotations.rollback(await this.#require(id), options.signal);
    return this.get(id);
  }

  /** Says when the secret is replaced by itself; `null` for never. @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
  async setRotation(id: CredentialId, policy: RotationPolicyInput | null): Promise<CredentialSummary> {
    this.#requireOpen();
    await this.#require(id);
    await this.#rotations.setPolicy(id, policy);
    return this.get(id);
  }

  /**
   * Begins the sign-in of a person. It is good for some minutes, survives a restart, and changes nothing by itself.
   *
   * @throws CredentialError `ERR_AUTHORIZATION_UNSUPPORTED`, `ERR_CREDENTIAL_REVOKED`, `ERR_OAUTH2_*`
   */
  async authorize(id: CredentialId, options: signIn.AuthorizeOptions = {}): Promise<signIn.Authorization> {
    this.#requireOpen();
    return this.#authorizations.begin(await this.#require(id), options);
  }

  /**
   * Takes the answer to a sign-in, once, and makes it the credential's next grant. Id, tags and access keys stay.
   *
   * @throws CredentialError `ERR_AUTHORIZATION_*` or why there is no grant: what was there before is as it was
   */
  async reauthorize(
    id: CredentialId,
    answer: signIn.AuthorizationAnswer,
    options: signIn.ReauthorizeOptions = {},
  ): Promise<signIn.Reauthorized> {
    this.#requireOpen();
    await this.#require(id);
    const advice = await this.#authorizations.complete(id, answer, options);
    this.#uses.forget(id);
    this.#scheduler.wake();
    return { credential: await this.get(id), advice };
  }

  /** Ends the credential for good, here and at the other side. */
  revoke(id: CredentialId): Promise<CredentialSummary> {
    return this.#counted(this.#edits.revoke(id));
  }

  /** Stops scheduled work; idle grants are kept alive, and `use` goes on. @throws `ERR_CREDENTIAL_REVOKED` */
  pause(id: CredentialId): Promise<CredentialSummary> {
    return this.#counted(this.#edits.pause(id));
  }

  /** Ends a pause; what became due meanwhile is due at once. @throws `ERR_CREDENTIAL_REVOKED` */
  resume(id: CredentialId): Promise<CredentialSummary> {
    return this.#counted(this.#edits.resume(id));
  }

  /**
   * Changes a credential whole or not at all, and tests it (default) when its settings or secret changed.
   *
   * @throws ConfigurationError `ERR_CONFIG_MALFORMED`: then nothing was changed
   */
  update(id: CredentialId, changes: CredentialChanges, options: { test?: boolean } = {}): Promise<CredentialSummary> {
    return this.#counted(this.#edits.update(id, changes, options.test ?? true));
  }

  /** Ends the credential at the other side, now or as soon as that can be reached, and forgets it. */
  delete(id: CredentialId): Promise<void> {
    return this.#counted(this.#edits.delete(id));
  }

  /** Takes away old events, attempts and consumed keys now. The keeper does it daily. */
  async maintain(): Promise<Maintained> {
    this.#requireOpen();
    return this.#upkeep.maintenance.run();
  }

  /** @throws ConfigurationError `ERR_CREDENTIAL_NOT_FOUND` */
  async get(id: CredentialId): Promise<CredentialSummary> {
    this.#requireOpen();
    return this.#summary(await this.#require(id));
  }

  async list(filter: RecordFilter = {}): Promise<CredentialPage> {
    this.#requireOpen();
    const { records, ...page } = await this.#records.list(filter);
    const present = records.filter(({ deletedAt }) => deletedAt === null);
    return { credentials: present.map((record) => this.#summary(record)), ...page };
  }

  /** The settings of a credential as its driver understood them; no secret is in there. */
  async settings(id: CredentialId): Promise<JsonObject> {
    this.#requireOpen();
    return (await this.#require(id)).config;
  }

  async countByState(): Promise<StateCounts> {
    this.#requireOpen();
    return this.#records.countByState();
  }

  /** The result of the last test; `null` when there was none. */
  async lastTest(id: CredentialId): Promise<TestResult | null> {
    this.#requireOpen();
    return (await this.#records.getTest(id))?.result ?? null;
  }

  async lastEvent(id: CredentialId): Promise<CredentialEvent | null> {
    this.#requireOpen();
    return this.#records.lastEvent(id);
  }

  /**
   * Events of any process after `cursor` (0 for all that are kept), oldest first. `missed`: some after it were pruned unread.
   */
  async readEvents(cursor: number, limit = 100): Promise<EventPage> {
    return this.outbox.read(cursor, limit);
  }

  /** The events as they are stored, for those who follow them under a name of their own. */
  get outbox(): Outbox {
    this.#requireOpen();
    return this.#upkeep.outbox;
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
    requireScopes(options.scopes);
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
    await backupOf(this.#stores)(file);
  }

  /** Takes no new work, waits for refreshes under way, and closes the store. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([this.#scheduler.stop(), this.#upkeep.stop(), this.usage.flush()]);
    // First the calls: they may begin refreshes and tests of their own.
    await Promise.allSettled(this.#calls);
    await this.#uses.settled();
    const flights = [this.#refreshes, this.#rotations, this.#rejections, this.#adoption, this.#authorizations];
    await Promise.all(flights.map((each) => each.settled()));
    this.#surroundings.unsaved.close();
    await this.#surroundings.behind.settled();
    await this.#surroundings.drivers.close();
    await this.#opened.close();
    await this.#records.close();
    this.#uses.clear();
  }

  async #refresh(record: CredentialRecord, reason: Reason, signal?: AbortSignal, claim: Claim | null = null) {
    const flight = this.#refreshes.run(record.id, async () => {
      await this.#awakening.refresh(record, reason, claim);
      this.#uses.invalidate(record.id);
      this.#scheduler.wake();
    });
    await orAborted(flight, signal);
  }

  #hooks(publish: (event: CredentialEvent) => void): UpkeepHooks & EditHooks {
    return {
      require: (id) => {
        this.#requireOpen();
        return this.#require(id);
      },
      get: async (id) => this.#summary(await this.#require(id)),
      test: (id) => this.#upkeep.tests.onDemand(id),
      wrote: (id, events) => {
        this.#uses.forget(id);
        events.forEach(publish);
        this.#scheduler.wake();
      },
      publish,
      refresh: (record, reason, claim) => this.#refresh(record, reason, undefined, claim),
      isRefreshing: ({ id }) => this.#refreshes.has(id),
      rotations: this.#rotations,
      expire: async (record, claim) =>
        this.#awakening.expire(record, await expireRecord(this.#surroundings, record, claim)),
      revoke: (record) => this.#awakening.revoke(record),
      reportRejected: (id, generation) => this.#rejections.report(id, generation),
      tested: (record, success) => this.#awakening.tested(record, success),
    };
  }

  #publish(event: CredentialEvent): void {
    this.#bus.publish(event);
    this.#upkeep.published();
  }

  async #require(id: CredentialId): Promise<CredentialRecord> {
    const record = await this.#records.get(id);
    if (record?.deletedAt === null) return record;
    throw new ConfigurationError('ERR_CREDENTIAL_NOT_FOUND', 'There is no credential with this id.', {
      credentialId: id,
    });
  }

  async #publishLast(id: CredentialId): Promise<void> {
    const event = await this.#records.lastEvent(id);
    if (event) this.#publish(event);
  }

  #summary(record: CredentialRecord): CredentialSummary {
    return summaryOf(record, this.#surroundings.drivers.driver(record.protocol).endpoint(record.config));
  }

  #requireOpen(): void {
    if (this.#closed) throw new InternalError('ERR_ENGINE_CLOSED', 'This engine is closed.');
  }
}
