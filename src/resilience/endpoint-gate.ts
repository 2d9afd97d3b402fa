import { isCredentialError, toCredentialError, TransientError, type CredentialError } from '../errors.ts';
import type { Opened } from '../lifecycle/effects.ts';
import type { Openness, Passage, RequestGate } from '../lifecycle/request-gate.ts';
import type { Ports } from '../ports.ts';
import { endpointKey } from '../protocols/protocol.ts';
import type { RecordStore } from '../storage/record-store.ts';
import type { Vault } from '../vault/vault.ts';
import { AppIncidents } from './app-incidents.ts';
import { encodeSlots, leaveSlot, parseSlots, takeSlot, untilFreeMs, type TakenSlot } from './budget.ts';
import type { Budgets } from './budgets.ts';
import { type NamedBudget } from './budgets.ts';
import { afterOutcome, askCircuit, encodeCircuit, parseCircuit, withoutProbe, withProbe } from './circuit.ts';
import { EndpointMemory, type EndpointFacts } from './endpoint-memory.ts';

/** The longest pause that an endpoint can ask for (`Retry-After`); longer ones count as this. */
export const LONGEST_PAUSE_MS = 3_600_000;
/** After a 429 at least, also without a `Retry-After`. */
const UNNAMED_PAUSE_MS = 2_000;
/** A request waits so long for its turn in a budget; for longer it is put off. */
const LONGEST_TURN_MS = 5_000;
const COUNT_LIFE_MS = 60_000;

/** Failures of the endpoint itself. Whatever it answers about a credential shows that it works. */
const ENDPOINT_FAILURES = new Set<string>([
  'ERR_ENDPOINT_UNREACHABLE',
  'ERR_ENDPOINT_CONNECTION_LOST',
  'ERR_ENDPOINT_TIMEOUT',
  'ERR_ENDPOINT_UNAVAILABLE',
]);

/** What a request that passed has to give back. */
interface Admission {
  readonly endpoint: string;
  readonly probeId: string | null;
  readonly slot: (Pick<TakenSlot, 'place' | 'mark'> & NamedBudget) | null;
}

type Outcome = 'answered' | 'failed' | 'unknown';

/** The gate over circuit breaker, `Retry-After`, request budget and app incidents, all kept in the store's ledger. */
export class EndpointGate implements RequestGate {
  readonly #ports: Ports;
  readonly #records: RecordStore;
  readonly #vault: Vault;
  readonly #budgets: Budgets;
  readonly #memory: EndpointMemory;
  readonly #apps: AppIncidents;
  readonly #counts = new Map<string, { readonly count: number; readonly atMs: number }>();

  constructor(options: { ports: Ports; records: RecordStore; vault: Vault; budgets: Budgets }) {
    this.#ports = options.ports;
    this.#records = options.records;
    this.#vault = options.vault;
    this.#budgets = options.budgets;
    this.#memory = new EndpointMemory(options.records, options.ports.clock);
    this.#apps = new AppIncidents(this.#memory, options.ports);
  }

  async pass<T>(opened: Opened, passage: Passage, request: () => Promise<T>): Promise<T> {
    const appId = this.#appOf(opened);
    const { id } = opened.record;
    const hasIncident = appId !== null && (await this.#apps.admit(appId, id, passage));
    const admission = await this.#admit(opened, passage);
    try {
      const result = await request();
      await this.#leave(admission, null);
      if (hasIncident) await this.#keepGoing(() => this.#apps.accepted(appId));
      return result;
    } catch (error) {
      await this.#leave(admission, error);
      if (appId === null || !isCredentialError(error)) throw error;
      throw await this.#apps.refused(appId, id, error);
    }
  }

  async crowdMs(endpoint: string | null): Promise<number> {
    const named = endpoint === null ? null : this.#budgets.find(endpoint);
    if (endpoint === null || named === null) return 0;
    const nowMs = this.#ports.clock.hostTime().ms;
    const known = this.#counts.get(endpoint);
    const isFresh = known !== undefined && nowMs - known.atMs < COUNT_LIFE_MS;
    const count = isFresh ? known.count : await this.#records.countAtEndpoint(endpoint);
    if (!isFresh) this.#counts.set(endpoint, { count, atMs: nowMs });
    return (count * named.budget.perMs) / named.budget.requests;
  }

  async openness(endpoint: string): Promise<Openness> {
    const now = this.#ports.clock.now();
    const facts = await this.#memory.read(endpoint);
    const circuit = askCircuit(parseCircuit(facts.breaker), now);
    const named = this.#budgets.find(endpoint);
    const turnMs = named === null ? 0 : await this.#turnMs(named, now);
    const waitMs = Math.max(
      circuit.answer === 'refuse' ? circuit.retryAfterMs : 0,
      pauseMs(facts, now),
      turnMs > LONGEST_TURN_MS ? turnMs : 0,
    );
    return { waitMs, isTried: circuit.answer === 'probe' };
  }

  async #turnMs({ name, budget }: NamedBudget, now: Date): Promise<number> {
    return untilFreeMs(parseSlots((await this.#memory.read(name)).budget, budget), now.getTime());
  }

  #appOf({ driver, record, registered, grant }: Opened): string | null {
    const app = driver.app?.({ config: record.config, registered, grant }) ?? null;
    return app === null ? null : `app/${this.#vault.keyedHash('app', app.unwrap()).toString('hex')}`;
  }

  /** @throws TransientError when the request must wait */
  async #admit({ driver, record }: Opened, { isUrgent }: Passage): Promise<Admission> {
    const endpoint = endpointKey(driver.endpoint(record.config));
    if (!isUrgent) this.#requireOpen(await this.#memory.read(endpoint), endpoint);
    const named = this.#budgets.find(endpoint, driver, record.config);
    const taken = named === null ? null : await this.#takeTurn(named, isUrgent);
    const slot = taken && named && { ...named, place: taken.place, mark: taken.mark };
    try {
      // Asked again: others went on while this one waited for its turn.
      const probeId = isUrgent ? null : await this.#takeProbe(endpoint);
      return { endpoint, probeId, slot };
    } catch (error) {
      // Nothing was asked of the endpoint: that tells nothing about it, and least of all that it answers again.
      await this.#leaveSlot(slot);
      throw error;
    }
  }

  #requireOpen(facts: EndpointFacts, endpoint: string): 'pass' | 'probe' {
    const now = this.#ports.clock.now();
    const waitMs = pauseMs(facts, now);
    if (waitMs > 0) throw refusal('ERR_ENDPOINT_PAUSED', `${endpoint} asked for a pause.`, waitMs);
    const circuit = askCircuit(parseCircuit(facts.breaker), now);
    if (circuit.answer !== 'refuse') return circuit.answer;
    const message = `${endpoint} failed repeatedly and is left alone for now.`;
    throw refusal('ERR_ENDPOINT_CIRCUIT_OPEN', message, circuit.retryAfterMs);
  }

  async #takeProbe(endpoint: string): Promise<string | null> {
    const probeId = this.#ports.random.bytes(8).toString('hex');
    return this.#memory.change(endpoint, (facts) => {
      if (this.#requireOpen(facts, endpoint) === 'pass') return { facts: null, result: null };
      const circuit = withProbe(parseCircuit(facts.breaker), probeId, this.#ports.clock.now());
      return { facts: { ...facts, breaker: encodeCircuit(circuit) }, result: probeId };
    });
  }

  /** Takes a slot of the budget, now or within a few seconds. */
  async #takeTurn({ name, budget }: NamedBudget, isUrgent: boolean): Promise<TakenSlot> {
    const { clock } = this.#ports;
    const startedMs = clock.hostTime().ms;
    for (;;) {
      const turn = await this.#memory.change(name, (facts) => {
        const nowMs = clock.now().getTime();
        const slots = parseSlots(facts.budget, budget);
        const taken = takeSlot(slots, nowMs, isUrgent);
        const result = taken ?? untilFreeMs(slots, nowMs);
        return { facts: taken && { ...facts, budget: encodeSlots(taken.slots) }, result };
      });
      if (typeof turn !== 'number') return turn;
      if (clock.hostTime().ms - startedMs + turn > LONGEST_TURN_MS) {
        throw refusal('ERR_ENDPOINT_BUDGET_SPENT', `The request budget of ${name} is spent.`, turn);
      }
      await new Promise<void>((resolve) => clock.schedule(Math.max(turn, 1), resolve, { keepAlive: true }));
    }
  }

  /** Remembers how the request ended. What cannot be remembered never harms the request. */
  async #leave({ endpoint, probeId, slot }: Admission, error: unknown): Promise<void> {
    await this.#keepGoing(() => this.#remember(endpoint, probeId, error));
    await this.#leaveSlot(slot);
  }

  async #leaveSlot(slot: Admission['slot']): Promise<void> {
    if (slot === null) return;
    await this.#keepGoing(() =>
      this.#memory.change(slot.name, (facts) => {
        const slots = leaveSlot(parseSlots(facts.budget, slot.budget), slot, this.#ports.clock.now().getTime());
        return { facts: { ...facts, budget: encodeSlots(slots) }, result: undefined };
      }),
    );
  }

  async #remember(endpoint: string, probeId: string | null, error: unknown): Promise<void> {
    const outcome = outcomeOf(error);
    const askedMs = askedPauseMs(error);
    const changed = await this.#memory.change(endpoint, async (facts) => {
      const now = this.#ports.clock.now();
      const before = parseCircuit(facts.breaker);
      const after =
        outcome === 'unknown'
          ? withoutProbe(before, probeId ?? '')
          : await afterOutcome(before, { failed: outcome === 'failed', probeId, now });
      const pausedUntil = new Date(now.getTime() + askedMs);
      const retryAfterAt = askedMs > pauseMs(facts, now) ? pausedUntil : facts.retryAfterAt;
      const next: EndpointFacts = { ...facts, breaker: encodeCircuit(after), retryAfterAt };
      const isSame = JSON.stringify(next) === JSON.stringify(facts);
      return { facts: isSame ? null : next, result: { broke: isBroken(after) && !isBroken(before), after, before } };
    });
    if (changed.broke)
      this.#ports.logger.warn({ endpoint }, 'An endpoint fails repeatedly; it is left alone for a while.');
    if (isBroken(changed.before) && !isBroken(changed.after))
      this.#ports.logger.info({ endpoint }, 'An endpoint answers again.');
  }

  async #keepGoing(operation: () => Promise<unknown>): Promise<void> {
    try {
      await operation();
    } catch (error) {
      const { code } = toCredentialError(error);
      this.#ports.logger.warn({ code }, 'What an endpoint did could not be remembered.');
    }
  }
}

function isBroken({ opensAt }: { readonly opensAt: Date | null }): boolean {
  return opensAt !== null;
}

function outcomeOf(error: unknown): Outcome {
  if (error === null) return 'answered';
  if (!isCredentialError(error) || error.name === 'StorageError' || error.name === 'KeyRingError') return 'unknown';
  if (error.name === 'InternalError') return 'unknown';
  return ENDPOINT_FAILURES.has(error.code) ? 'failed' : 'answered';
}

function askedPauseMs(error: unknown): number {
  if (!isCredentialError(error)) return 0;
  const isBusy = error.code === 'ERR_ENDPOINT_RATE_LIMITED';
  if (!isBusy && error.code !== 'ERR_ENDPOINT_UNAVAILABLE') return 0;
  return Math.min(Math.max(error.retryAfterMs ?? 0, isBusy ? UNNAMED_PAUSE_MS : 0), LONGEST_PAUSE_MS);
}

/** What is left of a pause. One that is longer than any can be was written by a clock that was wrong. */
function pauseMs({ retryAfterAt }: EndpointFacts, now: Date): number {
  const waitMs = retryAfterAt === null ? 0 : retryAfterAt.getTime() - now.getTime();
  return waitMs > 0 && waitMs <= LONGEST_PAUSE_MS ? waitMs : 0;
}

function refusal(
  code: 'ERR_ENDPOINT_PAUSED' | 'ERR_ENDPOINT_CIRCUIT_OPEN' | 'ERR_ENDPOINT_BUDGET_SPENT',
  message: string,
  retryAfterMs: number,
): CredentialError {
  return new TransientError(code, message, { retryAfterMs: Math.ceil(retryAfterMs) });
}
