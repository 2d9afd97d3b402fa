import { systemRandom } from '../../ports.ts';
import { printJson, printLine, type CommandContext, type GlobalOptions } from '../context.ts';
import { databasePath } from '../database-location.ts';
import { prepareFolder } from '../master-key-file.ts';

/** `credlife init`: folder and master key for a new database. Says what it found and overwrites nothing. */
export function init(context: CommandContext, options: GlobalOptions): void {
  const database = databasePath(context, options);
  const prepared = prepareFolder(database, systemRandom);
  if (options.json === true) {
    printJson(context, { database, masterKeyFile: prepared.keyFile, created: prepared.created });
    return;
  }
  if (!prepared.created) {
    printLine(context.output, `There is a master key already: ${prepared.keyFile}. Nothing was changed.`);
    return;
  }
  printLine(
    context.output,
    `Master key: ${prepared.keyFile} (keep a copy: without it nobody can open the credentials)`,
  );
  printLine(context.output, `Database:   ${database} (made at first use)`);
  printLine(context.output, 'Next:       credlife register --name NAME --issuer URL --client-id ID');
}
