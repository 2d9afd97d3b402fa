import type { CredentialRecord } from './lifecycle/credential.ts';
import type { EventFilter, FollowedEvent } from './outbox/event-filter.ts';
import type { EventFollower } from './outbox/follower.ts';
import type { FollowOptions } from './outbox/outbox.ts';
import type { RotationSummary } from './lifecycle/rotation/progress.ts';
import type { Directory } from './protocols/directory.ts';
import type { Material, TestResult } from './protocols/protocol.ts';
import type { CredentialChanges } from './verbs/update.ts';
import type { CredentialUsage, CredentialUser } from './storage/ledger.ts';
import type { RecordFilter, UnreadableRecord } from './storage/record-store.ts';

/**
 * What a host such as n8n sees of an engine, whether the engine runs in the same process or as a service elsewhere.
 * A handle is a capability: whoever holds one has proven that he may use it.
 */
export interface EngineClient {
  /**
   * The credential that a person typed into the host. Its id is a keyed hash over protocol, endpoint, client, scopes and
   * secret; the first call registers it, later calls find it. A wrong secret finds nothing that is not its own.
   */
  adopted(entry: AdoptedEntry): Promise<CredentialHandle>;
  /** A credential of the engine, by id and access key. @throws AccessError `ERR_ACCESS_DENIED` */
  managed(id: string, accessKey: string): Promise<CredentialHandle>;
  /** The lifecycle verbs that an access key allows. @throws AccessError `ERR_ACCESS_DENIED` */
  operator(accessKey: string): Promise<OperatorHandle>;
}

export interface AdoptedEntry {
  readonly name: string;
  readonly protocol: string;
  readonly config: unknown;
  readonly secret: unknown;
}

export interface UseOptions {
  /** Who uses it, for the record of uses. */
  readonly usedBy?: CredentialUser;
  readonly signal?: AbortSignal;
}

/** What was decided about material that an API seemed to refuse. */
export interface RejectionDecision {
  readonly decision: 'alreadyRefreshed' | 'stillAccepted' | 'refreshed' | 'notRefreshed';
  readonly reason: string;
  readonly generation: number;
}

/** What may be asked of a directory credential. It does not hold the account behind it. */
export type DirectoryHandle = Omit<Directory, 'account'>;

export interface CredentialHandle {
  readonly id: string;
  readonly protocol: string;
  use(options?: UseOptions): Promise<Material>;
  /** Requests to the directory, for credentials of the protocol ldap. @throws ConfigurationError `ERR_CREDENTIAL_PROTOCOL_MISMATCH` */
  directory(options?: UseOptions): Promise<DirectoryHandle>;
  /** Generation of the current grant; 0 before the first one. */
  generation(): Promise<number>;
  /** Says that a request with material of `generation` failed. Refreshes only when the other side confirms it. */
  reportRejected(generation: number): Promise<RejectionDecision>;
  /** With `cached` a test of the last 5 minutes will do, as `CredentialEngine.test` says. */
  test(options?: { readonly cached?: boolean }): Promise<TestResult>;
}

/** State of a credential without any secret. */
export type CredentialSummary = Pick<
  CredentialRecord,
  | 'id'
  | 'name'
  | 'protocol'
  | 'ownerId'
  | 'scopeId'
  | 'tags'
  | 'origin'
  | 'state'
  | 'stateChangedAt'
  | 'reason'
  | 'health'
  | 'healthChangedAt'
  | 'generation'
  | 'issuedAt'
  | 'expiresAt'
  | 'refreshable'
  | 'grantExpiresAt'
  | 'idleExpiresAt'
  | 'secretExpiresAt'
  | 'rotationPolicy'
  | 'failure'
  | 'lastRefreshedAt'
  | 'createdAt'
  | 'pausedAt'
  | 'testEveryMs'
  | 'toldEnds'
> & {
  /** Whether scheduled work on it rests. */
  readonly paused: boolean;
  readonly endpoint: string;
  /** When the scheduler looks at it next, for whatever; `null` for never. */
  readonly dueAt: Date | null;
  /** Where the rotation of its secret is. */
  readonly rotation: RotationSummary;
  /** Until when the secret must have been replaced: its own end, or its greatest age; `null` when nothing says so. */
  readonly rotateBy: Date | null;
};

/** A page of credentials. `unreadable` are those whose record cannot be read: named and left as they are. */
export interface CredentialPage {
  readonly credentials: readonly CredentialSummary[];
  readonly unreadable: readonly UnreadableRecord[];
  readonly nextCursor: string | null;
}

/** A sign-in of a person on a device of his own. Code and links are for that person alone. */
export interface DeviceAuthorization {
  readonly credentialId: string;
  /** Names the sign-in for who waits for it. */
  readonly authorizationId: string;
  readonly userCode: string;
  readonly verificationUri: string;
  /** With the code in it already; `null` where the server has none. */
  readonly verificationUriComplete: string | null;
  readonly expiresAt: Date;
}

/** How a sign-in on a device stands: `waiting` says that the limit came first, and that it may be waited for again. */
export interface DeviceAuthorizationOutcome {
  readonly status: 'authorized' | 'denied' | 'expired' | 'waiting';
  readonly credential: CredentialSummary;
  /** What its owner should know at once; `null` for nothing. */
  readonly advice: string | null;
}

export interface AwaitOptions {
  /** How long to wait at most, in ms; the other side is asked once at least. Default: until the code expires. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Each verb needs the scope of its name; a missing one is `ERR_ACCESS_SCOPE_MISSING`. `get`, `usage` and events go with `list`,
 * `resume` with `pause`, `awaitAuthorization` with `authorize`.
 */
export interface OperatorHandle {
  list(filter?: RecordFilter): Promise<CredentialPage>;
  get(id: string): Promise<CredentialSummary>;
  /** Makes sure that the credential is usable now, and says so without handing out material. */
  use(id: string, options?: UseOptions): Promise<Pick<CredentialSummary, 'id' | 'state' | 'expiresAt' | 'generation'>>;
  test(id: string): Promise<TestResult>;
  refresh(id: string): Promise<CredentialSummary>;
  rotate(id: string): Promise<CredentialSummary>;
  /** Needs the scope `rotate`. */
  rollback(id: string): Promise<CredentialSummary>;
  revoke(id: string): Promise<CredentialSummary>;
  pause(id: string): Promise<CredentialSummary>;
  resume(id: string): Promise<CredentialSummary>;
  update(id: string, changes: CredentialChanges): Promise<CredentialSummary>;
  delete(id: string): Promise<void>;
  /** Who used these credentials, and when last; those that nobody used are missing. */
  usage(ids: readonly string[]): Promise<readonly CredentialUsage[]>;
  /** Begins the sign-in of a person who enters a code on a device of his own. @throws `ERR_AUTHORIZATION_UNSUPPORTED` */
  authorize(id: string): Promise<DeviceAuthorization>;
  /** Waits for its end; also for one that was begun before a restart. @throws `ERR_AUTHORIZATION_UNKNOWN`, `ERR_AUTHORIZATION_REPLAYED` */
  awaitAuthorization(id: string, authorizationId: string, options?: AwaitOptions): Promise<DeviceAuthorizationOutcome>;
  /**
   * Follows the events of what may be listed, under a name that is remembered; without one only until the process ends. Whether
   * the key still allows it is asked again before each look.
   */
  follow(followerId: string | null, options?: FollowOptions): Promise<EventFollower>;
  /** The newest stored event of what may be listed; `null` when there is none. */
  newestEvent(filter?: EventFilter): Promise<FollowedEvent | null>;
}

export const ACCESS_SCOPES = [
  'use',
  'list',
  'test',
  'refresh',
  'rotate',
  'revoke',
  'pause',
  'update',
  'authorize',
  'delete',
] as const;
export type AccessScope = (typeof ACCESS_SCOPES)[number];
