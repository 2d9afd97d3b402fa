import { ConfigurationError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Ports } from '../ports.ts';
import type { Secret } from '../secret.ts';

/** What a caller puts on its request. */
export interface Material {
  readonly headers: Readonly<Record<string, string>>;
  /** `null` when the other side did not say. */
  readonly expiresAt: Date | null;
  /** Give this to `reportRejected` when the other side refuses the material. */
  readonly generation: number;
}

/** What a driver works with: parsed settings and the unsealed values, for the length of one call. */
export interface DriverInput {
  readonly config: JsonObject;
  readonly registered: Secret<JsonObject>;
  readonly grant: Secret<JsonObject> | null;
  readonly signal: AbortSignal;
}

/** A grant as the other side gave it, with absolute instants by the local clock. */
export interface Issued {
  readonly grant: Secret<JsonObject>;
  readonly issuedAt: Date;
  readonly expiresAt: Date | null;
  readonly refreshable: boolean;
}

/** What is known about a refresh before it is made. */
export interface RefreshTraits {
  /** The token that the refresh spends, when it can be used only once: such a refresh is never repeated blindly. */
  readonly spends: Secret<string> | null;
  /** How long the other side still accepts a spent token (its reuse grace window); 0 when it has none. */
  readonly reuseGraceMs: number;
  /** Longest time that one refresh request can take. */
  readonly deadlineMs: number;
}

export interface TestResult {
  readonly success: boolean;
  readonly message: string;
  readonly details: {
    readonly latencyMs: number;
    readonly endpoint: string;
    readonly permissionsVerified: readonly string[];
    readonly metadata: Readonly<Record<string, string>>;
  };
  readonly testedAt: Date;
}

/** Whether the other side still accepts the material: its own word, or none to be had. */
export type Confirmation = 'accepted' | 'rejected' | 'unconfirmable';

/**
 * One protocol. A driver keeps no state, writes nothing and knows neither store nor machine: it turns settings and
 * secrets into requests, and answers into grants, material or errors of the catalogue.
 */
export interface ProtocolDriver {
  readonly protocol: string;
  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field. */
  parseConfig(config: unknown): JsonObject;
  /** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field, never its value. */
  parseSecret(secret: unknown, config: JsonObject): JsonObject;
  /** What tells two credentials apart besides their secrets: endpoint, client, scopes. */
  identity(config: JsonObject): JsonObject;
  /** Where the credential belongs, for people. Holds no secret. */
  endpoint(config: JsonObject): string;
  refreshTraits(input: Omit<DriverInput, 'signal'>): RefreshTraits;
  /** Obtains the next grant. Calls `beforeSend` once, right before the first byte that may spend a token leaves. */
  refresh(input: DriverInput, beforeSend: () => Promise<void>): Promise<Issued>;
  /** Turns a grant into material. Pure. */
  material(grant: Secret<JsonObject>): Pick<Material, 'headers'>;
  /** Asks the other side whether the grant is still accepted. */
  confirm(input: DriverInput): Promise<Confirmation>;
  /** Proves the grant against the other side. Failures of the credential are results, not errors. */
  test(input: DriverInput): Promise<TestResult>;
  /** Ends the grant at the other side, when it offers that. */
  revoke(input: DriverInput): Promise<'revoked' | 'unsupported'>;
}

export type DriverFactory = (ports: Ports) => ProtocolDriver;

/** The drivers by protocol name. */
export class ProtocolRegistry {
  readonly #drivers: ReadonlyMap<string, ProtocolDriver>;

  constructor(drivers: readonly ProtocolDriver[]) {
    this.#drivers = new Map(drivers.map((driver) => [driver.protocol, driver]));
  }

  /** @throws ConfigurationError `ERR_CONFIG_UNKNOWN_PROTOCOL` */
  driver(protocol: string): ProtocolDriver {
    const driver = this.#drivers.get(protocol);
    if (driver) return driver;
    const known = [...this.#drivers.keys()].join(', ');
    throw new ConfigurationError('ERR_CONFIG_UNKNOWN_PROTOCOL', `The protocol is not one of: ${known}.`);
  }
}
