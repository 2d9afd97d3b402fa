import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigurationError } from './errors.ts';
import { parseInspectionAddress, type InspectionAddress } from './inspection/address.ts';
import { Secret } from './secret.ts';
import type { SETTINGS } from './setting-catalogue.ts';
import { parseBudgets, type EndpointBudget } from './resilience/budgets.ts';
import { parseN8nUrl, type N8nConnection } from './protocols/n8n/config.ts';
import { FileAnchor, type Anchor } from './vault/anchor.ts';
import { driverOf, placeOf } from './storage/location.ts';
import type { MasterKey } from './vault/key-ring.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says about an engine. */
export interface Settings {
  readonly database: string;
  readonly masterKey: MasterKey;
  readonly keeper: 'auto' | 'on' | 'off';
  readonly logLevel: string;
  /** The relay of `credlife inspect` to publish to; `null` for none. */
  readonly inspect: InspectionAddress | null;
  /** What an engine is opened with. */
  readonly engineOptions: {
    readonly database: string;
    readonly masterKey: MasterKey;
    readonly anchor?: Anchor;
    readonly budgets?: readonly EndpointBudget[];
    readonly n8n?: N8nConnection;
  };
}

export interface SettingsDefaults {
  readonly database: string;
  /** The host's own key, when it has one. */
  readonly masterKey?: () => MasterKey | null;
}

const KEEPER = ['auto', 'on', 'off'] as const;
const FLAG: readonly string[] = ['true', 'false'];
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * Reads the `CREDLIFE_*` settings. The master key is the first of: `CREDLIFE_MASTER_KEY`, `CREDLIFE_MASTER_KEY_FILE`,
 * `CREDLIFE_PASSPHRASE_FILE`, the host's own key, the file `master.key` beside the database. `CREDLIFE_ANCHOR_FILE` names a
 * file, best on another volume, that remembers how new the database was. `CREDLIFE_INSPECT` is the address that
 * `credlife inspect` printed. `CREDLIFE_BUDGETS` says how many refreshes an endpoint gets. `CREDLIFE_N8N_URL` and
 * `CREDLIFE_N8N_API_KEY_FILE` name the n8n whose own credentials are watched.
 *
 * @throws ConfigurationError `ERR_CONFIG_MASTER_KEY_MISSING`, `ERR_CONFIG_MASTER_KEY_MALFORMED`,
 *   `ERR_CONFIG_FILE_UNREADABLE`, `ERR_CONFIG_MALFORMED`
 */
export function readSettings(env: Environment, defaults: SettingsDefaults): Settings {
  const database = given(env, 'CREDLIFE_DATABASE') ?? defaults.database;
  const keeper = given(env, 'CREDLIFE_KEEPER') ?? 'auto';
  const logLevel = given(env, 'CREDLIFE_LOG_LEVEL') ?? 'error';
  const knownKeeper = KEEPER.find((name) => name === keeper);
  if (!knownKeeper) throw malformed('CREDLIFE_KEEPER', KEEPER);
  if (!LOG_LEVELS.includes(logLevel)) throw malformed('CREDLIFE_LOG_LEVEL', LOG_LEVELS);
  const inspect = readInspectionAddress(env);
  const masterKey = findMasterKey(env, database, defaults);
  const anchorFile = given(env, 'CREDLIFE_ANCHOR_FILE');
  const budgets = given(env, 'CREDLIFE_BUDGETS');
  const engineOptions = {
    database,
    masterKey,
    ...(anchorFile !== undefined && { anchor: new FileAnchor(anchorFile) }),
    ...(budgets !== undefined && { budgets: parseBudgets(budgets, 'CREDLIFE_BUDGETS') }),
    ...n8nConnection(env),
  };
  return { database, masterKey, keeper: knownKeeper, logLevel, inspect, engineOptions };
}

/** Address and key go together. The file is read when n8n is asked: a broken one must not keep the engine from opening. */
function n8nConnection(env: Environment): { readonly n8n?: N8nConnection } {
  const url = given(env, 'CREDLIFE_N8N_URL');
  const file = given(env, 'CREDLIFE_N8N_API_KEY_FILE');
  const insecure = given(env, 'CREDLIFE_N8N_ALLOW_INSECURE_TRANSPORT') ?? 'false';
  if (!FLAG.includes(insecure)) throw malformed('CREDLIFE_N8N_ALLOW_INSECURE_TRANSPORT', FLAG);
  if (url === undefined && file === undefined) return {};
  if (url === undefined || file === undefined) {
    throw new ConfigurationError(
      'ERR_CONFIG_MALFORMED',
      'The settings CREDLIFE_N8N_URL and CREDLIFE_N8N_API_KEY_FILE go together: set both.',
    );
  }
  const allowInsecureTransport = insecure === 'true';
  return {
    n8n: {
      url: parseN8nUrl(url, 'CREDLIFE_N8N_URL', allowInsecureTransport),
      apiKey: () => readApiKeyFile(file),
      allowInsecureTransport,
    },
  };
}

/** @throws ConfigurationError `ERR_CONFIG_FILE_UNREADABLE`, `ERR_CONFIG_MALFORMED` */
function readApiKeyFile(path: string): Secret<string> {
  const text = readSecretFile(path).trim();
  if (/^[\x21-\x7e]{8,4096}$/.test(text)) return Secret.of(text);
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', `The file ${path} holds no API key of n8n.`);
}

/** @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function readInspectionAddress(env: Environment): InspectionAddress | null {
  const text = given(env, 'CREDLIFE_INSPECT');
  return text === undefined ? null : parseInspectionAddress(text);
}

/** Compose files hand on variables that nobody has set as empty ones; an empty database would be a temporary one to SQLite. */
function given(env: Environment, name: keyof typeof SETTINGS): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function findMasterKey(env: Environment, database: string, defaults: SettingsDefaults): MasterKey {
  const text = env['CREDLIFE_MASTER_KEY'];
  if (text !== undefined) return parseMasterKey(text, 'CREDLIFE_MASTER_KEY');
  const file = env['CREDLIFE_MASTER_KEY_FILE'];
  if (file !== undefined) return readMasterKeyFile(file);
  const passphraseFile = env['CREDLIFE_PASSPHRASE_FILE'];
  if (passphraseFile !== undefined) return readPassphraseFile(passphraseFile);
  const own = defaults.masterKey?.();
  if (own) return own;
  const beside = join(dirname(database), 'master.key');
  if (driverOf(database) === 'sqlite' && existsSync(beside)) return readMasterKeyFile(beside);
  throw new ConfigurationError(
    'ERR_CONFIG_MASTER_KEY_MISSING',
    `There is no master key for the database ${placeOf(database)}.`,
  );
}

/** @throws ConfigurationError `ERR_CONFIG_FILE_UNREADABLE`, `ERR_CONFIG_MASTER_KEY_MALFORMED` */
export function readMasterKeyFile(path: string): Secret<Buffer> {
  return parseMasterKey(readSecretFile(path), path);
}

/** @throws ConfigurationError `ERR_CONFIG_FILE_UNREADABLE`, `ERR_CONFIG_MASTER_KEY_MALFORMED` */
export function readPassphraseFile(path: string): { readonly passphrase: Secret<string> } {
  return { passphrase: parsePassphrase(readSecretFile(path), path) };
}

/** 32 bytes as 64 hexadecimal digits or as base64. `source` names where the text came from. */
export function parseMasterKey(text: string, source: string): Secret<Buffer> {
  const trimmed = text.trim();
  const hex = /^[0-9a-fA-F]{64}$/.test(trimmed);
  const base64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed);
  if (hex || base64) return Secret.of(Buffer.from(trimmed, hex ? 'hex' : 'base64'));
  throw new ConfigurationError(
    'ERR_CONFIG_MASTER_KEY_MALFORMED',
    `The master key in ${source} is not 32 bytes of hexadecimal or base64 text.`,
  );
}

function parsePassphrase(text: string, source: string): Secret<string> {
  const passphrase = text.replace(/\r?\n$/, '');
  if (passphrase.trim() !== '') return Secret.of(passphrase);
  throw new ConfigurationError('ERR_CONFIG_MASTER_KEY_MALFORMED', `The passphrase in ${source} is empty.`);
}

function readSecretFile(path: string): string {
  let mode: number;
  let text: string;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, 'utf8');
  } catch {
    throw new ConfigurationError('ERR_CONFIG_FILE_UNREADABLE', `The file ${path} cannot be read.`);
  }
  if (process.platform !== 'win32' && (mode & 0o007) !== 0) {
    throw new ConfigurationError(
      'ERR_CONFIG_FILE_UNREADABLE',
      `The file ${path} holds a secret but everybody may read it; set its mode to 0600.`,
    );
  }
  return text;
}

function malformed(name: string, allowed: readonly string[]): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', `The setting ${name} must be one of: ${allowed.join(', ')}.`);
}
