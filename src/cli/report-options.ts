import { Option, type Command } from 'commander';
import { AGED } from '../reports/ages.ts';
import type { CommandContext } from './context.ts';
import { list, type ListCommandOptions } from './commands/list.ts';
import { preflight, type PreflightCommandOptions } from './commands/preflight.ts';
import { parseSpan } from './duration.ts';
import { malformed } from './secret-input.ts';

/** The commands that look at many credentials at once. */
export function addReports(program: Command, context: CommandContext): void {
  const reports = ['unused', 'expiring', 'failing', 'ages'] as const;
  const report = (flags: string, description: string, own: (typeof reports)[number]): Option =>
    new Option(flags, description).conflicts(reports.filter((name) => name !== own));
  program
    .command('list')
    .description('all credentials with state, expiry and next action, or a report about them')
    .addOption(
      report('--unused <span>', 'what nobody has used for so long: 12h, 30d', 'unused').argParser(spanOf('--unused')),
    )
    .addOption(
      report(
        '--expiring <span>',
        'what ends within that time and only a person puts off: 12h, 7d',
        'expiring',
      ).argParser(spanOf('--expiring')),
    )
    .addOption(report('--failing', 'what is wrong now, since when, and what to do', 'failing'))
    .addOption(report('--ages <of>', 'how old all is, the oldest of these first', 'ages').choices(AGED))
    .action((_options: object, command: Command) => list(context, command.optsWithGlobals<ListCommandOptions>()));
  program
    .command('preflight')
    .description('whether credentials will be usable for so long: exit code 0 when all will')
    .argument('[credentials...]', 'ids, their first characters, or unique names (default: all that match, or all)')
    .requiredOption('--for <span>', 'for how long from now on: 90m, 2h, 1d', spanOf('--for'))
    .option('--owner <id>', 'those of this owner')
    .option('--scope-id <id>', 'those that are for this workflow, project or environment')
    .option('--tag <tag...>', 'those that carry all of these tags')
    .option('--refresh', 'refresh those whose token ends until then')
    .option('--test', 'test each that looks alive; of a password that is a login')
    .action((ids: string[], _options: object, command: Command) =>
      preflight(context, command.optsWithGlobals<PreflightCommandOptions>(), ids),
    );
}

function spanOf(option: string): (text: string) => number {
  return (text) => {
    const spanMs = parseSpan(text);
    if (spanMs !== null) return spanMs;
    throw malformed(`The option ${option} takes a span such as 90m, 12h or 30d.`);
  };
}
