import type { JsonObject } from '../json.ts';
import type { CredentialId, SecretPointer } from '../lifecycle/credential.ts';
import type { TestResult } from '../protocols/protocol.ts';

/** What is known of an endpoint (host and path, never a query). One writer wins: compare-and-set on `revision`. */
export interface EndpointState {
  readonly endpoint: string;
  /** Counts writes; 1 for the first. */
  readonly revision: number;
  /** The endpoint asked for no request before this instant (`Retry-After`). */
  readonly retryAfterAt: Date | null;
  /** The circuit breaker's own state, as it saves it. */
  readonly breaker: JsonObject | null;
  /** What is left of a rate budget, as its keeper saves it. */
  readonly budget: JsonObject | null;
  readonly updatedAt: Date;
}

/** A value that must still be ended at the other side. It is forgotten when that succeeded, never before. */
export interface PendingRevocation {
  readonly revocationId: string;
  readonly credentialId: CredentialId;
  /** Where the sealed value is; `null` when the record alone is enough. */
  readonly value: SecretPointer | null;
  readonly tries: number;
  /** When to try next. */
  readonly dueAt: Date;
  readonly createdAt: Date;
}

/** Something that an owner was told once and will not be told again before it has ended. */
export interface NoticeEpisode {
  readonly credentialId: CredentialId;
  /** For example `expiringSoon`. */
  readonly kind: string;
  /** The event that told it. */
  readonly eventId: string;
  readonly openedAt: Date;
}

/** The last test of a credential, and what it tested. */
export interface StoredTest {
  readonly credentialId: CredentialId;
  readonly generation: number;
  /** Names the settings and the secret that were tested: another text for others. */
  readonly configVersion: string;
  readonly result: TestResult;
}

/** Somebody who is told of events by signed HTTP requests. Its signing key is derived, so that none is stored. */
export interface StoredWebhook {
  readonly webhookId: string;
  readonly url: string;
  /** Event types that it wants; empty for all. */
  readonly types: readonly string[];
  /** Only events of this owner's credentials; `null` for all. */
  readonly ownerId: string | null;
  readonly allowInsecureTransport: boolean;
  /** Counts its signing keys; 1 for the first. */
  readonly keyGeneration: number;
  /** Until then requests carry a signature by the key before, too. */
  readonly previousKeyUntil: Date | null;
  readonly createdAt: Date;
}

/** How far the events were delivered to one webhook. One writer wins: compare-and-set on `revision`. */
export interface DeliveryState {
  readonly webhookId: string;
  readonly revision: number;
  /** Of the last event that needs no delivery any more. */
  readonly cursor: number;
  /** Failed tries of the event that comes next. */
  readonly tries: number;
  /** Nothing is sent before this instant. */
  readonly retryNotBefore: Date | null;
  readonly delivered: number;
  /** Events that the receiver refused until they were left out. */
  readonly leftOut: number;
  /** Events that were pruned before they could be delivered. */
  readonly missed: number;
  readonly lastDeliveredAt: Date | null;
  /** The last failure as sentence with its code; `null` after a success. */
  readonly failure: string | null;
}

/** Who uses a credential, as the caller of `use` names himself: for example a workflow, or a credential type of n8n. */
export interface CredentialUser {
  readonly kind: string;
  readonly id: string;
}

/** How often somebody used a credential, and when last. */
export interface UsesOfUser {
  /** `null` when nobody said who it was. */
  readonly usedBy: CredentialUser | null;
  readonly uses: number;
  readonly lastUsedAt: Date;
}

/** Uses of one credential that were counted meanwhile. */
export interface CountedUses {
  readonly credentialId: CredentialId;
  readonly uses: number;
  readonly lastUsedAt: Date;
  /** `MOST_USERS` at most; of what is stored, the last one first. */
  readonly users: readonly UsesOfUser[];
}

/** All uses of one credential. Of its users the last ones are known by name; `uses` counts those of all. */
export type CredentialUsage = CountedUses;

/** Of more users than this the one who was there longest ago is forgotten. */
export const MOST_USERS = 20;

/** How far somebody has got who follows the events under a name. One writer wins: compare-and-set on `revision`. */
export interface FollowerState {
  readonly followerId: string;
  readonly revision: number;
  /** Of the last event that, with all before it, needs not be given to him any more. */
  readonly cursor: number;
  /** Ids of later events that he has dealt with already. */
  readonly ahead: readonly string[];
  /** Up to where pruned events are known of. */
  readonly prunedThrough: number;
  /** Events were pruned before he got them, and he has not been told so yet. */
  readonly missed: boolean;
  /** When he is forgotten, unless he comes back before. */
  readonly forgetAt: Date;
}

/** What must outlive a process besides the records. Every write is durable when it returns. */
export interface LedgerStore {
  getEndpointState(endpoint: string): Promise<EndpointState | null>;
  /** Writes revision `expectedRevision + 1` (0: the first), or returns false and writes nothing. */
  compareAndSetEndpointState(state: EndpointState, expectedRevision: number): Promise<boolean>;

  /**
   * True for the first caller with this key, in any process, and false for everybody after him: against replays (`jti`,
   * assertion ids). The key is kept at least until `until`, when the replayed thing is refused for its age.
   */
  consumeOnce(key: string, until: Date): Promise<boolean>;
  /** Forgets keys whose `until` has passed. Returns how many. */
  forgetConsumed(now: Date): Promise<number>;

  /** Adds a pending revocation, or replaces the one with its id. */
  putPendingRevocation(revocation: PendingRevocation): Promise<void>;
  /** Those due at `now`, most urgent first. */
  listPendingRevocations(options: { now: Date; limit: number }): Promise<readonly PendingRevocation[]>;
  removePendingRevocation(revocationId: string): Promise<void>;

  /** True when this call opened the episode; false while one of the same credential and kind is open. */
  openNotice(episode: NoticeEpisode): Promise<boolean>;
  /** Ends an episode. Returns whether one was open. */
  closeNotice(credentialId: CredentialId, kind: string): Promise<boolean>;
  /** Open episodes of a credential, by kind. */
  listNotices(credentialId: CredentialId): Promise<readonly NoticeEpisode[]>;

  putTest(test: StoredTest): Promise<void>;
  getTest(credentialId: CredentialId): Promise<StoredTest | null>;

  /** Adds what was counted to what is known, in one write. Counts of credentials that are not there are dropped. */
  addUses(counted: readonly CountedUses[]): Promise<void>;
  /** What is known of the uses of these credentials; those that nobody used are missing. */
  getUsage(credentialIds: readonly CredentialId[]): Promise<readonly CredentialUsage[]>;

  /** Adds a webhook, or replaces the one with its id. */
  putWebhook(webhook: StoredWebhook): Promise<void>;
  getWebhook(webhookId: string): Promise<StoredWebhook | null>;
  /** All webhooks, by id. */
  listWebhooks(): Promise<readonly StoredWebhook[]>;
  /** Removes a webhook and its delivery state. Returns whether there was one. */
  removeWebhook(webhookId: string): Promise<boolean>;
  getDelivery(webhookId: string): Promise<DeliveryState | null>;
  /** Writes revision `expectedRevision + 1` (0: the first), or returns false and writes nothing. */
  compareAndSetDelivery(state: DeliveryState, expectedRevision: number): Promise<boolean>;

  getFollower(followerId: string): Promise<FollowerState | null>;
  /** Writes revision `expectedRevision + 1` (0: the first), or returns false and writes nothing. */
  compareAndSetFollower(state: FollowerState, expectedRevision: number): Promise<boolean>;
  /** Forgets followers whose `forgetAt` has passed. Returns how many. */
  forgetFollowers(now: Date): Promise<number>;
}
