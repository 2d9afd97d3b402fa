import { systemClock } from '../../ports.ts';
import { printJson, printLine, widthOf, type CommandContext, type GlobalOptions } from '../context.ts';
import { allCredentials } from '../credential-lookup.ts';
import { credentialTable, rowOf, troubleLines, type CredentialRow } from '../credential-table.ts';
import { withEngine } from '../database-location.ts';
import { printable } from '../printable.ts';
import type { UnreadableRecord } from '../../storage/record-store.ts';
import { printReport, reportOf, type ReportOptions } from './report.ts';

export interface ListCommandOptions extends GlobalOptions, ReportOptions {}

const EMPTY = 'No credentials yet. Register one: credlife register --name NAME --issuer URL --client-id ID';

/** `credlife list`: every credential with its state. */
export async function list(context: CommandContext, options: ListCommandOptions): Promise<void> {
  const report = reportOf(options);
  if (report !== null) return printReport(context, options, report);
  const { rows, unreadable } = await withEngine(context, options, async (engine) => {
    const found = await allCredentials(engine);
    const result: CredentialRow[] = [];
    for (const credential of found.credentials) {
      result.push(await rowOf(engine, credential));
    }
    const sorted = result.sort((a, b) => a.credential.name.localeCompare(b.credential.name));
    return { rows: sorted, unreadable: found.unreadable };
  });
  if (options.json === true) {
    const credentials = rows.map(({ credential, ...beside }) => ({ ...credential, ...beside }));
    printJson(context, { credentials, unreadable });
    return;
  }
  printTable(context, rows, unreadable);
}

function printTable(
  context: CommandContext,
  rows: readonly CredentialRow[],
  unreadable: readonly UnreadableRecord[],
): void {
  for (const { id, name, code } of unreadable) {
    printLine(context.output, context.style('bad', `unreadable: ${id} ${printable(name ?? '')} [${code}]`));
  }
  if (rows.length === 0 && unreadable.length === 0) {
    printLine(context.output, EMPTY);
    return;
  }
  const look = { now: systemClock.now(), width: widthOf(context.output), style: context.style, ids: true };
  for (const line of credentialTable(rows, look)) printLine(context.output, line);
  const troubles = troubleLines(rows, look);
  if (troubles.length > 0) printLine(context.output);
  for (const line of troubles) printLine(context.output, line);
}
