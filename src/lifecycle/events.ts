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
  'credential.refreshed',
  'credential.expiringSoon',
  'credential.degraded',
  'credential.expired',
  'credential.needsUser',
  'credential.misconfigured',
  'credential.recovered',
  'credential.revoked',
  'credential.rotated',
  'refresh.failed',
  'rotation.failed',
  'health.failed',
  'health.recovered',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** One entry of the durable outbox. Delivery is at least once; `eventId` stays the same at each delivery. */
export interface CredentialEvent {
  readonly type: EventType;
  readonly eventId: string;
  readonly credentialId: CredentialId;
  readonly ownerId: string | null;
  readonly protocol: string;
  readonly state: StatePath;
  readonly generation: number;
  readonly reason: Reason | RotationReason;
  readonly at: Date;
}

const eventSchema = z.strictObject({
  type: z.enum(EVENT_TYPES),
  eventId: z.string(),
  credentialId: z.string(),
  ownerId: z.string().nullable(),
  protocol: z.string(),
  state: z.enum(STATE_PATHS),
  generation: z.int().nonnegative(),
  reason: z.enum([...REASONS, ...ROTATION_REASONS]),
  at: z.iso.datetime().transform((text) => new Date(text)),
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
