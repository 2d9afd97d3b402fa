import { z } from 'zod/v4';
import { TransientError, type CredentialError } from '../errors.ts';
import type { Passage } from '../lifecycle/request-gate.ts';
import type { Ports } from '../ports.ts';
import type { EndpointFacts, EndpointMemory } from './endpoint-memory.ts';

/** How often those who are held back look again whether the incident is over; they ask nobody but the store. */
const LOOK_AGAIN_MS = 600_000;
/** How often one of them may find out by a request of its own. */
const CHECK_AGAIN_MS = 3_600_000;
/** How the id of a credential begins that a person typed into a host. */
const ADOPTED = 'ad_';
const REFUSALS = new Set<string>(['ERR_OAUTH2_INVALID_CLIENT']);

const instant = z.iso.datetime().transform((text) => new Date(text));
const incidentSchema = z.strictObject({ credentialId: z.string(), refusedAt: instant, checkAt: instant });

/** One app is refused: for all of its credentials, told by the first. */
type Incident = z.output<typeof incidentSchema>;

/**
 * Incidents of apps (OAuth 2.0 clients with their secret). The first credential whose app is refused is blamed and says so;
 * the others of the same app wait and point at it. Another secret is another app.
 */
export class AppIncidents {
  readonly #memory: EndpointMemory;
  readonly #ports: Ports;

  constructor(memory: EndpointMemory, ports: Ports) {
    this.#memory = memory;
    this.#ports = ports;
  }

  /**
   * Lets a request of the app pass. Returns whether an incident is open.
   *
   * @throws TransientError `ERR_APP_REFUSED`
   */
  async admit(appId: string, credentialId: string, { isUrgent, isRequested }: Passage): Promise<boolean> {
    const seen = parseIncident(await this.#memory.read(appId));
    if (seen === null) return false;
    if (isUrgent || isRequested || seen.credentialId === credentialId) return true;
    const mayCheck = await this.#memory.change(appId, (facts) => {
      const incident = parseIncident(facts);
      const now = this.#ports.clock.now();
      if (incident !== null && !isOver(incident.checkAt, now)) return { facts: null, result: false };
      return { facts: incident && withIncident(facts, { ...incident, checkAt: later(now) }), result: true };
    });
    if (mayCheck) return true;
    throw heldBack(seen);
  }

  /** What a refusal means: the first one blames the app, the others of the same app point at it. */
  async refused(appId: string, credentialId: string, error: CredentialError): Promise<CredentialError> {
    if (!REFUSALS.has(error.code)) return error;
    const incident = await this.#memory.change(appId, (facts) => {
      const now = this.#ports.clock.now();
      const known = parseIncident(facts) ?? { credentialId, refusedAt: now, checkAt: now };
      const next = { ...known, checkAt: later(now) };
      return { facts: withIncident(facts, next), result: next };
    });
    if (incident.credentialId !== credentialId) return heldBack(incident);
    this.#ports.logger.warn(
      { credentialId, code: error.code, appId },
      'The other side refuses an app: all credentials that share it wait for it.',
    );
    return error;
  }

  /** The app was accepted: whoever waits for it goes on at his next look. */
  async accepted(appId: string): Promise<void> {
    const ended = await this.#memory.change(appId, (facts) => {
      const incident = parseIncident(facts);
      return { facts: incident && { ...facts, breaker: null }, result: incident !== null };
    });
    if (ended) this.#ports.logger.info({ appId }, 'The other side accepts an app again.');
  }
}

function parseIncident({ breaker }: EndpointFacts): Incident | null {
  if (breaker === null) return null;
  const result = incidentSchema.safeParse(breaker);
  return result.success ? result.data : null;
}

function withIncident(facts: EndpointFacts, { credentialId, refusedAt, checkAt }: Incident): EndpointFacts {
  const breaker = { credentialId, refusedAt: refusedAt.toISOString(), checkAt: checkAt.toISOString() };
  return { ...facts, breaker };
}

/** Past, or further away than it can be: then the clock that wrote it was wrong. */
function isOver(checkAt: Date, now: Date): boolean {
  const waitMs = checkAt.getTime() - now.getTime();
  return waitMs <= 0 || waitMs > CHECK_AGAIN_MS;
}

function later(now: Date): Date {
  return new Date(now.getTime() + CHECK_AGAIN_MS);
}

/** Ids of adopted credentials are not for show: whoever typed the same secret is not told who did so before. The log says it. */
function heldBack({ credentialId }: Incident): TransientError {
  const first = credentialId.startsWith(ADOPTED) ? 'another credential' : credentialId;
  return new TransientError('ERR_APP_REFUSED', `The app of this credential is refused, first for ${first}.`, {
    retryAfterMs: LOOK_AGAIN_MS,
  });
}
