import { z } from 'zod/v4';
import { ConfigurationError } from './errors.ts';
import { Secret } from './secret.ts';
import type { Anchor } from './vault/anchor.ts';
import type { MasterKey } from './vault/key-ring.ts';

const MASTER_KEY_BYTES = 32;
const OPTIONS = new Set(['database', 'masterKey', 'keeper', 'anchor', 'acceptOlderStore', 'ports']);

/**
 * Refuses look-alikes before anything is opened: wrong use by a program is a `TypeError`.
 *
 * @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MALFORMED` for a key of the wrong length or an empty passphrase
 */
export function requireEngineOptions(options: {
  readonly database: string;
  readonly masterKey: MasterKey;
  readonly keeper?: boolean;
  readonly anchor?: Anchor;
  readonly acceptOlderStore?: boolean;
}): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined) throw new TypeError(`Unknown option: ${unknown}.`);
  const { database, keeper, anchor, acceptOlderStore } = options;
  if (typeof database !== 'string' || database === '' || database === ':memory:' || database.includes('\0')) {
    throw new TypeError("Expected database to be the path of a file, or 'memory'.");
  }
  if (keeper !== undefined && typeof keeper !== 'boolean') throw new TypeError('Expected keeper to be a boolean.');
  if (acceptOlderStore !== undefined && typeof acceptOlderStore !== 'boolean') {
    throw new TypeError('Expected acceptOlderStore to be a boolean.');
  }
  if (anchor !== undefined && (typeof anchor.read !== 'function' || typeof anchor.write !== 'function')) {
    throw new TypeError('Expected anchor to have read and write.');
  }
  requireMasterKey(options.masterKey);
}

/** @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MALFORMED` */
export function requireMasterKey(masterKey: MasterKey): void {
  if (!Buffer.isBuffer(masterKey) && 'passphrase' in masterKey) {
    const passphrase = masterKey.passphrase instanceof Secret ? masterKey.passphrase.unwrap() : masterKey.passphrase;
    if (typeof passphrase === 'string' && passphrase.trim() !== '') return;
    throw new ConfigurationError('ERR_CONFIG_MASTER_KEY_MALFORMED', 'The passphrase is empty.');
  }
  const bytes = masterKey instanceof Secret ? masterKey.unwrap() : masterKey;
  if (Buffer.isBuffer(bytes) && bytes.length === MASTER_KEY_BYTES) return;
  throw new ConfigurationError('ERR_CONFIG_MASTER_KEY_MALFORMED', 'The master key is not 32 bytes.');
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
});

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` naming the field */
export function requireRegisterInput(input: unknown): void {
  const result = registerInputSchema.safeParse(input);
  if (result.success) return;
  const issue = result.error.issues[0];
  const field = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : (issue?.path.join('.') ?? '');
  const problem = issue?.code === 'unrecognized_keys' ? 'is not known' : 'is missing or of the wrong type';
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The field ${JSON.stringify(field.slice(0, 80))} ${problem}.`);
}
