import { z } from 'zod/v4';
import { ConfigurationError } from '../errors.ts';
import { endpointKey } from '../protocols/protocol.ts';
import { Secret } from '../secret.ts';
import { SCHEMA_VERSION, type CredentialRecord } from './credential.ts';
import { eventsOf, type Surroundings } from './effects.ts';
import { parseRotationPolicy, planRotation } from './rotation/plan.ts';
import { IDLE_ROTATION } from './rotation/progress.ts';
import { rotationOf } from './rotation/write.ts';

// No control characters: names and tags are printed on terminals and in logs.
const line = z
  .string()
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u)
  .max(512);
const namesSchema = z.object({
  name: line.min(1),
  ownerId: line.min(1).nullable(),
  scopeId: line.min(1).nullable(),
  tags: z.array(line.min(1)).max(100),
});

export interface Registration {
  readonly id: string;
  readonly protocol: string;
  readonly name: string;
  readonly ownerId: string | null;
  readonly scopeId: string | null;
  readonly tags: readonly string[];
  readonly origin: CredentialRecord['origin'];
  readonly config: unknown;
  readonly secret: unknown;
  /** A `RotationPolicyInput`; absent: the secret is replaced only when somebody asks. */
  readonly rotation?: unknown;
  readonly testEveryMs?: number | null;
}

/**
 * Stores a new credential: its secret sealed first, then the record that points at it.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_CONFIG_UNKNOWN_PROTOCOL`, `ERR_ROTATION_UNSUPPORTED`: nothing was stored
 * @throws StorageError `ERR_STORE_DUPLICATE`
 */
export async function registerRecord(
  surroundings: Surroundings,
  registration: Registration,
): Promise<CredentialRecord> {
  const { ports, records, vault, drivers } = surroundings;
  const names = parseNames(registration);
  const driver = drivers.driver(registration.protocol);
  const config = driver.parseConfig(registration.config);
  const secret = driver.parseSecret(registration.secret, config);
  const policy = registration.rotation === undefined ? null : parseRotationPolicy(registration.rotation);
  if (policy !== null) rotationOf(driver);
  const now = ports.clock.now();
  const unplanned: CredentialRecord = {
    schemaVersion: SCHEMA_VERSION,
    id: registration.id,
    ...names,
    protocol: driver.protocol,
    origin: registration.origin,
    config,
    endpoint: endpointKey(driver.endpoint(config)),
    state: driver.authorization?.needsPerson(config) === true ? 'pending.authorizing' : 'pending.unverified',
    stateChangedAt: now,
    reason: 'registered',
    health: 'unknown',
    healthChangedAt: null,
    registered: { field: 'registered', generation: 0, attemptId: 'registered' },
    grant: null,
    authorizations: [],
    next: null,
    previous: null,
    rotation: IDLE_ROTATION,
    rotationPolicy: policy,
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
    rotationDueAt: planRotation({ createdAt: now, rotatedAt: null, secretExpiresAt: null, policy }, now)?.at ?? null,
    noticeDueAt: null,
    pausedAt: null,
    deletedAt: null,
    testEveryMs: registration.testEveryMs ?? null,
    toldEnds: [],
    retryNotBefore: null,
    failedAttempts: 0,
    failure: null,
    notices: [],
    lastRefreshedAt: null,
    createdAt: now,
    updatedAt: now,
  };
  const record = { ...unplanned, ...surroundings.planHealth(unplanned, now) };
  await vault.put(record, record.registered, Secret.of(secret));
  await records.insert(record, eventsOf(['credential.registered'], record, ports));
  return record;
}

export type Names = z.infer<typeof namesSchema>;

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field */
export function parseNames(names: unknown): Names {
  const result = namesSchema.safeParse(names);
  if (result.success) return result.data;
  const field = result.error.issues[0]?.path.join('.') ?? 'name';
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${field} must be one line of 1 to 512 characters.`);
}
