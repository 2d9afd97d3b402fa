import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { ConfigurationError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import { Secret } from '../secret.ts';
import type { CommandContext } from './context.ts';
import { promptHidden } from './prompt.ts';

/** Where the secret comes from; with none given, a person is asked. */
export interface SecretSource {
  readonly secretStdin?: boolean;
  readonly secretFile?: string;
  readonly secretEnv?: string;
}

/** A part of the secret that a person is asked for. */
export interface SecretPart {
  readonly name: string;
  readonly question: string;
}

/**
 * Reads a secret from standard input, a file, the environment or a prompt. It is a JSON object with the parts as its
 * members, or the plain value of the first part.
 *
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, `ERR_CONFIG_FILE_UNREADABLE`
 */
export async function readSecret(
  context: CommandContext,
  source: SecretSource,
  parts: readonly SecretPart[],
): Promise<Secret<Record<string, unknown>>> {
  const given = [source.secretStdin, source.secretFile, source.secretEnv].filter((each) => each !== undefined);
  if (given.length > 1) throw malformed('Name one source of the secret, not several.');
  const raw = await rawSecret(context, source);
  return raw === null ? askFor(context, parts) : Secret.of(parsed(raw.unwrap(), parts));
}

async function rawSecret(context: CommandContext, source: SecretSource): Promise<Secret<string> | null> {
  if (source.secretStdin === true) return Secret.of(await readText(context.input));
  if (source.secretFile !== undefined) return Secret.of(readFileText(resolve(context.cwd, source.secretFile)));
  if (source.secretEnv === undefined) return null;
  const value = context.env[source.secretEnv];
  if (value === undefined) throw malformed(`The environment variable ${source.secretEnv} is not set.`);
  return Secret.of(value);
}

async function askFor(context: CommandContext, parts: readonly SecretPart[]): Promise<Secret<Record<string, unknown>>> {
  if (context.input.isTTY !== true) {
    throw malformed('No secret was given: use --secret-stdin, --secret-file or --secret-env, or a terminal.');
  }
  const answers = await promptHidden(
    context,
    parts.map(({ question }) => question),
  );
  return Secret.of(Object.fromEntries(parts.map(({ name }, index) => [name, answers[index]?.unwrap()])));
}

function parsed(raw: string, parts: readonly SecretPart[]): Record<string, unknown> {
  const value = raw.replace(/\r?\n$/, '');
  if (value.trim() === '') throw malformed('The secret is empty.');
  if (!value.trimStart().startsWith('{')) return { [parts[0]?.name ?? 'secret']: value };
  const object = parseJson(value);
  if (!isPlainObject(object)) throw malformed('The secret starts like a JSON object but is not one.');
  return object;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @throws ConfigurationError `ERR_CONFIG_FILE_UNREADABLE` */
export function readFileText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ConfigurationError('ERR_CONFIG_FILE_UNREADABLE', `The file ${path} cannot be read (${code}).`);
  }
}

export function malformed(message: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', message);
}
