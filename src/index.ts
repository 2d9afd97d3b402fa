export { createEmbeddedClient } from './embedded-client.ts';
export { CredentialEngine } from './engine.ts';
export type { EngineOptions, MasterKey, Registered, RegisterInput } from './engine.ts';
export { ACCESS_SCOPES } from './client.ts';
export type {
  AccessScope,
  AdoptedEntry,
  CredentialHandle,
  CredentialSummary,
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
export type { CredentialId, LifecycleState, Reason, StatePath } from './lifecycle/credential.ts';
export { EVENT_TYPES } from './lifecycle/events.ts';
export type { CredentialEvent, EventType } from './lifecycle/events.ts';
export { credentialMachine } from './lifecycle/machine.ts';
export { silentLogger, systemClock, systemFetch, systemRandom } from './ports.ts';
export type { Clock, Fetch, Logger, Ports, RandomSource } from './ports.ts';
export type { Material, TestResult } from './protocols/protocol.ts';
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
