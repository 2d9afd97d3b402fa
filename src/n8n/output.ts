import type { GenericValue, IDataObject } from 'n8n-workflow';
import type { CredentialSummary, OperatorHandle } from '../client.ts';
import type { FollowedEvent } from '../outbox/event-filter.ts';
import type { TestResult } from '../protocols/protocol.ts';

type UseReport = Awaited<ReturnType<OperatorHandle['use']>>;

/** A credential as an n8n item: every field of the summary by name, instants as ISO 8601 texts. Fields that come later stay out. */
export function credentialItem(summary: CredentialSummary): IDataObject {
  const { failure, tags } = summary;
  return {
    id: summary.id,
    name: summary.name,
    protocol: summary.protocol,
    endpoint: summary.endpoint,
    ownerId: summary.ownerId,
    scopeId: summary.scopeId,
    tags: [...tags],
    origin: summary.origin,
    state: summary.state,
    stateChangedAt: isoText(summary.stateChangedAt),
    reason: summary.reason,
    health: summary.health,
    healthChangedAt: isoText(summary.healthChangedAt),
    generation: summary.generation,
    issuedAt: isoText(summary.issuedAt),
    expiresAt: isoText(summary.expiresAt),
    refreshable: summary.refreshable,
    dueAt: isoText(summary.dueAt),
    grantExpiresAt: isoText(summary.grantExpiresAt),
    idleExpiresAt: isoText(summary.idleExpiresAt),
    secretExpiresAt: isoText(summary.secretExpiresAt),
    rotationPolicy: summary.rotationPolicy && {
      rotateEveryMs: summary.rotationPolicy.rotateEveryMs,
      rotationGraceMs: summary.rotationPolicy.rotationGraceMs,
      window: summary.rotationPolicy.window && { ...summary.rotationPolicy.window },
    },
    rotation: rotationItem(summary.rotation),
    rotateBy: isoText(summary.rotateBy),
    paused: summary.paused,
    pausedAt: isoText(summary.pausedAt),
    testEveryMs: summary.testEveryMs,
    toldEnds: summary.toldEnds.map(({ end, endsAt, leadMs }) => ({ end, endsAt: isoText(endsAt), leadMs })),
    failure: failure && { class: failure.class, code: failure.code, message: failure.message, at: isoText(failure.at) },
    lastRefreshedAt: isoText(summary.lastRefreshedAt),
    createdAt: isoText(summary.createdAt),
  };
}

function rotationItem({ failure, ...rotation }: CredentialSummary['rotation']): IDataObject {
  return {
    state: rotation.state,
    reason: rotation.reason,
    candidate: rotation.candidate,
    startedAt: isoText(rotation.startedAt),
    rotatedAt: isoText(rotation.rotatedAt),
    retireDueAt: isoText(rotation.retireDueAt),
    dueAt: isoText(rotation.dueAt),
    canRollBack: rotation.canRollBack,
    failure: failure && { code: failure.code, message: failure.message, at: isoText(failure.at) },
  };
}

/** What `use` says in n8n: that the credential is usable, until when, and nothing to use it with. */
export function useItem({ id, state, expiresAt, generation }: UseReport): IDataObject {
  return { id, state, expiresAt: isoText(expiresAt), generation };
}

/** An event as an n8n item. `missedBefore`: events before this one were taken away before the trigger read them. */
export function eventItem(event: FollowedEvent, missedBefore = false): IDataObject {
  return {
    eventId: event.eventId,
    type: event.type,
    credentialId: event.credentialId,
    name: event.name,
    ownerId: event.ownerId,
    protocol: event.protocol,
    tags: [...event.tags],
    state: event.state,
    reason: event.reason,
    generation: event.generation,
    at: isoText(event.at),
    endsAt: isoText(event.endsAt ?? null),
    missedBefore,
  };
}

export function testItem(id: string, { success, message, details, testedAt }: TestResult): IDataObject {
  const { latencyMs, endpoint, permissionsVerified, metadata } = details;
  return {
    id,
    success,
    message,
    details: { latencyMs, endpoint, permissionsVerified: [...permissionsVerified], metadata: { ...metadata } },
    testedAt: isoText(testedAt),
  };
}

/** A row of a report as an n8n item: every field by its name, instants as ISO 8601 texts. */
export function rowItem(row: object): IDataObject {
  return Object.fromEntries(Object.entries(row).map(([name, value]: [string, unknown]) => [name, plain(value)]));
}

function plain(value: unknown): GenericValue | IDataObject | GenericValue[] {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  return typeof value === 'object' && value !== null ? rowItem(value) : null;
}

function isoText(instant: Date | null): string | null {
  return instant?.toISOString() ?? null;
}
