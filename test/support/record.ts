import type { CredentialRecord } from '../../src/lifecycle/credential.ts';
import { IDLE_ROTATION } from '../../src/lifecycle/rotation/progress.ts';

export const NOW = new Date('2026-03-01T12:00:00.000Z');

export function secondsAfter(instant: Date, seconds: number): Date {
  return new Date(instant.getTime() + seconds * 1000);
}

/** A valid record of a credential that nobody has used yet. */
export function aRecord(overrides: Partial<CredentialRecord> = {}): CredentialRecord {
  return {
    schemaVersion: 2,
    id: 'cr_0123456789',
    name: 'Example',
    protocol: 'oauth2',
    ownerId: null,
    scopeId: null,
    tags: [],
    origin: 'registered',
    config: { issuer: 'https://as.example', grantType: 'client_credentials', clientId: 'c' },
    endpoint: 'as.example/',
    state: 'pending.unverified',
    stateChangedAt: NOW,
    reason: 'registered',
    health: 'unknown',
    healthChangedAt: null,
    registered: { field: 'registered', generation: 0, attemptId: 'registered' },
    grant: null,
    authorizations: [],
    next: null,
    previous: null,
    rotation: IDLE_ROTATION,
    rotationPolicy: null,
    generation: 0,
    generationReason: 'registered',
    revision: 1,
    issuedAt: null,
    expiresAt: null,
    refreshable: true,
    grantExpiresAt: null,
    idleExpiresAt: null,
    secretExpiresAt: null,
    learnedLifeMs: null,
    refreshDueAt: null,
    testDueAt: null,
    rotationDueAt: null,
    noticeDueAt: null,
    pausedAt: null,
    deletedAt: null,
    testEveryMs: null,
    toldEnds: [],
    retryNotBefore: null,
    failedAttempts: 0,
    failure: null,
    notices: [],
    lastRefreshedAt: null,
    createdAt: NOW,
    updatedAt: NOW,
    ...overrides,
  };
}

/** A record with a living grant. */
export function aValidRecord(lifeSeconds: number, overrides: Partial<CredentialRecord> = {}): CredentialRecord {
  return aRecord({
    state: 'valid.fresh',
    reason: 'refreshed',
    grant: { field: 'grant', generation: 1, attemptId: 'a1' },
    generation: 1,
    generationReason: 'firstUse',
    issuedAt: NOW,
    expiresAt: secondsAfter(NOW, lifeSeconds),
    ...overrides,
  });
}
