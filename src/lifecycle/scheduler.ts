import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Claim, DueRecord, RecordStore } from '../storage/record-store.ts';
import type { CredentialId } from './credential.ts';
import { LEASE_MS } from './refresh.ts';
import type { Openness } from './request-gate.ts';

/** Longest sleep: another process may have written an earlier due time meanwhile. */
const LONGEST_SLEEP_MS = 15_000;
/** Shortest sleep: a due record that cannot be claimed now must not make the loop spin. */
const SHORTEST_SLEEP_MS = 100;
/** Credentials under way at a time, and of these at one endpoint. */
const CONCURRENCY = 16;
const ENDPOINT_CONCURRENCY = 8;
/** How many of a backlog are listed at a time, and for how long their order counts as current. */
const LISTED = 256;
const LISTED_FOR_MS = 1_000;

/**
 * Wakes credentials at their stored due times, most urgent first (`RecordStore.listDue`). It keeps no timer per credential:
 * one timer runs to the earliest due time of the store, so a restart loses nothing. Endpoints that must not be asked now are
 * passed over, and those of the others go on. Many schedulers may share one store; claims keep them apart.
 */
export class Scheduler {
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #owner: string;
  readonly #run: (claim: Claim) => Promise<void>;
  readonly #busy: () => readonly CredentialId[];
  readonly #openness: (endpoint: string) => Promise<Openness>;
  readonly #running = new Map<CredentialId, { readonly endpoint: string | null; readonly ended: Promise<void> }>();
  /** Due, most urgent first, and not begun. */
  #waiting: DueRecord[] = [];
  #listedAtMs = Number.NEGATIVE_INFINITY;
  #isMoreDue = false;
  /** Endpoints that were found shut, and when each is looked at again. */
  readonly #shut = new Map<string, number>();
  #cancelTimer: (() => void) | null = null;
  #ticking: Promise<void> | null = null;
  /** Until it was started, and after it was stopped, it takes no work, whoever wakes it. */
  #stopped = true;

  constructor(options: {
    ports: Ports;
    records: RecordStore;
    owner: string;
    run: (claim: Claim) => Promise<void>;
    busy: () => readonly CredentialId[];
    openness: (endpoint: string) => Promise<Openness>;
  }) {
    this.#ports = options.ports;
    this.#records = options.records;
    this.#owner = options.owner;
    this.#run = options.run;
    this.#busy = options.busy;
    this.#openness = options.openness;
  }

  start(): void {
    this.#stopped = false;
    this.#sleep(0);
  }

  /** Looks at the store again soon: a due time may have moved forward. */
  wake(): void {
    if (!this.#stopped && this.#ticking === null) this.#sleep(0);
  }

  /** Takes no new work and waits for what is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#ticking;
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #sleep(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.schedule(delayMs, () => {
      this.#ticking = this.#tick().finally(() => {
        this.#ticking = null;
      });
    });
  }

  async #tick(): Promise<void> {
    let delayMs = LONGEST_SLEEP_MS;
    try {
      delayMs = await this.#startDue();
    } catch (error) {
      this.#ports.logger.error(
        { code: toCredentialError(error).code },
        'The scheduler could not read the store; trying again.',
      );
    }
    this.#sleep(delayMs);
  }

  /** Begins what can be begun. Returns when to look again. */
  async #startDue(): Promise<number> {
    const now = this.#ports.clock.now();
    if (this.#waiting.length === 0 || this.#nowMs() - this.#listedAtMs > LISTED_FOR_MS) await this.#list(now);
    let isContended = false;
    while (this.#running.size < CONCURRENCY) {
      const chosen = await this.#choose(CONCURRENCY - this.#running.size);
      if (chosen.length === 0) break;
      const claims = await this.#claim(chosen, now);
      isContended ||= claims.length < chosen.length;
      for (const claim of claims) {
        const endpoint = chosen.find(({ credentialId }) => credentialId === claim.credentialId)?.endpoint ?? null;
        this.#start(claim, endpoint);
      }
    }
    const isShort = this.#waiting.length === 0 && this.#isMoreDue;
    return isContended || isShort ? SHORTEST_SLEEP_MS : this.#untilNext(now);
  }

  /** Only as many as can start at once: a claim that waits its turn would run out. */
  async #claim(chosen: readonly DueRecord[], now: Date): Promise<readonly Claim[]> {
    // After a stall a claim of ours may have run out under a refresh that is still in flight: to take it again would
    // refuse that refresh's own outcome.
    const due = { owner: this.#owner, leaseMs: LEASE_MS, now, except: this.#busy() };
    const among = chosen.map(({ credentialId }) => credentialId);
    return this.#records.claimDue({ ...due, among, limit: among.length });
  }

  #start(claim: Claim, endpoint: string | null): void {
    const ended = this.#runOne(claim).finally(() => {
      this.#running.delete(claim.credentialId);
      this.wake();
    });
    this.#running.set(claim.credentialId, { endpoint, ended });
  }

  /** Lists what is due, but for what waits for an endpoint that is shut. */
  async #list(now: Date): Promise<void> {
    for (const [endpoint, untilMs] of this.#shut) if (untilMs <= this.#nowMs()) this.#shut.delete(endpoint);
    let isComplete = false;
    while (!isComplete) {
      const exceptEndpoints = [...this.#shut.keys()];
      this.#waiting = [...(await this.#records.listDue({ now, limit: LISTED, exceptEndpoints }))];
      isComplete = true;
      for (const endpoint of new Set(this.#waiting.map((due) => due.endpoint))) {
        if (endpoint === null || exceptEndpoints.includes(endpoint)) continue;
        if (await this.#isFoundShut(endpoint)) isComplete = false;
      }
    }
    this.#isMoreDue = this.#waiting.length === LISTED;
    this.#listedAtMs = this.#nowMs();
  }

  async #isFoundShut(endpoint: string): Promise<boolean> {
    return this.#isShut(endpoint, await this.#openness(endpoint));
  }

  #isShut(endpoint: string, { waitMs }: Openness): boolean {
    if (waitMs > 0) this.#shut.set(endpoint, this.#nowMs() + waitMs);
    return waitMs > 0;
  }

  /** Takes up to `limit` of the waiting whose endpoint has room, the most urgent first. */
  async #choose(limit: number): Promise<DueRecord[]> {
    const chosen: DueRecord[] = [];
    const room = new Map<string, number>();
    const busy = new Set([...this.#busy(), ...this.#running.keys()]);
    const kept: DueRecord[] = [];
    for (const due of this.#waiting) {
      const { endpoint, credentialId } = due;
      if (busy.has(credentialId)) continue;
      if (chosen.length === limit) {
        kept.push(due);
        continue;
      }
      const left = endpoint === null ? limit : (room.get(endpoint) ?? (await this.#roomAt(endpoint)));
      if (endpoint !== null) room.set(endpoint, left > 0 ? left - 1 : left);
      if (left > 0) chosen.push(due);
      else if (left === 0) kept.push(due);
    }
    this.#waiting = kept;
    return chosen;
  }

  /** How many more may be begun at the endpoint; -1 when it was found shut. */
  async #roomAt(endpoint: string): Promise<number> {
    const running = [...this.#running.values()].filter((work) => work.endpoint === endpoint).length;
    // Listed although it is shut: a life that has ended is told without asking anybody.
    if (this.#shut.has(endpoint)) return ENDPOINT_CONCURRENCY - running;
    const openness = await this.#openness(endpoint);
    if (this.#isShut(endpoint, openness)) return -1;
    return Math.max(0, (openness.isTried ? 1 : ENDPOINT_CONCURRENCY) - running);
  }

  async #runOne(claim: Claim): Promise<void> {
    try {
      await this.#run(claim);
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#ports.logger.error({ credentialId: claim.credentialId, code }, 'Scheduled work on a credential failed.');
    }
  }

  /** Work that was begun wakes this scheduler when it ends. */
  async #untilNext(now: Date): Promise<number> {
    const next = await this.#records.nextDueAt(now);
    const untilDueMs = next === null ? LONGEST_SLEEP_MS : next.getTime() - this.#ports.clock.now().getTime();
    const untilOpenMs = Math.min(...this.#shut.values()) - this.#nowMs();
    return Math.min(Math.max(Math.min(untilDueMs, untilOpenMs), SHORTEST_SLEEP_MS), LONGEST_SLEEP_MS);
  }

  #nowMs(): number {
    return this.#ports.clock.hostTime().ms;
  }
}
