import { basename } from 'node:path';
import { toCredentialError } from '../errors.ts';
import { hasCredentialsToKeep } from './embedded-engine.ts';
import { openedClient } from './engine-registry.ts';
import { hostLogger } from './logger.ts';

/**
 * Credentials have to live through the nights in which no workflow runs. So main and workers open the engine when n8n
 * loads the package, if there is something to keep. Any other program that loads the package is left alone, and a
 * failure is only logged: the first use says the same to somebody who can act.
 */
export function keepAliveFromStart(): void {
  if (!isMainOrWorker(process.argv)) return;
  openIfNeeded().catch((error: unknown) => {
    const { code, message } = toCredentialError(error);
    hostLogger.warn({ code }, `The credential engine did not open: ${message}`);
  });
}

async function openIfNeeded(): Promise<void> {
  // Not before the module that called this has loaded.
  await Promise.resolve();
  if (hasCredentialsToKeep(process.env)) await openedClient();
}

/** `n8n`, `n8n start` and `n8n worker`; not `n8n execute`, `n8n webhook`, exports, or a test. */
export function isMainOrWorker([, program = '', command = 'start']: readonly string[]): boolean {
  const isHost = basename(program, '.js') === 'n8n';
  return isHost && (command === 'start' || command === 'worker' || command.startsWith('-'));
}
