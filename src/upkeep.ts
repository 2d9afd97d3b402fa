import { toCredentialError } from './errors.ts';
import { runDuty, type Duty } from './duties.ts';
import { CredentialTests, type TestHooks } from './health/credential-tests.ts';
import { giveNotices, isNoticeDue } from './health/notices.ts';
import { healthRules, type EngineOptions } from './engine-options.ts';
import type { LeaseStore } from './lease/lease.ts';
import { openLeases } from './lease/open.ts';
import type { Ports } from './ports.ts';
import type { CredentialRecord, Reason } from './lifecycle/credential.ts';
import type { Surroundings } from './lifecycle/effects.ts';
import type { HealthRules } from './lifecycle/health-policy.ts';
import { decideDue, type DueDecision } from './lifecycle/policy.ts';
import { decideRotationDue } from './lifecycle/rotation/policy.ts';
import type { Rotations } from './rotations.ts';
import { PendingRevocations } from './lifecycle/revocations.ts';
import { Maintenance } from './maintenance/maintenance.ts';
import { retentionSchema, type Retention } from './maintenance/retention.ts';
import type { Claim } from './storage/record-store.ts';
import { Outbox } from './outbox/outbox.ts';
import { isRemovalDue, removeDeleted } from './verbs/delete.ts';
import { postponePaused } from './verbs/pause.ts';
import { WebhookDeliverer } from './webhooks/deliverer.ts';

/** What the work without a caller needs of the engine around it. */
export interface UpkeepHooks extends Omit<TestHooks, 'refresh'> {
  readonly refresh: (record: CredentialRecord, reason: Reason, claim: Claim | null) => Promise<void>;
  readonly isRefreshing: (record: CredentialRecord) => boolean;
  readonly rotations: Rotations;
  readonly expire: (record: CredentialRecord, claim: Claim) => Promise<void>;
  readonly revoke: (record: CredentialRecord) => Promise<void>;
}

export interface UpkeepOptions {
  readonly rules: HealthRules;
  readonly testOnLoad: boolean;
  readonly retention: Retention;
  readonly leases: () => Promise<LeaseStore | null>;
}

/** What the options of an engine say about it. They have been checked. */
export function upkeepOptions(
  { health, retention }: Pick<EngineOptions, 'health' | 'retention'>,
  leases: UpkeepOptions['leases'],
): UpkeepOptions {
  const testOnLoad = health?.testOnLoad ?? false;
  return { rules: healthRules(health), testOnLoad, retention: retentionSchema.parse(retention ?? {}), leases };
}

/** Leases beside the stores of an engine; stores of a host's own bring none. */
export async function leasesOf(database: EngineOptions['database'], ports: Ports): Promise<LeaseStore | null> {
  return typeof database === 'string' ? openLeases(database, ports) : null;
}

/** All that an engine does for its credentials without being asked: what falls due, tests, webhooks, daily maintenance. */
export class Upkeep {
  readonly tests: CredentialTests;
  readonly maintenance: Maintenance;
  readonly deliverer: WebhookDeliverer;
  readonly outbox: Outbox;
  readonly #revocations: PendingRevocations;
  readonly #surroundings: Surroundings;
  readonly #hooks: UpkeepHooks;
  readonly #options: UpkeepOptions;
  readonly #duties: readonly Duty[];
  #onLoad: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(surroundings: Surroundings, hooks: UpkeepHooks, options: UpkeepOptions) {
    this.#surroundings = surroundings;
    this.#hooks = hooks;
    this.#options = options;
    this.tests = new CredentialTests(surroundings, options.rules, {
      ...hooks,
      refresh: (record, reason) => hooks.refresh(record, reason, null),
    });
    this.maintenance = new Maintenance(surroundings, options.retention);
    this.deliverer = new WebhookDeliverer({ ...surroundings, leases: options.leases });
    this.outbox = new Outbox(surroundings);
    this.#revocations = new PendingRevocations(surroundings);
    this.#duties = this.#table();
  }

  /** The keeper's part: nothing of it happens in an engine that keeps nothing. */
  start(): void {
    this.deliverer.start();
    this.maintenance.start();
    this.#revocations.start();
  }

  /** Tests on load do not depend on the keeper. */
  load(): void {
    if (!this.#options.testOnLoad) return;
    this.#onLoad = this.tests
      .onLoad(() => this.#isStopped)
      .catch((error: unknown) => {
        const { code } = toCredentialError(error);
        this.#surroundings.ports.logger.warn({ code }, 'The credentials could not all be tested on load.');
      });
  }

  /** Something was just written to the outbox. */
  published(): void {
    this.deliverer.wake();
    this.outbox.wake();
  }

  runDue(claim: Claim): Promise<void> {
    return runDuty(this.#surroundings, this.#duties, claim);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.outbox.close();
    await Promise.all([this.deliverer.stop(), this.maintenance.stop(), this.#revocations.stop(), this.#onLoad]);
    await this.tests.settled();
  }

  /** What a due time can call for, most urgent first. */
  #table(): readonly Duty[] {
    const { rules } = this.#options;
    const refreshDuty = (name: DueDecision['decision'], run: Duty['run']): Duty => ({
      name,
      isDue: (record, now) => decideDue(record, now).decision === name,
      run,
    });
    return [
      {
        name: 'remove',
        isDue: isRemovalDue,
        run: (record, claim) => removeDeleted(this.#surroundings, record, claim, this.#hooks.revoke),
      },
      {
        name: 'rotate',
        isDue: (record, now) => decideRotationDue(record, now).decision !== 'none',
        run: (record, claim) => this.#rotate(record, claim),
      },
      refreshDuty('refresh', (record, claim) => this.#refresh(record, claim)),
      refreshDuty('expire', (record, claim) => this.#hooks.expire(record, claim)),
      refreshDuty('postpone', (record, claim) => postponePaused(this.#surroundings, record, claim)),
      {
        name: 'notice',
        isDue: isNoticeDue,
        run: async (record, claim) => {
          const events = await giveNotices(this.#surroundings, record, claim, rules);
          for (const event of events) this.#hooks.publish(event);
        },
      },
      {
        name: 'test',
        isDue: (record, now) => this.tests.isDue(record, now),
        run: (record, claim) => this.tests.runDue(record, claim),
      },
    ];
  }

  async #rotate(record: CredentialRecord, claim: Claim): Promise<void> {
    const { rotations } = this.#hooks;
    if (rotations.has(record.id)) return this.#surroundings.records.releaseClaim(claim);
    return rotations.runDue(record, decideRotationDue(record, this.#surroundings.ports.clock.now()), claim);
  }

  async #refresh(record: CredentialRecord, claim: Claim): Promise<void> {
    if (this.#hooks.isRefreshing(record)) {
      await this.#surroundings.records.releaseClaim(claim);
      return;
    }
    const { reason } = decideDue(record, this.#surroundings.ports.clock.now());
    await this.#hooks.refresh(record, reason, claim);
  }
}
