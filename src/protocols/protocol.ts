import { ConfigurationError, type ErrorCode } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { ClientTls, Ports } from '../ports.ts';
import type { Secret } from '../secret.ts';
import type { Directory } from './directory.ts';

/** A request that a proof is made for. */
export interface ProofRequest {
  readonly method: string;
  readonly url: string;
  /** What the resource server gave in its last `DPoP-Nonce` header, when it asked for one (RFC 9449 §9). */
  readonly nonce?: string | undefined;
}

/** What a caller puts on its request. All of it is SECRET. */
export interface Material {
  readonly headers: Readonly<Record<string, string>>;
  /** Requests to a directory (LDAP), over connections that are kept; absent where headers are what is given. */
  readonly directory?: Directory;
  /** The certificate that the connection has to show: the other side binds the material to it (RFC 8705 §3). */
  readonly tls?: ClientTls;
  /** For material that is bound to a key (RFC 9449): the headers of this one request, instead of `headers`. */
  readonly proof?: (request: ProofRequest) => Promise<Readonly<Record<string, string>>>;
  /** `null` when the other side did not say. */
  readonly expiresAt: Date | null;
  /** Give this to `reportRejected` when the other side refuses the material. */
  readonly generation: number;
  /**
   * True when the store could not be read or written just now: this comes from memory, is good until `expiresAt`, and may be
   * behind what other processes know. Absent otherwise.
   */
  readonly storeDown?: true;
}

/** What a driver works with: parsed settings and the unsealed values, for the length of one call. */
export interface DriverInput {
  readonly config: JsonObject;
  readonly registered: Secret<JsonObject>;
  readonly grant: Secret<JsonObject> | null;
  readonly signal: AbortSignal;
}

/** What the owner entered: settings and secret, both parsed. */
export interface Entered {
  readonly config: JsonObject;
  readonly registered: Secret<JsonObject>;
}

/** What material is made of where there are no tokens. */
export type MaterialInput = Pick<DriverInput, 'config' | 'registered'>;

/** A grant as the other side gave it, with absolute instants by the local clock. */
export interface Issued {
  readonly grant: Secret<JsonObject>;
  readonly issuedAt: Date;
  readonly expiresAt: Date | null;
  readonly refreshable: boolean;
  /** When the grant itself ends, however often it is refreshed (refresh token, session); absent when nobody said. */
  readonly grantExpiresAt?: Date | null;
  /** When the grant lapses unless it is refreshed before. */
  readonly idleExpiresAt?: Date | null;
  /** When the registered secret ends (password, key, certificate). Absent: what was known stays. */
  readonly secretExpiresAt?: Date | null;
  /** By when to refresh although the grant ends later or nobody knows when: a part of it ends, or a life is assumed. */
  readonly refreshBy?: Date | null;
  /** The other side gave the same grant again: until then no refresh brings another one. */
  readonly unchangedUntil?: Date | null;
  /** What its owner should know at once, in plain words without a secret: for example why this cannot be refreshed. */
  readonly advice?: string;
}

/**
 * How the old and the new secret of a credential live beside each other:
 *
 * - `dual`: both are accepted until the old one is retired (two API keys);
 * - `standby`: two accounts alternate; the new secret belongs to the one that is not in use;
 * - `none`: one secret, and from `set` on the old one is dead (the password of one account).
 */
export type RotationOverlap = 'dual' | 'standby' | 'none';

/** What a candidate is made from. */
export interface CandidateInput extends DriverInput {
  /** What was in use before `registered`, where the record still knows it. */
  readonly previous: Secret<JsonObject> | null;
  /** Names this candidate, also in a run after a crash: a label under which what was made elsewhere is found again. */
  readonly attemptId: string;
  /** An earlier run may have made it already. */
  readonly resumed: boolean;
}

/** What a step of a rotation works with. `registered` and `grant` are the ones in use. */
export interface RotationInput extends DriverInput {
  /** The secret that is to replace `registered`, whole. It is sealed durably before the first `set`. */
  readonly candidate: Secret<JsonObject>;
  /**
   * An earlier process began this step and its end is not known: find out before doing it again, with one login at most
   * that can fail.
   */
  readonly resumed: boolean;
}

/**
 * Replaces what the owner entered, in four steps. Each can be run again after a crash at any point and then ends where
 * one run would have ended. A step that fails throws; `ERR_ROTATION_CANDIDATE_REFUSED` says that another candidate may do.
 */
export interface RotationDriver {
  /**
   * Within this time the other side may lock an account after failed logins, in milliseconds. An interrupted `set` is looked
   * into once within it. Absent: 0.
   */
  lockoutWindowMs?(config: JsonObject): number;
  /**
   * Names of the account whose secret is replaced and of the second principal that does it, `null` when the account does it
   * for itself. A second principal that is the same account is refused: it would break itself on the way. Absent: not known.
   */
  accounts?(input: Omit<DriverInput, 'signal'>): { readonly rotated: string; readonly secondPrincipal: string | null };
  overlap(config: JsonObject): RotationOverlap;
  /** Makes a candidate. It changes nothing that is in use; what it makes elsewhere is undone by `retire`. */
  create(input: CandidateInput): Promise<Secret<JsonObject>>;
  /** Makes the other side accept the candidate. */
  set(input: RotationInput): Promise<void>;
  /** Proves the candidate. Answers the grant that comes from it, or `null` when the present grant stays good. */
  test(input: RotationInput): Promise<Issued | null>;
  /** Makes the candidate the one that others use too (labels, pointers at the other side). */
  finish(input: RotationInput): Promise<void>;
  /**
   * Ends a secret that is no longer in use, or a candidate that was dropped. Afterwards `registered` is accepted: where
   * there is only one secret and `retired` may be it, `registered` is brought back.
   */
  retire(input: DriverInput & { readonly retired: Secret<JsonObject> }): Promise<'retired' | 'unsupported'>;
}

/** What a person has to do to sign in. */
export type AuthorizationPrompt =
  | { readonly kind: 'redirect'; readonly url: string }
  | {
      readonly kind: 'device';
      readonly userCode: string;
      readonly verificationUri: string;
      /** The same with the code in it; `null` when the server gives none. */
      readonly verificationUriComplete: string | null;
    };

/** An authorization that has begun at the other side. */
export interface BegunAuthorization {
  readonly prompt: AuthorizationPrompt;
  /** Names it in the answer (`state`, RFC 6749 §4.1.1): random, and known to nobody else. */
  readonly state: Secret<string>;
  /** What completing it takes. It is sealed in the store until then. */
  readonly begun: Secret<JsonObject>;
  readonly expiresAt: Date;
}

export interface AuthorizationCompletion extends DriverInput {
  readonly begun: Secret<JsonObject>;
  /** The parameters that came to the redirect URI; `null` when the other side is asked until the person has decided. */
  readonly parameters: URLSearchParams | null;
  /** The URL that they came to, where the caller gave it. */
  readonly arrivedAt?: string;
  /** Called at each sign that the person has not decided yet. */
  readonly onPending: () => void;
}

/** Lets a person sign in, in two halves with any time and a restart between them. */
export interface AuthorizationDriver {
  /** Whether there is nothing to begin with until a person has signed in. */
  needsPerson(config: JsonObject): boolean;
  /**
   * @param redirectUri Where the other side may send the person back to; `null` for a device that has no browser. The prompt
   *   says which of the two it became.
   * @throws ConfigurationError `ERR_AUTHORIZATION_UNSUPPORTED`
   */
  begin(input: DriverInput, redirectUri: string | null): Promise<BegunAuthorization>;
  /** The `state` in what came back; `null` when there is none, or more than one. */
  stateOf(parameters: URLSearchParams): Secret<string> | null;
  /** Turns the answer into a grant. Calls `beforeSend` right before the answer is spent, if it can be spent only once. */
  complete(input: AuthorizationCompletion, beforeSend: BeforeSend): Promise<Issued>;
}

/** Writes down that a request is about to leave. Its answer tells, without waiting, whether it still may. */
export type BeforeSend = () => Promise<() => void>;

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
  /** Nobody could say whether it is good: nothing is known against it, and its health stays. */
  readonly inconclusive?: true | undefined;
}

/** At most `requests` requests in any window of `perMs`. */
export interface Budget {
  readonly requests: number;
  readonly perMs: number;
}

/** Schemes without TLS: whoever may type one must not be able to say something of the endpoint behind TLS at the same port. */
const PLAIN = new Set(['http:', 'ldap:']);

/**
 * Names what is remembered of an endpoint: host and path, in small letters where case does not count, never a query. One without
 * TLS is another endpoint, and is named with its scheme.
 */
export function endpointKey(endpoint: string): string {
  const url = URL.parse(endpoint);
  if (url === null || url.host === '') return endpoint.slice(0, 400);
  return `${PLAIN.has(url.protocol) ? `${url.protocol}//` : ''}${url.host}${url.pathname}`.slice(0, 400);
}

/** What is known about a test before it is made. */
export interface TestTraits {
  /**
   * The test presents a password or key that a wrong try of counts against its account. Such a test is never repeated by
   * itself once it may have been sent, and no schedule repeats one that failed.
   */
  readonly isLogin: boolean;
  /**
   * Somebody else makes the test and is asked how it went. When he cannot be asked, nothing is known of the credential, and its
   * health stays. Absent: false.
   */
  readonly asksAnother?: boolean;
  /** Failures before anything was presented: such a try counts against no account and is repeated when asked. Absent: none. */
  readonly notPresented?: readonly ErrorCode[];
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
  /**
   * Whether a grant that was had with the settings and secret of before is still the one to go on with after an edit. Absent:
   * only when neither what `identity` tells nor the secret changed.
   */
  keepsGrant?(before: Entered, after: Entered): boolean;
  /** What tells two credentials apart besides their secrets: endpoint, client, scopes. */
  identity(config: JsonObject): JsonObject;
  /** Where the credential belongs, for people. Holds no secret. */
  endpoint(config: JsonObject): string;
  refreshTraits(input: Omit<DriverInput, 'signal'>): RefreshTraits;
  /**
   * Obtains the next grant. Calls `beforeSend` once, as late as it can before the first byte that may spend a token leaves,
   * best when it is connected; and calls what that answers in the very turn in which it writes (`sendOnce` does both for HTTP).
   * When either throws, it sends nothing and throws the same.
   */
  refresh(input: DriverInput, beforeSend: BeforeSend): Promise<Issued>;
  /** Turns a grant into material. No request is made for it. `input` is there where `materialNeedsSecret` asks for it. */
  material(grant: Secret<JsonObject>, input?: MaterialInput): Omit<Material, 'expiresAt' | 'generation'>;
  /** There are no tokens: the material is made of the registered secret. */
  readonly materialNeedsSecret?: boolean;
  /** Asks the other side whether the grant is still accepted. */
  confirm(input: DriverInput): Promise<Confirmation>;
  /** Absent: its tests are logins, so that none is repeated that could lock an account. */
  testTraits?(config: JsonObject): TestTraits;
  /** Proves the grant against the other side. Failures of the credential are results, not errors. */
  test(input: DriverInput): Promise<TestResult>;
  /** Ends the grant at the other side, when it offers that. */
  revoke(input: DriverInput): Promise<'revoked' | 'unsupported'>;
  /** Absent when nobody signs in by this protocol. */
  readonly authorization?: AuthorizationDriver;
  /** How many refreshes the other side allows at that endpoint; absent or `null` when it is not known to count. */
  budget?(config: JsonObject): Budget | null;
  /**
   * What several credentials share at the other side, with its secret (an OAuth 2.0 client): when it is refused, none of them
   * can be refreshed. Absent or `null` when a credential stands for itself.
   */
  app?(input: Omit<DriverInput, 'signal'>): Secret<string> | null;
  /** Absent when this protocol cannot replace a secret by itself. */
  readonly rotation?: RotationDriver;
  /** Gives back what the driver holds open (connections). Called once, when the engine closes. */
  close?(): Promise<void>;
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

  /** Has every driver give back what it holds open. One that fails keeps no other from it. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#drivers.values()].map(async (driver) => driver.close?.()));
  }
}
