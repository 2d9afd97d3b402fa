import { z } from 'zod/v4';
import { isJsonObject, type JsonObject } from '../json.ts';
import { isErrorCode, StorageError, type ErrorCode } from '../errors.ts';
import { count, inPlaceReaderOf, instant } from './in-place.ts';
import { pendingAuthorizationSchema, type PendingAuthorization } from './pending-authorization.ts';
import { rotationPolicySchema, type RotationPolicy } from './rotation/plan.ts';
import { blocksUse, IDLE_ROTATION, rotationProgressSchema, type RotationProgress } from './rotation/progress.ts';

export type CredentialId = string;

/** The five states and what a person needs to know within each. `sent` is the only instant at which a token may be lost. */
export const SUBSTATES = {
  pending: ['unverified', 'misconfigured', 'authorizing'],
  valid: ['fresh', 'expiringSoon', 'degraded'],
  refreshing: ['claimed', 'sent', 'ambiguous'],
  expired: ['retrying', 'needsUser'],
  revoked: ['byUser', 'upstream'],
} as const;

export type LifecycleState = keyof typeof SUBSTATES;
export type StatePath = { [S in LifecycleState]: `${S}.${(typeof SUBSTATES)[S][number]}` }[LifecycleState];
export type Health = 'unknown' | 'healthy' | 'failing';

export const STATE_PATHS: readonly StatePath[] = [
  'pending.unverified',
  'pending.misconfigured',
  'pending.authorizing',
  'valid.fresh',
  'valid.expiringSoon',
  'valid.degraded',
  'refreshing.claimed',
  'refreshing.sent',
  'refreshing.ambiguous',
  'expired.retrying',
  'expired.needsUser',
  'revoked.byUser',
  'revoked.upstream',
];

/** Why a credential is in its state. These words reach logs, events and a host's output unchanged. */
export const REASONS = [
  'registered',
  'refreshRequested',
  'refreshDue',
  'firstUse',
  'rejectedByApi',
  'rejectionConfirmed',
  'recovering',
  'refreshed',
  'transientFailure',
  'configurationFailure',
  'grantRefused',
  'answerLost',
  'ambiguousRefresh',
  'storeRolledBack',
  'expiryReached',
  'revokedByUser',
  'authorized',
  'authorizationFailed',
  'authorizationInterrupted',
  'revokedUpstream',
  'keepAlive',
  'settingsChanged',
] as const;
export type Reason = (typeof REASONS)[number];

export type FailureClass = 'permanent' | 'transient' | 'configuration' | 'clock';

/** The last failure as stored: code and sentence, never a body, a token or a cause. */
export interface RecordedFailure {
  readonly class: FailureClass;
  readonly code: ErrorCode;
  readonly message: string;
  readonly at: Date;
}

/** Which of a credential's sealed values: what its owner entered, what the other side granted, what a sign-in has begun with. */
export type SecretField = 'registered' | 'grant' | 'authorization';

/** Names one immutable sealed value. The record points at the values that count; others are garbage. */
export interface SecretPointer {
  readonly field: SecretField;
  readonly generation: number;
  readonly attemptId: string;
}

export function isSamePointer(one: SecretPointer, other: SecretPointer): boolean {
  return one.field === other.field && one.generation === other.generation && one.attemptId === other.attemptId;
}

/** What of a credential can end: the token in use, the grant behind it, that grant by disuse, what its owner entered. */
export const ENDS = ['token', 'grant', 'idle', 'secret'] as const;
export type End = (typeof ENDS)[number];

/** A notice that was given: of which end, and how long before it. */
export interface ToldEnd {
  readonly end: End;
  readonly endsAt: Date;
  readonly leadMs: number;
}

/** Version of the record's form. `parseRecord` reads every older one. */
export const SCHEMA_VERSION = 2;

/** A credential as the record store keeps it. No secret is in here. */
export interface CredentialRecord {
  readonly schemaVersion: typeof SCHEMA_VERSION;
  readonly id: CredentialId;
  readonly name: string;
  readonly protocol: string;
  readonly ownerId: string | null;
  readonly scopeId: string | null;
  readonly tags: readonly string[];
  /** Entered into a host (`adopted`) or through library and command (`registered`). */
  readonly origin: 'registered' | 'adopted';
  /** The protocol's own settings, as its driver parsed them. */
  readonly config: JsonObject;
  /** Key of the endpoint that its refreshes go to (`endpointKey`); `null` in records of before, until their next refresh. */
  readonly endpoint: string | null;
  readonly state: StatePath;
  readonly stateChangedAt: Date;
  readonly reason: Reason;
  readonly health: Health;
  /** Since when its health is what it is; `null` when it was never tested, or not known. */
  readonly healthChangedAt: Date | null;
  readonly registered: SecretPointer;
  readonly grant: SecretPointer | null;
  /** Sign-ins that have begun, and for a while those that have ended; several may wait at once. */
  readonly authorizations: readonly PendingAuthorization[];
  /** The candidate of a rotation under way: what is to become `registered`. */
  readonly next: SecretPointer | null;
  /** What `registered` was before the last rotation: for the overlap, and to roll back to. */
  readonly previous: SecretPointer | null;
  readonly rotation: RotationProgress;
  /** When the secret is replaced by itself; `null` for never. */
  readonly rotationPolicy: RotationPolicy | null;
  /** Counts committed grants. */
  readonly generation: number;
  /** Why the current grant was obtained. */
  readonly generationReason: Reason;
  /** Counts writes of this record. */
  readonly revision: number;
  readonly issuedAt: Date | null;
  /** `null` when the other side did not say. */
  readonly expiresAt: Date | null;
  /** Whether a new grant can be had without a person. */
  readonly refreshable: boolean;
  /** When the grant itself ends (refresh token, session), however often it is refreshed; `null` when not known. */
  readonly grantExpiresAt: Date | null;
  /** When the grant lapses unless it is refreshed before; `null` when it does not, or nobody said. */
  readonly idleExpiresAt: Date | null;
  /** When what its owner entered ends (password, key, certificate); `null` when not known. */
  readonly secretExpiresAt: Date | null;
  /** How long grants last whose life the other side does not state, learned from its refusals; `null` when not known. */
  readonly learnedLifeMs: number | null;
  /** When the scheduler has to look at the grant next: refresh, recovery, or the end of its life; `null` for never. */
  readonly refreshDueAt: Date | null;
  /** When the next scheduled test is due. */
  readonly testDueAt: Date | null;
  /** When the next step of a rotation is due. */
  readonly rotationDueAt: Date | null;
  /** When its owner has to be told of an end that comes near. */
  readonly noticeDueAt: Date | null;
  /** Since when scheduled work rests; `null` when it does not. What keeps an idle grant alive, and use, go on. */
  readonly pausedAt: Date | null;
  /** Since when it is deleted for people; it stays until the other side was told, which takes its secrets. */
  readonly deletedAt: Date | null;
  /** How often it is tested by schedule; 0 for never, `null` for as often as its engine tests. */
  readonly testEveryMs: number | null;
  /** Ends that its owner was told of: each threshold of each end once. */
  readonly toldEnds: readonly ToldEnd[];
  /** Until then nothing is tried by itself: back-off, or the endpoint's own wish. */
  readonly retryNotBefore: Date | null;
  /** Failed tries since the last success. */
  readonly failedAttempts: number;
  readonly failure: RecordedFailure | null;
  /** Event types that people were already told in the present episode of failures; empty after a success. */
  readonly notices: readonly string[];
  readonly lastRefreshedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** Every sealed value that the record points at. */
export function pointersOf({
  registered,
  grant,
  next,
  previous,
  rotation,
}: Pick<CredentialRecord, 'registered' | 'grant' | 'next' | 'previous' | 'rotation'>): SecretPointer[] {
  return [registered, grant, next, previous, rotation.grant].filter((pointer) => pointer !== null);
}

export function lifecycleStateOf(path: StatePath): LifecycleState {
  return STATE_NAMES.find((state) => path.startsWith(`${state}.`)) ?? 'pending';
}

export const STATE_NAMES: readonly LifecycleState[] = ['pending', 'valid', 'refreshing', 'expired', 'revoked'];

const pointer = z.strictObject({
  field: z.enum(['registered', 'grant', 'authorization']),
  generation: count,
  attemptId: z.string(),
});
const json = z.custom<JsonObject>(isJsonObject);

export const recordSchema = z.strictObject({
  schemaVersion: z.literal(SCHEMA_VERSION),
  id: z.string(),
  name: z.string(),
  protocol: z.string(),
  ownerId: z.string().nullable(),
  scopeId: z.string().nullable(),
  tags: z.array(z.string()),
  origin: z.enum(['registered', 'adopted']),
  config: json,
  endpoint: z.string().nullable(),
  state: z.enum(STATE_PATHS),
  stateChangedAt: instant,
  reason: z.enum(REASONS),
  health: z.enum(['unknown', 'healthy', 'failing']),
  healthChangedAt: instant.nullable(),
  registered: pointer,
  grant: pointer.nullable(),
  authorizations: z.array(pendingAuthorizationSchema),
  next: pointer.nullable(),
  previous: pointer.nullable(),
  rotation: rotationProgressSchema,
  rotationPolicy: rotationPolicySchema.nullable(),
  generation: count,
  generationReason: z.enum(REASONS),
  revision: z.int().positive(),
  issuedAt: instant.nullable(),
  expiresAt: instant.nullable(),
  refreshable: z.boolean(),
  grantExpiresAt: instant.nullable(),
  idleExpiresAt: instant.nullable(),
  secretExpiresAt: instant.nullable(),
  learnedLifeMs: z.int().positive().nullable(),
  refreshDueAt: instant.nullable(),
  testDueAt: instant.nullable(),
  rotationDueAt: instant.nullable(),
  noticeDueAt: instant.nullable(),
  pausedAt: instant.nullable(),
  deletedAt: instant.nullable(),
  testEveryMs: count.nullable(),
  toldEnds: z.array(z.strictObject({ end: z.enum(ENDS), endsAt: instant, leadMs: count })),
  retryNotBefore: instant.nullable(),
  failedAttempts: count,
  failure: z
    .strictObject({
      class: z.enum(['permanent', 'transient', 'configuration', 'clock']),
      code: z.custom<ErrorCode>(isErrorCode),
      message: z.string(),
      at: instant,
    })
    .nullable(),
  notices: z.array(z.string()),
  lastRefreshedAt: instant.nullable(),
  createdAt: instant,
  updatedAt: instant,
});

/** At each use that is not answered from memory a record is read: zod alone took longer over it than store and cipher together. */
const isReadInPlace = inPlaceReaderOf(recordSchema);

/** When the scheduler has to look at a record next, for whatever; `null` for never. */
export function dueAtOf(record: Pick<CredentialRecord, (typeof DUE_TIMES)[number] | 'rotation'>): Date | null {
  // Until the only secret was replaced nothing else can be done with it.
  if (blocksUse(record.rotation)) return record.rotationDueAt;
  const instants = DUE_TIMES.flatMap((name) => record[name] ?? []);
  return instants.length === 0 ? null : instants.reduce((a, b) => (a <= b ? a : b));
}

const DUE_TIMES = ['refreshDueAt', 'testDueAt', 'rotationDueAt', 'noticeDueAt'] as const;

/**
 * The endpoint that the earliest duty of a record asks: that of a refresh. `null` when nothing is due or that duty asks none
 * that is guarded (a test, a notice, the end of a life), or a refresh was interrupted: it is then done whatever the endpoint's state.
 */
export function dueEndpointOf(
  record: Parameters<typeof dueAtOf>[0] & Pick<CredentialRecord, 'endpoint' | 'refreshable' | 'state'>,
): string | null {
  const { refreshDueAt, refreshable, state } = record;
  // Whoever takes an interrupted refresh up asks the gate, which lets healing pass.
  if (lifecycleStateOf(state) === 'refreshing') return null;
  if (refreshDueAt === null || !refreshable || state === 'valid.degraded') return null;
  return refreshDueAt.getTime() === dueAtOf(record)?.getTime() ? record.endpoint : null;
}

/** What a record of version 1 did not have. */
const ADDED_IN_2 = {
  healthChangedAt: null,
  authorizations: [],
  endpoint: null,
  next: null,
  previous: null,
  rotation: IDLE_ROTATION,
  rotationPolicy: null,
  grantExpiresAt: null,
  idleExpiresAt: null,
  secretExpiresAt: null,
  learnedLifeMs: null,
  testDueAt: null,
  rotationDueAt: null,
  noticeDueAt: null,
  pausedAt: null,
  deletedAt: null,
  testEveryMs: null,
  toldEnds: [],
};

/** A record's JSON of any older version as one of this version. */
function upgraded(value: unknown): unknown {
  if (!isJsonObject(value) || value['schemaVersion'] !== 1) return value;
  const { dueAt, ...kept } = value;
  return { ...kept, ...ADDED_IN_2, schemaVersion: SCHEMA_VERSION, refreshDueAt: dueAt ?? null };
}

/** Text form of a record: JSON with ISO 8601 instants. */
export function encodeRecord(record: CredentialRecord): string {
  return JSON.stringify(record);
}

/**
 * Reads a record's text form.
 *
 * @throws StorageError `ERR_STORE_SCHEMA_TOO_NEW` for a record of a later version, `ERR_STORE_RECORD_INVALID` otherwise.
 */
export function parseRecord(text: string): CredentialRecord {
  const read = parseJson(text);
  if (isReadInPlace(read)) return read;
  const value = parseJson(text);
  const version = value instanceof Object && 'schemaVersion' in value ? value.schemaVersion : undefined;
  if (typeof version === 'number' && version > SCHEMA_VERSION) {
    throw new StorageError(
      'ERR_STORE_SCHEMA_TOO_NEW',
      `A record has schema version ${String(version)}; this version reads up to ${String(SCHEMA_VERSION)}.`,
    );
  }
  const result = recordSchema.safeParse(upgraded(value));
  if (result.success) return result.data;
  const where = result.error.issues[0]?.path.join('.') ?? 'record';
  throw new StorageError('ERR_STORE_RECORD_INVALID', `A stored record is not valid at "${where}".`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new StorageError('ERR_STORE_RECORD_INVALID', 'A stored record is not JSON.');
  }
}
