import { systemClock } from '../../ports.ts';
import { printJson, printLine, widthOf, type CommandContext, type GlobalOptions } from '../context.ts';
import { allCredentials } from '../credential-lookup.ts';
import { credentialTable, troubleLines, type CredentialRow } from '../credential-table.ts';
import { withEngine } from '../database-location.ts';

const EMPTY = 'No credentials yet. Register one: credlife register --name NAME --issuer URL --client-id ID';

/** `credlife list`: every credential with its state. */
export async function list(context: CommandContext, options: GlobalOptions): Promise<void> {
  const rows = await withEngine(context, options, async (engine) => {
    const result: CredentialRow[] = [];
    for (const credential of await allCredentials(engine)) {
      result.push({ credential, lastEvent: await engine.lastEvent(credential.id) });
    }
    return result.sort((a, b) => a.credential.name.localeCompare(b.credential.name));
  });
  if (options.json === true) {
    printJson(context, { credentials: rows.map(({ credential, lastEvent }) => ({ ...credential, lastEvent })) });
    return;
  }
  printTable(context, rows);
}

function printTable(context: CommandContext, rows: readonly CredentialRow[]): void {
  if (rows.length === 0) {
    printLine(context.output, EMPTY);
    return;
  }
  const look = { now: systemClock.now(), width: widthOf(context.output), style: context.style, ids: true };
  for (const line of credentialTable(rows, look)) printLine(context.output, line);
  const troubles = troubleLines(rows, look);
  if (troubles.length > 0) printLine(context.output);
  for (const line of troubles) printLine(context.output, line);
}
