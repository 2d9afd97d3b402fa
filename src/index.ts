export { createEmbeddedClient } from './embedded-client.ts';
export type {
  Authorization,
  AuthorizationAnswer,
  AuthorizeOptions,
  Reauthorized,
  ReauthorizeOptions,
} from './authorizations.ts';
export { CredentialEngine } from './engine.ts';
export type { EngineOptions, MasterKey, Registered, RegisterInput } from './engine.ts';
export type { EndpointBudget } from './resilience/budgets.ts';
export { ACCESS_SCOPES } from './client.ts';
export type {
  AccessScope,
  AdoptedEntry,
  CredentialHandle,
  CredentialSummary,
  DirectoryHandle,
  EngineClient,
  OperatorHandle,
  RejectionDecision,
  UseOptions,
} from './client.ts';
export {
  AccessError,
  ConfigurationError,
  CredentialError,
  ERROR_CATALOGUE,
  InternalError,
  isCredentialError,
  KeyRingError,
  ProtocolError,
  ReauthorizationRequiredError,
  StorageError,
  TransientError,
} from './errors.ts';
export type { ErrorCode, ErrorKind } from './errors.ts';
export type { InspectionAddress } from './inspection/address.ts';
export { publishInspection } from './inspection/publisher.ts';
export type { Inspectable, Publication } from './inspection/publisher.ts';
export { InspectionRelay } from './inspection/relay.ts';
export type { RelayOptions } from './inspection/relay.ts';
export type { Traffic } from './inspection/switchboard.ts';
export type { CredentialId, LifecycleState, Reason, StatePath } from './lifecycle/credential.ts';
export { EVENT_TYPES } from './lifecycle/events.ts';
export type { CredentialEvent, EventType } from './lifecycle/events.ts';
export type { Inspector } from './lifecycle/inspect.ts';
export { credentialMachine } from './lifecycle/machine.ts';
export type { ClaimInput, MachineEvent, MachineInput, Outcome, RevokeInput, SendInput } from './lifecycle/machine.ts';
export type { CredentialChanges } from './verbs/update.ts';
export type { HealthOptions } from './engine-options.ts';
export type { Maintained, RetentionOptions } from './maintenance/retention.ts';
export { verifyWebhookSignature } from './webhooks/signature.ts';
export type { SignatureVerdict, VerifyOptions, WebhookHeaders } from './webhooks/signature.ts';
export type { NewWebhook, WebhookStatus } from './webhooks/webhook.ts';
export type { Webhooks, WebhookTest } from './webhooks/webhooks.ts';
export { silentLogger, systemClock, systemFetch, systemRandom } from './ports.ts';
export type { ClientTls, Clock, Fetch, FetchInit, Logger, Ports, RandomSource } from './ports.ts';
export { BasicDriver } from './protocols/basic/driver.ts';
export type { BasicDriverOptions } from './protocols/basic/driver.ts';
export type { BasicRotationHook, BasicRotationStep } from './protocols/basic/rotation.ts';
export type {
  Authentication,
  AuthenticationRefusal,
  Directory,
  DirectoryAccount,
  DirectoryEntry,
  DirectoryResult,
  DirectorySearch,
  DirectoryUser,
  UserName,
  UserOptions,
} from './protocols/directory.ts';
export { escapeLdapDn } from './protocols/ldap/dn.ts';
export { escapeLdapFilter } from './protocols/ldap/filter.ts';
export { parseLdapUrl } from './protocols/ldap/url.ts';
export type { LdapUrl, SearchScope } from './protocols/ldap/url.ts';
export type {
  AuthorizationCompletion,
  AuthorizationDriver,
  AuthorizationPrompt,
  BegunAuthorization,
  Confirmation,
  DriverInput,
  Entered,
  Issued,
  Material,
  ProofRequest,
  ProtocolDriver,
  RefreshTraits,
  TestResult,
  TestTraits,
} from './protocols/protocol.ts';
export type { JsonObject } from './json.ts';
export { Secret } from './secret.ts';
export type { RecordFilter, StateCounts } from './storage/record-store.ts';
export { restoreBackup } from './storage/restore.ts';
export type { Restored, RestoreOptions, StoreAge } from './storage/restore.ts';
export { FileAnchor } from './vault/anchor.ts';
export type { Anchor } from './vault/anchor.ts';
export type { DataKeyStatus } from './vault/key-ring.ts';
export type { KeyProgress, KeyWorkOptions } from './vault/key-work.ts';
export type { KeyRingStatus, Keys } from './vault/keys.ts';
export type { LeftReason, ReEncryption } from './vault/re-encrypt.ts';
export type { SealVerdict, UnreadableValue, Verification } from './vault/verify.ts';
export { HeldLease } from './lease/held-lease.ts';
export type { HoldOptions } from './lease/held-lease.ts';
export type { Lease, LeaseStore } from './lease/lease.ts';
export { openLeases } from './lease/open.ts';
export { AUTH_EVENT_TYPES } from './sessions/audit.ts';
export type { AuthEvent, AuthEventType } from './sessions/audit.ts';
export { AuthStorage } from './sessions/auth-storage.ts';
export type { AuthAuditReport, AuthStatistics, AuthStorageOptions, ItemAge } from './sessions/auth-storage.ts';
export { openAuthStorage } from './sessions/open.ts';
export type { NewSession, StoredSession } from './sessions/sessions.ts';
export type { KeyedHash, NewToken, StoredToken } from './sessions/tokens.ts';
export { getSecrets, putSecrets } from './storage/batch.ts';
export type { BatchOptions, BatchResult, SecretValue } from './storage/batch.ts';
export type { RecordStore } from './storage/record-store.ts';
export type { SecretFilter, SecretKey, SecretMetadata, SecretStore } from './storage/secret-store.ts';
export { openStores } from './storage/open.ts';
export type { Stores } from './storage/stores.ts';
export { N8nWatch, type WatchingEngine, type WatchRound } from './watch/n8n-watch.ts';
export type { N8nConnection } from './protocols/n8n/config.ts';
export type { EventFilter, FollowedEvent } from './outbox/event-filter.ts';
export type { EventBatch, EventFollower } from './outbox/follower.ts';
export type { FollowOptions, Outbox } from './outbox/outbox.ts';
export type { OutboundOptions } from './outbound/policy.ts';
export { PROFILE_NAMES, refreshTokenAdvice, type ProfileName } from './protocols/oauth2/profile.ts';
