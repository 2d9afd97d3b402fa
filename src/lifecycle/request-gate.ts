import type { CredentialError } from '../errors.ts';
import type { Opened } from './effects.ts';

/** What kind of request asks to pass. */
export interface Passage {
  /**
   * It presents a token again inside the server's reuse grace window. Nothing keeps it back: a few seconds later the grant
   * would be lost.
   */
  readonly isUrgent: boolean;
  /** A person asked for it by hand: it may find out whether a refused app is accepted again. */
  readonly isRequested: boolean;
}

/** Stands before the requests that obtain grants, and remembers how each endpoint fared. */
export interface RequestGate {
  /**
   * Makes the request when its endpoint may be asked now, and remembers the outcome.
   *
   * @throws TransientError `ERR_ENDPOINT_CIRCUIT_OPEN`, `ERR_ENDPOINT_PAUSED`, `ERR_ENDPOINT_BUDGET_SPENT`, `ERR_APP_REFUSED`
   *   with `retryAfterMs`: the request was not made (`isHeldBack`); otherwise what the request throws.
   */
  pass<T>(opened: Opened, passage: Passage, request: () => Promise<T>): Promise<T>;
  /** How long the endpoint's budget takes for all of its credentials, in ms; 0 without a budget. */
  crowdMs(endpoint: string | null): Promise<number>;
  /** Whether work at the endpoint should be begun. */
  openness(endpoint: string): Promise<Openness>;
}

/** Whether an endpoint may be asked now. */
export interface Openness {
  /** 0 when it may. */
  readonly waitMs: number;
  /** Whether it is being tried after failures: then one request at a time. */
  readonly isTried: boolean;
}

const HELD_BACK = new Set<string>([
  'ERR_ENDPOINT_CIRCUIT_OPEN',
  'ERR_ENDPOINT_PAUSED',
  'ERR_ENDPOINT_BUDGET_SPENT',
  'ERR_APP_REFUSED',
]);

/** Whether the gate kept the request back: nothing was sent, and nothing is known against the credential. */
export function isHeldBack(error: Pick<CredentialError, 'code'>): boolean {
  return HELD_BACK.has(error.code);
}
