// The built package, for processes that run beside a test: what they load is what users load.
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);
const { root } = require('../bootstrap/project.cjs');

/** @param {string} file below src, for example 'storage/open' */
const built = (file) => require(path.join(root, 'dist', 'src', `${file}.js`));

/** @type {Pick<typeof import('../../src/storage/open.ts'), 'openStores'>} */
export const { openStores } = built('storage/open');
/** @type {Pick<typeof import('../../src/sessions/open.ts'), 'openAuthStorage'>} */
export const { openAuthStorage } = built('sessions/open');
/** @type {Pick<typeof import('../../src/secret.ts'), 'Secret'>} */
export const { Secret } = built('secret');

/** @type {Pick<typeof import('../../src/lifecycle/rotation/progress.ts'), 'IDLE_ROTATION'>} */
const { IDLE_ROTATION } = built('lifecycle/rotation/progress');
/** @type {typeof import('../../src/ports.ts')} */
const { silentLogger, systemClock, systemFetch, systemRandom } = built('ports');
export const ports = { clock: systemClock, random: systemRandom, fetch: systemFetch, logger: silentLogger };

/**
 * A valid record that nobody has used yet.
 * @param {Partial<import('../../src/lifecycle/credential.ts').CredentialRecord> & { id: string }} overrides
 * @returns {import('../../src/lifecycle/credential.ts').CredentialRecord}
 */
export function aRecord(overrides) {
  const now = new Date('2026-03-01T12:00:00.000Z');
  return {
    ...{ schemaVersion: 2, name: 'Example', protocol: 'oauth2', ownerId: null, scopeId: null, tags: [] },
    ...{
      origin: 'registered',
      config: {},
      endpoint: null,
      state: 'valid.fresh',
      stateChangedAt: now,
      reason: 'registered',
    },
    ...{
      health: 'unknown',
      healthChangedAt: null,
      registered: { field: 'registered', generation: 0, attemptId: 'registered' },
      grant: null,
    },
    authorizations: [],
    ...{ generation: 0, generationReason: 'registered', revision: 1, issuedAt: null, expiresAt: null },
    ...{
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
    },
    ...{ next: null, previous: null, rotation: IDLE_ROTATION, rotationPolicy: null },
    ...{ createdAt: now, updatedAt: now },
    ...overrides,
  };
}
