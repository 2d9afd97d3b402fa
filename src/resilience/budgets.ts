import { z } from 'zod/v4';
import { ConfigurationError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { endpointKey, type Budget, type ProtocolDriver } from '../protocols/protocol.ts';

/** How many refreshes an endpoint gets from all processes on one store. */
export interface EndpointBudget extends Budget {
  /** A host with its port where it is not the usual one (`accounts.zoho.com`), or a token endpoint (URL, or host and path). */
  readonly endpoint: string;
}

/** A budget, and the name under which it is kept. */
export interface NamedBudget {
  readonly name: string;
  readonly budget: Budget;
}

/** Finds the budget of an endpoint: what the operator set for it, then for its host, then what the protocol knows. */
export class Budgets {
  readonly #byName: ReadonlyMap<string, Budget>;
  /** What drivers said, for those who know no more than the endpoint. */
  readonly #known = new Map<string, Budget>();

  constructor(budgets: readonly EndpointBudget[]) {
    this.#byName = new Map(budgets.map(({ endpoint, requests, perMs }) => [nameOf(endpoint), { requests, perMs }]));
  }

  find(endpoint: string, driver?: ProtocolDriver, config?: JsonObject): NamedBudget | null {
    const place = endpoint.replace(/^[a-z]+:\/\//, '');
    const host = place.split('/', 1)[0] ?? place;
    for (const name of [endpoint, place, host]) {
      const budget = this.#byName.get(name);
      if (budget) return { name, budget };
    }
    const said = driver && config ? driver.budget?.(config) : undefined;
    if (said) this.#known.set(endpoint, said);
    const budget = this.#known.get(endpoint);
    return budget ? { name: endpoint, budget } : null;
  }
}

function nameOf(endpoint: string): string {
  return endpoint.includes('://') ? endpointKey(endpoint) : endpoint.toLowerCase();
}

const budgetsSchema = z.array(
  z.strictObject({
    endpoint: z.string().min(1).max(400),
    requests: z.int().positive(),
    /** A day at most: slots are kept for as long. */
    perMs: z.int().positive().max(86_400_000),
  }),
);

/**
 * Reads budgets from text: `HOST=REQUESTS/SECONDS`, several of them with commas between (`accounts.zoho.com=5/60`).
 *
 * @param source names where the text came from
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`
 */
export function parseBudgets(text: string, source: string): readonly EndpointBudget[] {
  const budgets = text.split(',').map((part) => {
    const [, endpoint = '', requests, seconds] = /^\s*([^\s=,]+)=(\d{1,9})\/(\d{1,5})\s*$/.exec(part) ?? [];
    return { endpoint, requests: Number(requests), perMs: Number(seconds) * 1_000 };
  });
  if (budgetsSchema.safeParse(budgets).success) return budgets;
  throw new ConfigurationError(
    'ERR_CONFIG_MALFORMED',
    `The setting ${source} must be a list of HOST=REQUESTS/SECONDS, for example accounts.zoho.com=5/60.`,
  );
}

/** @throws TypeError for anything that is no list of budgets */
export function requireBudgets(budgets: unknown): void {
  if (budgetsSchema.safeParse(budgets).success) return;
  throw new TypeError('Expected budgets to be a list of { endpoint, requests, perMs } with whole positive numbers.');
}
