import { dirname, join } from 'node:path';
import { z } from 'zod/v4';
import { ConfigurationError } from './errors.ts';
import { isPlainObject } from './json.ts';
import { DEFAULT_HEALTH_RULES, type HealthRules } from './lifecycle/health-policy.ts';
import { retentionSchema, type RetentionOptions } from './maintenance/retention.ts';
import type { CredentialSummary } from './client.ts';
import type { CredentialId, StatePath } from './lifecycle/credential.ts';
import type { RotationPolicyInput } from './lifecycle/rotation/plan.ts';
import type { OutboundOptions } from './outbound/policy.ts';
import type { Ports } from './ports.ts';
import type { N8nConnection } from './protocols/n8n/config.ts';
import type { ProtocolDriver, TestResult } from './protocols/protocol.ts';
import { requireBudgets, type EndpointBudget } from './resilience/budgets.ts';
import { Secret } from './secret.ts';
import type { Anchor } from './vault/anchor.ts';
import { driverOf } from './storage/location.ts';
import type { Stores } from './storage/stores.ts';
import type { MasterKey } from './vault/key-ring.ts';

const MASTER_KEY_BYTES = 32;
export interface EngineOptions {
  /** Path of a SQLite file in an existing folder, a `postgres://` URL, `'memory'`, or stores of your own. */
  readonly database: string | Stores;
  /** 32 random bytes, or a passphrase. */
  readonly masterKey: MasterKey;
  /** Whether this engine refreshes due credentials by itself; default false. */
  readonly keeper?: boolean;
  /** A place outside the database that remembers how new it was: an older database is then refused. */
  readonly anchor?: Anchor;
  /** Takes the database as it is, although its anchor has seen a newer one: after a restore on purpose. */
  readonly acceptOlderStore?: boolean;
  /**
   * Folder in which new tokens wait, sealed, while the database cannot be written. Default: `spool` beside a SQLite file; none
   * for other stores. Processes on one database and one host should share it. `null`: in memory only.
   */
  readonly spoolFolder?: string | null;
  /** How often credentials are tested and how early owners are told of ends: docs/health.md. */
  readonly health?: HealthOptions;
  /** How much of the past is kept. */
  readonly retention?: RetentionOptions;
  readonly ports?: Partial<Ports>;
  /** Where requests may go: docs/outbound.md. By default wherever an owner typed, but link-local and cloud-metadata addresses. */
  readonly outbound?: OutboundOptions;
  /** How many refreshes an endpoint gets from all processes on this database; without a budget, as many as are due. */
  readonly budgets?: readonly EndpointBudget[];
  /** The n8n whose own credentials are watched, and how it is asked: docs/n8n-watch.md. */
  readonly n8n?: N8nConnection;
  /** Drivers of protocols that this package does not speak, beside its own. */
  readonly drivers?: (ports: Ports) => readonly ProtocolDriver[];
}

export interface RegisterInput {
  readonly protocol: string;
  readonly name: string;
  readonly ownerId?: string;
  /** The workflow, project or environment that it is for. */
  readonly scopeId?: string;
  readonly tags?: readonly string[];
  readonly config: unknown;
  readonly secret: unknown;
  /** Whether to try it at once; default true. */
  readonly test?: boolean;
  /** How often it is tested by schedule; 0 for never; default as often as the engine tests. */
  readonly testEveryMs?: number;
  /** When its secret is replaced by itself; absent: when somebody asks. */
  readonly rotation?: RotationPolicyInput;
}

export interface Registered {
  readonly id: CredentialId;
  readonly state: StatePath;
  readonly test: TestResult | null;
  readonly credential: CredentialSummary;
}

const OPTIONS = new Set([
  ...['database', 'masterKey', 'keeper', 'anchor', 'acceptOlderStore', 'spoolFolder', 'health', 'retention'],
  ...['ports', 'drivers', 'outbound', 'budgets', 'n8n'],
]);
const DAY_MS = 86_400_000;

/** Tests and notices of an engine. */
export interface HealthOptions {
  /** How often each credential is tested by schedule, in milliseconds; 0 for never; default 3,600,000. */
  readonly testEveryMs?: number;
  /** Whether to test every valid credential when the engine opens; default false. */
  readonly testOnLoad?: boolean;
  /** How long before an end its owner is told, in milliseconds; default 14, 3 and 1 days. Short lives scale them down. */
  readonly noticeLeadsMs?: readonly number[];
}

/** At least a minute: a test is a request to somebody else's server. */
const testEveryMs = z.union([
  z.literal(0),
  z
    .int()
    .min(60_000)
    .max(365 * DAY_MS),
]);
const healthSchema = z.strictObject({
  testEveryMs: testEveryMs.default(DEFAULT_HEALTH_RULES.testEveryMs),
  testOnLoad: z.boolean().default(false),
  noticeLeadsMs: z
    .array(
      z
        .int()
        .positive()
        .max(365 * DAY_MS),
    )
    .max(10)
    .default([...DEFAULT_HEALTH_RULES.noticeLeadsMs]),
});

/** The rules that options make. @throws TypeError for options that are none */
export function healthRules(health: HealthOptions | undefined): HealthRules {
  const result = healthSchema.safeParse(health ?? {});
  if (!result.success) {
    throw new TypeError(`Expected health to have valid options: ${result.error.issues[0]?.path.join('.') ?? ''}.`);
  }
  const leads = new Set(result.data.noticeLeadsMs);
  return { testEveryMs: result.data.testEveryMs, noticeLeadsMs: [...leads].sort((a, b) => b - a) };
}

function requireRetention(retention: RetentionOptions | undefined): void {
  const result = retentionSchema.safeParse(retention ?? {});
  if (result.success) return;
  throw new TypeError(`Expected retention to have valid options: ${result.error.issues[0]?.path.join('.') ?? ''}.`);
}

/**
 * Refuses look-alikes before anything is opened: wrong use by a program is a `TypeError`.
 *
 * @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MALFORMED` for a key of the wrong length or an empty passphrase
 */
export function requireEngineOptions(options: {
  readonly database: string | Stores;
  readonly masterKey: MasterKey;
  readonly keeper?: boolean;
  readonly anchor?: Anchor;
  readonly acceptOlderStore?: boolean;
  readonly spoolFolder?: string | null;
  readonly health?: HealthOptions;
  readonly retention?: RetentionOptions;
  readonly drivers?: unknown;
  readonly budgets?: unknown;
}): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined) throw new TypeError(`Unknown option: ${unknown}.`);
  const { database, keeper, anchor, acceptOlderStore, drivers } = options;
  if (!isDatabase(database)) {
    throw new TypeError("Expected database to be the path of a file, a postgres:// URL, 'memory', or stores.");
  }
  if (keeper !== undefined && typeof keeper !== 'boolean') throw new TypeError('Expected keeper to be a boolean.');
  if (acceptOlderStore !== undefined && typeof acceptOlderStore !== 'boolean') {
    throw new TypeError('Expected acceptOlderStore to be a boolean.');
  }
  if (drivers !== undefined && typeof drivers !== 'function') {
    throw new TypeError('Expected drivers to be a function that is given the ports and returns drivers.');
  }
  if (anchor !== undefined && (typeof anchor.read !== 'function' || typeof anchor.write !== 'function')) {
    throw new TypeError('Expected anchor to have read and write.');
  }
  if (options.budgets !== undefined) requireBudgets(options.budgets);
  const { spoolFolder } = options;
  if (spoolFolder !== undefined && spoolFolder !== null && (typeof spoolFolder !== 'string' || spoolFolder === '')) {
    throw new TypeError('Expected spoolFolder to be the path of a folder, or null.');
  }
  healthRules(options.health);
  requireRetention(options.retention);
  requireMasterKey(options.masterKey);
}

const DRIVER_METHODS = [
  'parseConfig',
  'parseSecret',
  'identity',
  'endpoint',
  'refreshTraits',
  'refresh',
  'material',
  'confirm',
  'test',
  'revoke',
] as const satisfies readonly Exclude<keyof ProtocolDriver, 'protocol'>[];

/** Our own drivers and a host's. Refuses one that lacks something, and a protocol that two of them speak. */
export function requireDrivers(
  own: readonly ProtocolDriver[],
  drivers: readonly ProtocolDriver[],
): readonly ProtocolDriver[] {
  const isList: boolean = Array.isArray(drivers);
  if (!isList) throw new TypeError('Expected drivers to return a list.');
  const protocols = new Set(own.map(({ protocol }) => protocol));
  for (const driver of drivers) {
    const { protocol } = driver;
    if (typeof protocol !== 'string' || !/^[a-z][a-z0-9-]{0,63}$/.test(protocol)) {
      throw new TypeError('Expected the protocol of a driver to be a word of lower-case letters, digits and hyphens.');
    }
    const missing = DRIVER_METHODS.find((method) => typeof driver[method] !== 'function');
    if (missing !== undefined) throw new TypeError(`Expected the driver of ${protocol} to have a method ${missing}.`);
    if (protocols.has(protocol)) throw new TypeError(`Expected one driver for ${protocol}.`);
    protocols.add(protocol);
  }
  return [...own, ...drivers];
}

/** Where answers are spooled: beside a SQLite file, where the options say, or nowhere (`null`). */
export function spoolFolderOf({
  database,
  spoolFolder,
}: {
  readonly database: string | Stores;
  readonly spoolFolder?: string | null;
}): string | null {
  if (spoolFolder !== undefined) return spoolFolder;
  const isFile = typeof database === 'string' && driverOf(database) === 'sqlite';
  return isFile ? join(dirname(database), 'spool') : null;
}

function isDatabase(database: unknown): boolean {
  if (typeof database === 'string') return database !== '' && database !== ':memory:' && !database.includes('\0');
  return database instanceof Object && 'records' in database && 'secrets' in database;
}

/** @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MALFORMED` */
export function requireMasterKey(masterKey: MasterKey): void {
  if (isPlainObject(masterKey) && 'passphrase' in masterKey) {
    const passphrase = masterKey.passphrase instanceof Secret ? masterKey.passphrase.unwrap() : masterKey.passphrase;
    if (typeof passphrase === 'string' && passphrase.trim() !== '') return;
    throw new ConfigurationError('ERR_CONFIG_MASTER_KEY_MALFORMED', 'The passphrase is empty.');
  }
  const bytes = masterKey instanceof Secret ? masterKey.unwrap() : masterKey;
  if (Buffer.isBuffer(bytes) && bytes.length === MASTER_KEY_BYTES) return;
  throw new ConfigurationError('ERR_CONFIG_MASTER_KEY_MALFORMED', 'The master key is not a Buffer of 32 bytes.');
}

const registerInputSchema = z.strictObject({
  protocol: z.string(),
  name: z.string(),
  ownerId: z.string().optional(),
  scopeId: z.string().optional(),
  tags: z.array(z.string()).readonly().optional(),
  config: z.unknown(),
  secret: z.unknown(),
  test: z.boolean().optional(),
  testEveryMs: testEveryMs.optional(),
  rotation: z.unknown().optional(),
});

const changesSchema = z.strictObject({
  name: z.string().optional(),
  ownerId: z.string().nullable().optional(),
  scopeId: z.string().nullable().optional(),
  tags: z.array(z.string()).readonly().optional(),
  config: z.unknown(),
  secret: z.unknown(),
  testEveryMs: testEveryMs.nullable().optional(),
});

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field */
export function requireChanges(changes: unknown): void {
  requireFields(changesSchema, changes);
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field */
export function requireRegisterInput(input: unknown): void {
  requireFields(registerInputSchema, input);
}

function requireFields(schema: z.ZodType, input: unknown): void {
  const result = schema.safeParse(input);
  if (result.success) return;
  const issue = result.error.issues[0];
  const field = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : (issue?.path.join('.') ?? '');
  const problem = issue?.code === 'unrecognized_keys' ? 'is not known' : 'is missing or of the wrong type';
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${JSON.stringify(field.slice(0, 80))} ${problem}.`);
}
