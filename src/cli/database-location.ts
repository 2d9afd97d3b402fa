import { isAbsolute, resolve } from 'node:path';
import { CredentialEngine } from '../engine.ts';
import { publishInspection } from '../inspection/publisher.ts';
import { n8nDefaults } from '../n8n/instance.ts';
import { readSettings, type Settings } from '../settings.ts';
import type { CommandContext, GlobalOptions } from './context.ts';

const DEFAULT_DATABASE = '.credlife/credentials.db';

/** Path of the database that a command works on: `--database`, `CREDLIFE_DATABASE`, n8n's with `--n8n`, or `.credlife`. */
export function databasePath(context: CommandContext, options: GlobalOptions): string {
  const named = options.database ?? context.env['CREDLIFE_DATABASE'];
  if (named !== undefined && named !== '') return absolutePath(context, named);
  return defaultsOf(context, options).database;
}

/** @throws ConfigurationError when no usable master key is configured */
export function settingsOf(context: CommandContext, options: GlobalOptions): Settings {
  const env = { ...context.env, CREDLIFE_DATABASE: databasePath(context, options) };
  return readSettings(env, defaultsOf(context, options));
}

/** Opens the engine for `work` and closes it afterwards, whatever happens. */
export async function withEngine<Result>(
  context: CommandContext,
  options: GlobalOptions,
  work: (engine: CredentialEngine) => Promise<Result>,
): Promise<Result> {
  const { engineOptions, inspect } = settingsOf(context, options);
  const engine = await CredentialEngine.open(engineOptions);
  const publication = inspect && publishInspection(engine, inspect);
  try {
    await publication?.attempted;
    return await work(engine);
  } finally {
    await engine.close();
    await publication?.close();
  }
}

function defaultsOf(context: CommandContext, { n8n }: GlobalOptions): Parameters<typeof readSettings>[1] {
  if (n8n === undefined) return { database: absolutePath(context, DEFAULT_DATABASE) };
  return n8nDefaults(context.env, n8n === '' ? undefined : absolutePath(context, n8n));
}

/** A path as the shell of the command means it; `memory` is none. */
export function absolutePath(context: CommandContext, path: string): string {
  return path === 'memory' || isAbsolute(path) ? path : resolve(context.cwd, path);
}
