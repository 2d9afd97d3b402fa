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
export type { Inspector } from './lifecycle/inspect.ts';
export { credentialMachine } from './lifecycle/machine.ts';
export type { ClaimInput, MachineEvent, MachineInput, Outcome, RevokeInput, SendInput } from './lifecycle/machine.ts';
export { silentLogger, systemClock, systemFetch, systemRandom } from './ports.ts';
export type { Clock, Fetch, Logger, Ports, RandomSource } from './ports.ts';
export type {
  Confirmation,
  DriverInput,
  Issued,
  Material,
  ProtocolDriver,
  RefreshTraits,
  TestResult,
} from './protocols/protocol.ts';
export type { JsonObject } from './json.ts';
export { Secret } from './secret.ts';
export type { RecordFilter, StateCounts } from './storage/record-store.ts';
