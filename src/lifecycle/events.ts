import { z } from 'zod/v4';
import {
  REASONS,
  STATE_PATHS,
  type CredentialId,
  type CredentialRecord,
  type Reason,
  type StatePath,
} from './credential.ts';
import { ROTATION_REASONS, type RotationReason } from './rotation/progress.ts';

/** Facts about credentials, named `<noun>.<past participle>`. */
export const EVENT_TYPES = [
  'credential.registered',
  'credential.authorized',
  'credential.refreshed',
  'credential.expiringSoon',
  'credential.degraded',
  'credential.expired',
  'credential.needsUser',
  'credential.misconfigured',
  'credential.recovered',
  'credential.revoked',
  'credential.rotated',
  'credential.paused',
  'credential.resumed',
  'credential.updated',
  'credential.deleted',
  'refresh.failed',
  'rotation.failed',
  'health.failed',
  'health.recovered',
  'key.rotated',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/**
 * Why there is news that no state tells: which end comes (the token, which cannot be refreshed; the grant behind it; that
 * grant by disuse; what its owner entered), or a new data key.
 */
export const NEWS_REASONS = ['tokenEnds', 'grantEnds', 'grantLapses', 'secretEnds', 'keyRotated'] as const;
export type EventReason = Reason | (typeof NEWS_REASONS)[number] | RotationReason;

/** One entry of the durable outbox. Delivery is at least once; `eventId` stays the same at each delivery. */
export interface CredentialEvent {
  readonly type: EventType;
  readonly eventId: string;
  /** `null` for `key.rotated`, which is about the whole store. */
  readonly credentialId: CredentialId | null;
  readonly ownerId: string | null;
  readonly protocol: string | null;
  readonly state: StatePath | null;
  readonly generation: number;
  readonly reason: EventReason;
  readonly at: Date;
  /** With `credential.expiringSoon`: when the end comes that `reason` names. */
  readonly endsAt?: Date | undefined;
}

export interface EventPage {
  readonly events: readonly CredentialEvent[];
  /** Of the last of them: where to read on. */
  readonly cursor: number;
  /** Events after the cursor that was asked for were pruned before they were read. */
  readonly missed: boolean;
}

const instant = z.iso.datetime().transform((text) => new Date(text));
const eventSchema = z.strictObject({
  type: z.enum(EVENT_TYPES),
  eventId: z.string(),
  credentialId: z.string().nullable(),
  ownerId: z.string().nullable(),
  protocol: z.string().nullable(),
  state: z.enum(STATE_PATHS).nullable(),
  generation: z.int().nonnegative(),
  reason: z.enum([...REASONS, ...NEWS_REASONS, ...ROTATION_REASONS]),
  at: instant,
  endsAt: instant.optional(),
});

/** Reads an event's text form (JSON with ISO 8601 instants). */
export function parseEvent(text: string): CredentialEvent {
  return eventSchema.parse(JSON.parse(text));
}

/** The event of `type` about the record as it now is. */
export function eventOf(type: EventType, record: CredentialRecord, eventId: string): CredentialEvent {
  const { id, ownerId, protocol, state, generation, reason, updatedAt } = record;
  return { type, eventId, credentialId: id, ownerId, protocol, state, generation, reason, at: updatedAt };
}

/** The event of something that happened to the whole store. */
export function storeEvent(type: 'key.rotated', eventId: string, at: Date): CredentialEvent {
  const nobody = { credentialId: null, ownerId: null, protocol: null, state: null, generation: 0 } as const;
  return { type, eventId, ...nobody, reason: 'keyRotated', at };
}
