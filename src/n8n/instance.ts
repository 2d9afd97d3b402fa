import { hkdfSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import { Secret } from '../secret.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const MASTER_KEY_INFO = 'credential-lifecycle/master-key/v1';
const MASTER_KEY_BYTES = 32;

/** Where the engine of an n8n instance keeps its credentials, and the key that seals them. */
export interface InstanceDefaults {
  readonly database: string;
  /** HKDF-SHA256 of n8n's encryption key; `null` when this instance has none yet. */
  readonly masterKey: () => Secret<Buffer> | null;
}

/**
 * What the engine uses in n8n, and the command with `--n8n`, when nothing else is configured.
 *
 * @param folder n8n's folder (the one with n8n's `config` in it) or its parent; by default the folder that n8n itself uses.
 * @throws ConfigurationError `ERR_CONFIG_FILE_UNREADABLE` (from `masterKey`) when n8n's own files cannot be read.
 */
export function n8nDefaults(env: Environment, folder?: string): InstanceDefaults {
  const home = folder === undefined ? n8nFolder(env) : withinParent(folder);
  return {
    database: join(home, 'credential-lifecycle', 'credentials.db'),
    masterKey: () => {
      const encryptionKey = keyInSettingsFile(join(home, 'config')) ?? keyInEnvironment(env);
      return encryptionKey === null ? null : deriveMasterKey(encryptionKey);
    },
  };
}

/** The folder of the n8n that runs with this environment, by n8n's own rule. */
function n8nFolder(env: Environment): string {
  const home = env[process.platform === 'win32' ? 'USERPROFILE' : 'HOME'];
  return join(env['N8N_USER_FOLDER'] ?? home ?? process.cwd(), '.n8n');
}

function withinParent(folder: string): string {
  const inside = join(folder, '.n8n');
  return existsSync(inside) ? inside : folder;
}

function deriveMasterKey(encryptionKey: string): Secret<Buffer> {
  return Secret.of(Buffer.from(hkdfSync('sha256', encryptionKey, '', MASTER_KEY_INFO, MASTER_KEY_BYTES)));
}

/** n8n refuses to start when its environment differs from this file, so the file is right wherever it exists. */
function keyInSettingsFile(path: string): string | null {
  if (!existsSync(path)) return null;
  const settings = parseSettings(readText(path, "n8n's settings file"));
  const key = isPlainObject(settings) ? settings['encryptionKey'] : undefined;
  return typeof key === 'string' && key !== '' ? key : null;
}

function parseSettings(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigurationError('ERR_CONFIG_FILE_UNREADABLE', "n8n's settings file is not JSON.");
  }
}

function keyInEnvironment(env: Environment): string | null {
  const value = env['N8N_ENCRYPTION_KEY'];
  if (value !== undefined) return asN8nReadsIt(value);
  const file = env['N8N_ENCRYPTION_KEY_FILE'];
  return file === undefined || file === ''
    ? null
    : asN8nReadsIt(readText(file, 'The file named by N8N_ENCRYPTION_KEY_FILE'));
}

function asN8nReadsIt(value: string): string | null {
  const key = value.trim().replace(/^(['"])(.*)\1$/, '$2');
  return key === '' ? null : key;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw new ConfigurationError('ERR_CONFIG_FILE_UNREADABLE', `${what} cannot be read: ${path}`);
  }
}
