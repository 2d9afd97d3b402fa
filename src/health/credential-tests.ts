import { ERROR_CATALOGUE, isErrorCode, toCredentialError } from '../errors.ts';
import { lifecycleStateOf, type CredentialId, type CredentialRecord, type Reason } from '../lifecycle/credential.ts';
import { requireRecord, revised, type Surroundings } from '../lifecycle/effects.ts';
import type { CredentialEvent } from '../lifecycle/events.ts';
import { isTestable, isTestCurrent, plannedTestAt, wasJustNow, type HealthRules } from '../lifecycle/health-policy.ts';
import { isAlive } from '../lifecycle/policy.ts';
import type { TestResult } from '../protocols/protocol.ts';
import { SingleFlight } from '../single-flight.ts';
import type { Claim } from '../storage/record-store.ts';
import { endUpstream } from './endings.ts';
import { executeTest, type ExecutedTest } from './test-executor.ts';
import { configVersionOf, keepTest, recordTest } from './test-record.ts';

/** What tests need of the engine around them. */
export interface TestHooks {
  readonly refresh: (record: CredentialRecord, reason: Reason) => Promise<void>;
  /** Asks the other side about a rejection, and refreshes once when it confirms it. */
  readonly reportRejected: (id: CredentialId, generation: number) => Promise<unknown>;
  readonly publish: (event: CredentialEvent) => void;
  readonly tested: (record: CredentialRecord, success: boolean) => Promise<void>;
}

/** A scheduled test whose process died is made by another one after this time. */
const TAKEN_FOR_MS = 300_000;
const PAGE = 100;
const ON_LOAD_AT_ONCE = 4;

/**
 * Tests of credentials, in every way that they come about: on save and on demand (always made), on load and by schedule (not
 * made when the last 5 minutes answer them). One per credential and process at a time.
 */
export class CredentialTests {
  readonly #surroundings: Surroundings;
  readonly #rules: HealthRules;
  readonly #hooks: TestHooks;
  readonly #flights = new SingleFlight<TestResult>();

  constructor(surroundings: Surroundings, rules: HealthRules, hooks: TestHooks) {
    this.#surroundings = surroundings;
    this.#rules = rules;
    this.#hooks = hooks;
  }

  /** Obtains a grant first when there is none. */
  async onDemand(id: CredentialId): Promise<TestResult> {
    return this.#flights.run(id, async () => {
      const record = await requireRecord(this.#surroundings, id);
      const state = lifecycleStateOf(record.state);
      const waits = record.state === 'pending.authorizing' || record.state === 'expired.needsUser';
      const hopeless = state === 'revoked' || waits;
      if (!isAlive(record, this.#now()) && !hopeless) await this.#hooks.refresh(record, 'refreshRequested');
      return this.#finish(await this.#execute(id));
    });
  }

  /**
   * The result of the last 5 minutes, if it is about the present settings, secret and grant, and no failure that may have
   * passed meanwhile; a test otherwise. A login that was refused answers too, although there is no grant: whoever only wants to
   * know must not count towards a lockout.
   */
  async cached(id: CredentialId): Promise<TestResult> {
    const record = await requireRecord(this.#surroundings, id);
    if (this.#wasRefusedJustNow(record)) return this.#finish(await this.#execute(id));
    const last = await this.#lastOf(record);
    return last === null || mayHavePassed(last) ? this.onDemand(id) : last;
  }

  isDue(record: CredentialRecord, now: Date): boolean {
    return record.testDueAt !== null && record.testDueAt <= now && isTestable(record);
  }

  /** The scheduled test of a claimed record. The claim ends before the test begins: a test outlasts any claim. */
  async runDue(record: CredentialRecord, claim: Claim): Promise<void> {
    const now = this.#now();
    const last = await this.#lastOf(record);
    const plannedAt = last && plannedTestAt(record, this.#rules, last.testedAt);
    const isOff = plannedTestAt(record, this.#rules, now) === null;
    const testDueAt = isOff ? null : (plannedAt ?? new Date(now.getTime() + TAKEN_FOR_MS));
    const written = await this.#surroundings.records.compareAndSet({
      record: revised(record, { testDueAt }, now),
      expectedRevision: record.revision,
      claim,
      release: claim,
    });
    if (!written) await this.#surroundings.records.releaseClaim(claim);
    if (written && !isOff && plannedAt === null) await this.#flights.run(record.id, () => this.#check(record.id));
  }

  /** Tests whatever is valid, a few at a time, as an engine does that is told to test when it starts. */
  async onLoad(isStopped: () => boolean): Promise<void> {
    const { records } = this.#surroundings;
    for (let cursor: string | null = null; ;) {
      const page = await records.list({ state: 'valid', limit: PAGE, ...(cursor !== null && { cursor }) });
      const testable = page.records.filter(isTestable);
      for (let start = 0; start < testable.length && !isStopped(); start += ON_LOAD_AT_ONCE) {
        await Promise.all(testable.slice(start, start + ON_LOAD_AT_ONCE).map((record) => this.#onLoad(record)));
      }
      if (page.nextCursor === null || isStopped()) return;
      cursor = page.nextCursor;
    }
  }

  async settled(): Promise<void> {
    await this.#flights.settled();
  }

  async #onLoad(record: CredentialRecord): Promise<void> {
    try {
      if ((await this.#lastOf(record)) === null) await this.#flights.run(record.id, () => this.#check(record.id));
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#surroundings.ports.logger.warn({ credentialId: record.id, code }, 'A credential could not be tested.');
    }
  }

  /**
   * A test that nobody waits for, with its consequences: a token that the other side rejects is refreshed once. Only how it
   * ends is written, so that a rejection that could be cured alarms nobody.
   */
  async #check(id: CredentialId): Promise<TestResult> {
    const before = await this.#execute(id);
    const isRejected = !before.executed.result.success && before.executed.code === null && !before.executed.isLogin;
    if (!isRejected) return this.#finish(before);
    await this.#hooks.reportRejected(id, before.record.generation);
    const { generation } = await requireRecord(this.#surroundings, id);
    return this.#finish(generation > before.record.generation ? await this.#execute(id) : before);
  }

  async #execute(id: CredentialId): Promise<{ record: CredentialRecord; executed: ExecutedTest }> {
    const record = await requireRecord(this.#surroundings, id);
    return { record, executed: await executeTest(this.#surroundings, record) };
  }

  async #finish({ record, executed }: { record: CredentialRecord; executed: ExecutedTest }): Promise<TestResult> {
    const { result, code } = executed;
    if (!executed.isConclusive) {
      if (code === null) await keepTest(this.#surroundings, record, result);
      return result;
    }
    const settled = await recordTest(this.#surroundings, record, executed, this.#rules);
    const endings = code === 'ERR_CREDENTIAL_REVOKED_UPSTREAM' ? await endUpstream(this.#surroundings, record.id) : [];
    for (const event of [...settled.events, ...endings]) this.#hooks.publish(event);
    await this.#hooks.tested(await requireRecord(this.#surroundings, record.id), result.success);
    return result;
  }

  async #lastOf(record: CredentialRecord): Promise<TestResult | null> {
    const last = await this.#surroundings.records.getTest(record.id);
    return last && isTestCurrent(last, record, configVersionOf(record), this.#now()) ? last.result : null;
  }

  #wasRefusedJustNow({ protocol, config, state, failure }: CredentialRecord): boolean {
    const driver = this.#surroundings.drivers.driver(protocol);
    const { isLogin, notPresented = [] } = driver.testTraits?.(config) ?? { isLogin: true };
    if (!isLogin || failure === null || !REFUSED.includes(state) || notPresented.includes(failure.code)) return false;
    return wasJustNow({ testedAt: failure.at }, this.#now());
  }

  #now(): Date {
    return this.#surroundings.ports.clock.now();
  }
}

/** States in which the other side has said no. */
const REFUSED: readonly CredentialRecord['state'][] = ['pending.misconfigured', 'expired.needsUser'];

function mayHavePassed({ success, details }: TestResult): boolean {
  const code = details.metadata['code'];
  return !success && isErrorCode(code) && ERROR_CATALOGUE[code].kind === 'transient';
}
