import type { CredentialRow } from '../../src/cli/credential-table.ts';
import type { CredentialSummary } from '../../src/client.ts';
import type { StatePath } from '../../src/lifecycle/credential.ts';
import { IDLE_SUMMARY } from '../../src/lifecycle/rotation/progress.ts';

export const NOW = new Date('2026-03-01T12:00:00.000Z');

export function inSeconds(seconds: number): Date {
  return new Date(NOW.getTime() + seconds * 1_000);
}

/** A credential of a table, with what a test does not care about filled in. */
export function sampleCredential(changes: Partial<CredentialSummary> = {}): CredentialSummary {
  return {
    id: 'cr_0123456789abcdef0123',
    name: 'Billing API',
    protocol: 'oauth2',
    ownerId: null,
    scopeId: null,
    tags: [],
    origin: 'registered',
    state: 'valid.fresh',
    stateChangedAt: inSeconds(-30),
    reason: 'refreshed',
    health: 'healthy',
    healthChangedAt: inSeconds(-30),
    generation: 1,
    issuedAt: inSeconds(-30),
    expiresAt: inSeconds(30),
    refreshable: true,
    dueAt: inSeconds(10),
    grantExpiresAt: null,
    idleExpiresAt: null,
    secretExpiresAt: null,
    rotationPolicy: null,
    rotation: IDLE_SUMMARY,
    rotateBy: null,
    failure: null,
    lastRefreshedAt: inSeconds(-30),
    createdAt: inSeconds(-3_600),
    pausedAt: null,
    paused: false,
    testEveryMs: null,
    toldEnds: [],
    endpoint: 'https://auth.example/token',
    ...changes,
  };
}

export function sampleRow(changes: Partial<CredentialSummary> = {}): CredentialRow {
  const credential = sampleCredential(changes);
  const { id: credentialId, ownerId, protocol, state, generation, reason } = credential;
  const at = inSeconds(-3);
  return {
    credential,
    lastEvent: {
      type: 'credential.refreshed',
      eventId: 'e1',
      credentialId,
      ownerId,
      protocol,
      state,
      generation,
      reason,
      at,
    },
  };
}

/** A row in `state` whose last failure is that of a refused grant. */
export function refusedRow(name: string, state: StatePath): CredentialRow {
  return sampleRow({
    name,
    state,
    reason: 'grantRefused',
    failure: {
      class: 'permanent',
      code: 'ERR_OAUTH2_INVALID_GRANT',
      message: 'auth.example refused the grant.',
      at: NOW,
    },
  });
}
