import { CredentialEngine } from '../../engine.ts';
import { restoreBackup, type Restored } from '../../storage/restore.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { absolutePath, databasePath, settingsOf, withEngine } from '../database-location.ts';

/** `credlife backup FILE`: a consistent, sealed copy, while everything goes on. */
export function backup(context: CommandContext, options: GlobalOptions, file: string): Promise<void> {
  const path = absolutePath(context, file);
  return withEngine(context, options, async (engine) => {
    await engine.backup(path);
    const credentials = Object.values(await engine.countByState()).reduce((sum, count) => sum + count, 0);
    if (options.json === true) printJson(context, { file: path, credentials });
    else
      printLine(
        context.output,
        `${credentials} credentials in ${path}, sealed: it opens with the master key of today.`,
      );
  });
}

export interface RestoreCommandOptions extends GlobalOptions {
  readonly force?: boolean;
}

/** `credlife restore FILE`: a backup in the place of the database. */
export async function restore(context: CommandContext, options: RestoreCommandOptions, file: string): Promise<void> {
  const to = databasePath(context, options);
  const restored = restoreBackup({ from: absolutePath(context, file), to, force: options.force ?? false });
  await acceptRestored(context, options);
  if (options.json === true) printJson(context, { database: to, ...restored });
  else printRestored(context, to, restored);
}

/** Shows that the master key fits what was restored, and tells the anchor that it is meant to be older. */
async function acceptRestored(context: CommandContext, options: GlobalOptions): Promise<void> {
  const { engineOptions } = settingsOf(context, options);
  const engine = await CredentialEngine.open({ ...engineOptions, acceptOlderStore: true });
  await engine.close();
}

function printRestored(context: CommandContext, to: string, { backup: from, older, kept }: Restored): void {
  const { output, style } = context;
  const when = from.lastWriteAt === null ? 'never written' : `last written at ${from.lastWriteAt.toISOString()}`;
  printLine(output, `${from.records} credentials restored to ${to}, ${when}.`);
  if (older) {
    const warning =
      'It is OLDER than the database that it replaced: tokens that were refreshed since then may be spent.';
    printLine(output, style('bad', warning));
  }
  if (kept !== null) printLine(output, `The replaced database is kept as ${kept}.`);
}
