import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { EngineClient } from '../client.ts';
import { StorageError } from '../errors.ts';
import type { InspectionAddress } from '../inspection/address.ts';
import type { Inspectable, Publication } from '../inspection/publisher.ts';
import type { Logger } from '../ports.ts';
import { readSettings, type Settings } from '../settings.ts';
import { n8nDefaults } from './instance.ts';
import { hostLogger, hostLoggerFrom } from './logger.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** An engine that is open in this process. */
export interface OpenedEngine {
  readonly client: EngineClient;
  close(): Promise<void>;
}

/**
 * Opens the engine of this n8n: settings from the environment, everything else from n8n's own folder and key. In n8n the
 * keeper runs unless `CREDLIFE_KEEPER=off`.
 *
 * The engine loads here and not with the package: n8n drops a whole package when one of its files fails to load.
 */
export async function openEmbeddedEngine(env: Environment): Promise<OpenedEngine> {
  const settings = settingsOf(env);
  if (settings.database === n8nDefaults(env).database) createFolder(dirname(settings.database));
  const { CredentialEngine } = await import('../engine.ts');
  const { createEmbeddedClient } = await import('../embedded-client.ts');
  // n8n's own level holds unless somebody asks for less.
  const logger = env['CREDLIFE_LOG_LEVEL'] ? hostLoggerFrom(settings.logLevel) : hostLogger;
  const engine = await CredentialEngine.open({
    ...settings.engineOptions,
    keeper: settings.keeper !== 'off',
    ports: { logger },
  });
  const publication = settings.inspect && (await publish(engine, settings.inspect, logger));
  const close = async (): Promise<void> => {
    await engine.close();
    await publication?.close();
  };
  return { client: createEmbeddedClient(engine), close };
}

async function publish(engine: Inspectable, address: InspectionAddress, logger: Logger): Promise<Publication> {
  const { publishInspection } = await import('../inspection/publisher.ts');
  return publishInspection(engine, address, { logger });
}

/** Whether this n8n has credentials to keep alive although nobody has asked for one yet. */
export function hasCredentialsToKeep(env: Environment): boolean {
  const { database, keeper } = settingsOf(env);
  return keeper !== 'off' && existsSync(database);
}

function settingsOf(env: Environment): Settings {
  return readSettings(env, n8nDefaults(env));
}

function createFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch {
    throw new StorageError('ERR_STORE_UNAVAILABLE', `The folder of the database cannot be created: ${folder}`);
  }
}
