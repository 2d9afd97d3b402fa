import { toCredentialError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { Claim, DueRecord, RecordStore } from '../storage/record-store.ts';
import type { CredentialId } from './credential.ts';
import { LEASE_MS } from './held-claim.ts';
import type { Openness } from './request-gate.ts';

/** Longest sleep without a look at what is due: the wall clock may have been set meanwhile. */
const LONGEST_SLEEP_MS = 15_000;
/**
 * Longest sleep without a look at the store's change mark. Another process may write an earlier due time, above all the intent
 * of a refresh, and then die: its claim runs out after 4 s, and it is to be taken over within 5.
 */
const LOOK_MS = 500;
/** Until a store that could not be read is tried again. */
const STORE_DOWN_MS = 2_000;
/** Shortest sleep: a due record that cannot be claimed now must not make the loop spin. */
const SHORTEST_SLEEP_MS = 100;
/** Credentials under way at a time, and of these at one endpoint. */
const CONCURRENCY = 16;
const ENDPOINT_CONCURRENCY = 8;
/** Kept free for interrupted refreshes: slow requests must not hold up the healing of a token in doubt. */
const KEPT_FOR_INTERRUPTED = 8;
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
  /** What the store's change mark was at the last look, and when something is due or has to be looked at, come what may. */
  #seenMark: number | null = null;
  #lookAgainAt = new Date(0);

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
    this.#seenMark = null;
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
    let delayMs = STORE_DOWN_MS;
    try {
      delayMs = await this.#look();
    } catch (error) {
      this.#seenMark = null;
      this.#ports.logger.error(
        { code: toCredentialError(error).code },
        'The scheduler could not read the store; trying again.',
      );
    }
    this.#sleep(delayMs);
  }

  /** Starts what is due, unless nothing can have changed since the last look. Returns how long to sleep. */
  async #look(): Promise<number> {
    const mark = this.#records.changeMark();
    const now = this.#ports.clock.now();
    if (mark !== this.#seenMark || now >= this.#lookAgainAt || this.#wasSetBack(now)) {
      this.#seenMark = mark;
      await this.#startDue(now);
    }
    // Woken meanwhile.
    if (this.#isUnseen()) return SHORTEST_SLEEP_MS;
    const untilMs = this.#lookAgainAt.getTime() - this.#ports.clock.now().getTime();
    return Math.min(Math.max(untilMs, SHORTEST_SLEEP_MS), LOOK_MS);
  }

  async #startDue(now: Date): Promise<void> {
    if (this.#waiting.length === 0 || this.#nowMs() - this.#listedAtMs > LISTED_FOR_MS) await this.#list(now);
    let isContended = false;
    for (let chosen = await this.#choose(); chosen.length > 0; chosen = await this.#choose()) {
      const claims = await this.#claim(chosen, now);
      isContended ||= claims.length < chosen.length;
      for (const claim of claims) {
        const endpoint = chosen.find(({ credentialId }) => credentialId === claim.credentialId)?.endpoint ?? null;
        this.#start(claim, endpoint);
      }
    }
    const isShort = this.#waiting.length === 0 && this.#isMoreDue;
    const untilMs = isContended || isShort ? SHORTEST_SLEEP_MS : await this.#untilNextMs();
    this.#lookAgainAt = new Date(this.#ports.clock.now().getTime() + untilMs);
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

  /** Takes of the waiting what can be begun now, the most urgent first. */
  async #choose(): Promise<DueRecord[]> {
    const chosen: DueRecord[] = [];
    const kept: DueRecord[] = [];
    const room = new Map<string, number>();
    const busy = new Set([...this.#busy(), ...this.#running.keys()]);
    const free = CONCURRENCY - this.#running.size;
    for (const due of this.#waiting) {
      const { endpoint, credentialId, isInterrupted } = due;
      if (busy.has(credentialId)) continue;
      if (chosen.length >= free + (isInterrupted ? KEPT_FOR_INTERRUPTED : 0)) {
        kept.push(due);
        continue;
      }
      const left = endpoint === null ? 1 : (room.get(endpoint) ?? (await this.#roomAt(endpoint)));
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

  #isUnseen(): boolean {
    return this.#seenMark === null;
  }

  /** A clock that was set back is looked at too: otherwise what was due would sleep for as long as it was set back. */
  #wasSetBack(now: Date): boolean {
    return this.#lookAgainAt.getTime() - now.getTime() > LONGEST_SLEEP_MS;
  }

  /** Work that was begun wakes this scheduler when it ends. What is due and not begun waits for an endpoint or another holder. */
  async #untilNextMs(): Promise<number> {
    const now = this.#ports.clock.now();
    const next = await this.#records.nextDueAt();
    const isOverdue = next !== null && next <= now;
    const later = isOverdue ? await this.#records.nextDueAt(now) : next;
    const untilDueMs = later === null ? LONGEST_SLEEP_MS : later.getTime() - now.getTime();
    const untilOpenMs = Math.min(...this.#shut.values()) - this.#nowMs();
    const longestMs = isOverdue ? LOOK_MS : LONGEST_SLEEP_MS;
    return Math.min(Math.max(Math.min(untilDueMs, untilOpenMs), SHORTEST_SLEEP_MS), longestMs);
  }

  #nowMs(): number {
    return this.#ports.clock.hostTime().ms;
  }
}
