import { toCredentialError } from './errors.ts';
import { LastKnown } from './last-known.ts';
import type { CredentialId, CredentialRecord, Reason } from './lifecycle/credential.ts';
import { openGrant, openRecord, type Opened, type Surroundings } from './lifecycle/effects.ts';
import { decideUse, isAlive, servedUntilMs } from './lifecycle/policy.ts';
import type { Material } from './protocols/protocol.ts';
import type { UseOptions } from './client.ts';
import type { CredentialUser } from './storage/ledger.ts';
import { refusal } from './summary.ts';
import type { Usage } from './usage.ts';

interface Cached {
  readonly record: CredentialRecord;
  readonly material: Material;
  readonly mark: number;
  /** Milliseconds since 1970 between which nothing has to be decided again. */
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What the engine does for a use. */
export interface UseHooks {
  readonly require: (id: CredentialId) => Promise<CredentialRecord>;
  readonly refresh: (record: CredentialRecord, reason: Reason, signal?: AbortSignal) => Promise<void>;
  /** Waits while the only secret is being replaced. */
  readonly whenUsable: (record: CredentialRecord, signal?: AbortSignal) => Promise<CredentialRecord>;
}

const CACHE_LIMIT = 10_000;

/** Hands material out: from memory while it is fresh, after one shared refresh when it is not. */
export class Uses {
  readonly #surroundings: Surroundings;
  readonly #hooks: UseHooks;
  readonly #lastKnown: LastKnown;
  readonly #usage: Usage;
  readonly #cache = new Map<CredentialId, Cached>();
  readonly #calls = new Set<Promise<Material>>();

  constructor(surroundings: Surroundings, usage: Usage, hooks: UseHooks) {
    this.#surroundings = surroundings;
    this.#hooks = hooks;
    this.#lastKnown = new LastKnown(surroundings);
    this.#usage = usage;
  }

  /** @throws CredentialError why it cannot be used, by who must act */
  async use(id: CredentialId, { signal, usedBy }: UseOptions): Promise<Material> {
    const cached = this.#cache.get(id);
    try {
      const nowMs = this.#now().getTime();
      if (cached && this.#isFresh(cached, nowMs)) {
        this.#usage.count(id, usedBy, nowMs);
        return cached.material;
      }
      const material = this.#lastKnown.unsaved(id) ?? (await this.#counted(this.#useStored(id, signal, usedBy)));
      this.#lastKnown.answered();
      return material;
    } catch (error) {
      return this.#lastKnown.unsaved(id) ?? this.#lastKnown.instead(error, cached);
    }
  }

  /** The next use reads the store; what is in memory stays for the time in which the store cannot be read. */
  invalidate(id: CredentialId): void {
    const cached = this.#cache.get(id);
    if (cached) this.#cache.set(id, { ...cached, mark: Number.NaN });
  }

  forget(id: CredentialId): void {
    this.#cache.delete(id);
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#calls);
    await this.#usage.close();
  }

  clear(): void {
    this.#cache.clear();
  }

  async #counted(call: Promise<Material>): Promise<Material> {
    this.#calls.add(call);
    try {
      return await call;
    } finally {
      this.#calls.delete(call);
    }
  }

  async #useStored(id: CredentialId, signal?: AbortSignal, usedBy?: CredentialUser): Promise<Material> {
    // Taken before the record is read: a write in between makes the cache entry stale, never wrong.
    const mark = this.#surroundings.records.changeMark();
    const record = await this.#hooks.require(id);
    // Whoever is refused wanted to use it too: nobody shall call it unused.
    this.#usage.count(id, usedBy, this.#now().getTime());
    const usable = await this.#usable(record, signal);
    const material = await this.#materialOf(usable);
    if (usable === record) this.#remember(record, material, mark);
    return material;
  }

  async #usable(record: CredentialRecord, signal: AbortSignal | undefined, isRetry = false): Promise<CredentialRecord> {
    const { decision, reason } = decideUse(record, this.#now());
    if (decision === 'serve') return record;
    if (decision === 'refuse') throw refusal(record, this.#now());
    if (decision === 'awaitRotation') return this.#usable(await this.#hooks.whenUsable(record, signal), signal);
    if (decision === 'serveAndRefresh') {
      this.#refreshBehind(record, reason);
      return record;
    }
    try {
      await this.#hooks.refresh(record, reason, signal);
    } catch (error) {
      if (isRetry || toCredentialError(error).code !== 'ERR_ROTATION_IN_PROGRESS') throw error;
      return this.#usable(await this.#hooks.whenUsable(record, signal), signal, true);
    }
    const refreshed = await this.#hooks.require(record.id);
    const now = this.#now();
    const { decision: then } = decideUse(refreshed, now);
    // What an interrupted refresh had brought may have expired before it was found: that is no answer yet.
    const found = then === 'refreshFirst' && refreshed.generation > record.generation && !isRetry;
    if (found && !isAlive(refreshed, now)) return this.#usable(refreshed, signal, true);
    if (!isAlive(refreshed, now) || then === 'refuse') throw refusal(refreshed, now);
    return refreshed;
  }

  #refreshBehind(record: CredentialRecord, reason: Reason): void {
    this.#hooks.refresh(record, reason).catch((error: unknown) => {
      const { code } = toCredentialError(error);
      this.#surroundings.ports.logger.warn({ credentialId: record.id, code }, 'A refresh behind a caller failed.');
    });
  }

  async #materialOf(record: CredentialRecord): Promise<Material> {
    // The record that it answers with may be newer than ours: its facts belong to this grant.
    const { record: opened, driver, grant, registered } = await this.#opened(record);
    if (grant === null) throw refusal(opened, this.#now());
    const input = registered && { config: opened.config, registered };
    return { ...driver.material(grant, input), expiresAt: opened.expiresAt, generation: opened.generation };
  }

  /** What was registered is opened only where the material is made of it. */
  #opened(record: CredentialRecord): Promise<Omit<Opened, 'registered'> & Partial<Opened>> {
    const { materialNeedsSecret = false } = this.#surroundings.drivers.driver(record.protocol);
    return materialNeedsSecret ? openRecord(this.#surroundings, record) : openGrant(this.#surroundings, record);
  }

  /** A clock that was set back asks the policy again too. */
  #isFresh({ mark, fromMs, untilMs }: Cached, nowMs: number): boolean {
    return nowMs >= fromMs && nowMs < untilMs && mark === this.#surroundings.records.changeMark();
  }

  #remember(record: CredentialRecord, material: Material, mark: number): void {
    const now = this.#now();
    if (this.#cache.size >= CACHE_LIMIT) this.#cache.delete(this.#cache.keys().next().value ?? '');
    const untilMs = servedUntilMs(record, now);
    this.#cache.set(record.id, { record, material, mark, fromMs: now.getTime(), untilMs });
  }

  #now(): Date {
    return this.#surroundings.ports.clock.now();
  }
}
