import { isCredentialError } from '../errors.ts';
import { systemClock, systemRandom } from '../ports.ts';
import { startAuthorizationServer } from './authorization-server.ts';
import { sandboxOptionsSchema } from './options.ts';
import type { ProcessMessage } from './server-facts.ts';

/**
 * The sandbox server's own process. It lives as long as the process that started it: the channel between them closes when
 * that one ends, however it ends.
 */
async function run(): Promise<void> {
  // The terminal sends SIGINT to parent and child alike; the parent ends both in order.
  process.on('SIGINT', () => undefined);
  process.once('disconnect', () => process.exit(0));
  const settings = sandboxOptionsSchema.parse(JSON.parse(process.argv[2] ?? '{}'));
  const server = await startAuthorizationServer(settings, { clock: systemClock, random: systemRandom });
  process.once('SIGTERM', () => {
    void server.close().finally(() => process.exit(0));
  });
  tell({ type: 'listening', facts: server.facts });
}

function tell(message: ProcessMessage): void {
  process.send?.(message);
}

run().catch((error: unknown) => {
  const known = isCredentialError(error);
  const text = error instanceof Error ? error.message.replace(/\s+/g, ' ') : 'unknown';
  tell({
    type: 'failed',
    code: known ? error.code : 'ERR_SANDBOX_UNAVAILABLE',
    message: known ? text : `The sandbox did not start: ${text}`,
  });
  process.exitCode = 1;
  process.disconnect();
});
