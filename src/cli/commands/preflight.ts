import type { CredentialEngine } from '../../engine.ts';
import { systemClock } from '../../ports.ts';
import { runPreflight, type PreflightResult } from '../../reports/preflight-run.ts';
import { layOut, wrap, type Cell } from '../columns.ts';
import { printJson, printLine, widthOf, type CommandContext, type GlobalOptions } from '../context.ts';
import { allCredentials, findCredential } from '../credential-lookup.ts';
import { withEngine } from '../database-location.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { printable } from '../printable.ts';
import { malformed } from '../secret-input.ts';

export interface PreflightCommandOptions extends GlobalOptions {
  readonly for: number;
  readonly owner?: string;
  readonly scopeId?: string;
  readonly tag?: readonly string[];
  readonly refresh?: boolean;
  readonly test?: boolean;
}

/** `credlife preflight [ids…] --for 2h`: exit code 0 when all of them will be usable until then, 3 otherwise. */
export async function preflight(
  context: CommandContext,
  options: PreflightCommandOptions,
  names: readonly string[],
): Promise<void> {
  const { owner, scopeId, tag, refresh = false, test = false } = options;
  const isFiltered = [owner, scopeId, tag].some((filter) => filter !== undefined);
  if (names.length > 0 && isFiltered) throw malformed('Name credentials, or --owner, --scope-id and --tag, not both.');
  const result = await withEngine(context, options, async (engine) => {
    const until = new Date(systemClock.now().getTime() + options.for);
    const ids = names.length > 0 ? await idsOf(engine, names) : await matchingIds(engine, options);
    if (ids.length === 0) throw malformed('No credential matches, so nothing was checked.');
    return runPreflight(engine, ids, { until, refresh, test });
  });
  context.setExitCode(result.alive ? EXIT_CODES.ok.code : EXIT_CODES.attention.code);
  if (options.json === true) printJson(context, result);
  else printResult(context, result);
}

async function idsOf(engine: CredentialEngine, names: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of names) ids.push((await findCredential(engine, name)).id);
  return ids;
}

/** What was revoked by its owner is meant to be dead, and is left out where nobody named it. */
async function matchingIds(
  engine: CredentialEngine,
  { owner, scopeId, tag }: PreflightCommandOptions,
): Promise<string[]> {
  const { credentials } = await allCredentials(engine, {
    ...(owner !== undefined && { ownerId: owner }),
    ...(scopeId !== undefined && { scopeId }),
    ...(tag !== undefined && { tags: tag }),
  });
  return credentials.filter(({ state }) => state !== 'revoked.byUser').map(({ id }) => id);
}

function printResult(context: CommandContext, { alive, until, credentials }: PreflightResult): void {
  const width = widthOf(context.output);
  const cells = credentials.map((row): Cell[] => [
    { text: printable(row.name ?? 'unknown'), tone: 'strong' },
    row.alive ? { text: 'alive', tone: 'good' } : { text: 'not alive', tone: 'bad' },
    { text: row.reason },
    { text: row.endsAt?.toISOString() ?? '–', tone: 'quiet' },
    { text: row.id, short: row.id.slice(0, 12), tone: 'quiet' },
  ]);
  const columns = [
    { title: 'NAME', leastWidth: 8 },
    { title: 'VERDICT' },
    { title: 'BECAUSE' },
    { title: 'ENDS AT' },
    { title: 'ID' },
  ];
  for (const line of layOut(columns, cells, width, context.style)) printLine(context.output, line);
  const verdict = alive ? 'All of them will be usable' : 'Not all of them will be usable';
  printLine(context.output, context.style(alive ? 'good' : 'bad', `${verdict} until ${until.toISOString()}.`));
  for (const { name, id, action, detail } of credentials) {
    if (action === null) continue;
    const sentence = [`${name ?? id}:`, detail, action].filter((part) => part !== null).join(' ');
    for (const line of wrap(printable(sentence), width)) printLine(context.output, context.style('quiet', line));
  }
}
