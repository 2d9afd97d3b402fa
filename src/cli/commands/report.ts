import type { CredentialSummary } from '../../client.ts';
import type { CredentialEngine } from '../../engine.ts';
import { systemClock } from '../../ports.ts';
import { agesOf, type Aged } from '../../reports/ages.ts';
import { expiringWithin } from '../../reports/expiring.ts';
import { failing } from '../../reports/failing.ts';
import type { ReportSubject } from '../../reports/subject.ts';
import { unusedFor } from '../../reports/unused.ts';
import type { CredentialUser } from '../../storage/ledger.ts';
import { layOut, wrap, type Cell, type Column } from '../columns.ts';
import { printJson, printLine, widthOf, type CommandContext, type GlobalOptions } from '../context.ts';
import { allCredentials } from '../credential-lookup.ts';
import { withEngine } from '../database-location.ts';
import { formatDuration } from '../duration.ts';
import { printable } from '../printable.ts';
import { stateCell } from '../state-words.ts';

export interface ReportOptions {
  readonly unused?: number;
  readonly expiring?: number;
  readonly failing?: boolean;
  readonly ages?: Aged;
}

/** A report as it is printed: for programs its rows, for people a table and what to do. */
interface Report {
  readonly name: string;
  readonly rows: readonly object[];
  readonly columns: readonly Column[];
  readonly cells: readonly (readonly Cell[])[];
  /** Sentences below the table, one for each row that has one. */
  readonly advice: readonly string[];
  readonly nothing: string;
}

type Make = (
  engine: CredentialEngine,
  credentials: readonly CredentialSummary[],
  now: Date,
) => Report | Promise<Report>;

/** The report that the options name; `null` for none. */
export function reportOf({ unused, expiring, failing: isFailing, ages }: ReportOptions): Make | null {
  if (unused !== undefined)
    return (engine, credentials, now) => unusedReport(engine, credentials, { now, forMs: unused });
  if (expiring !== undefined) return (_engine, credentials, now) => expiringReport(credentials, now, expiring);
  if (isFailing === true) return (_engine, credentials, now) => failingReport(credentials, now);
  return ages === undefined ? null : (_engine, credentials, now) => agesReport(credentials, now, ages);
}

/** `credlife list --unused 30d`, and the other reports. */
export async function printReport(context: CommandContext, options: GlobalOptions, make: Make): Promise<void> {
  const { report, unreadable } = await withEngine(context, options, async (engine) => {
    const found = await allCredentials(engine);
    return { report: await make(engine, found.credentials, systemClock.now()), unreadable: found.unreadable };
  });
  if (options.json === true) {
    printJson(context, { report: report.name, rows: report.rows, unreadable });
    return;
  }
  for (const { id, name, code } of unreadable)
    printLine(context.output, context.style('bad', `unreadable: ${id} ${printable(name ?? '')} [${code}]`));
  const width = widthOf(context.output);
  const lines =
    report.rows.length === 0 ? [report.nothing] : layOut(report.columns, report.cells, width, context.style);
  for (const line of lines) printLine(context.output, line);
  if (report.advice.length > 0) printLine(context.output);
  for (const line of report.advice.flatMap((sentence) => wrap(printable(sentence), width)))
    printLine(context.output, context.style('quiet', line));
}

const NAME: Column = { title: 'NAME', leastWidth: 8 };
const ID: Column = { title: 'ID' };
const STATE: Column = { title: 'STATE' };

async function unusedReport(
  engine: CredentialEngine,
  credentials: readonly CredentialSummary[],
  span: { readonly now: Date; readonly forMs: number },
): Promise<Report> {
  const rows = unusedFor(credentials, await engine.usage.of(credentials.map(({ id }) => id)), span);
  return {
    ...{ name: 'unused', rows, advice: [], nothing: 'Every credential was used within that time.' },
    columns: [NAME, STATE, { title: 'LAST USED' }, { title: 'BY', leastWidth: 6 }, { title: 'USES' }, ID],
    cells: rows.map((row) => [
      nameCell(row),
      stateCell(row.state),
      {
        text:
          row.lastUsedAt === null
            ? `never, for ${formatDuration(row.unusedMs)}`
            : `${formatDuration(row.unusedMs)} ago`,
      },
      { text: userText(row.lastUsedBy), tone: 'quiet' },
      { text: String(row.uses), tone: 'quiet' },
      idCell(row),
    ]),
  };
}

function expiringReport(credentials: readonly CredentialSummary[], now: Date, withinMs: number): Report {
  const rows = expiringWithin(credentials, { now, withinMs });
  return {
    ...{ name: 'expiring', rows, nothing: 'Nothing ends within that time that the engine does not put off.' },
    columns: [NAME, STATE, { title: 'WHAT' }, { title: 'ENDS IN', shortTitle: 'ENDS' }, { title: 'AT' }, ID],
    cells: rows.map((row) => [
      nameCell(row),
      stateCell(row.state),
      { text: row.end },
      row.leftMs <= 0 ? { text: 'ended', tone: 'bad' } : { text: formatDuration(row.leftMs), tone: 'notice' },
      { text: row.endsAt.toISOString(), tone: 'quiet' },
      idCell(row),
    ]),
    advice: rows.map(({ name, end, action }) => `${name} (${end}): ${action}`),
  };
}

function failingReport(credentials: readonly CredentialSummary[], now: Date): Report {
  const rows = failing(credentials);
  const since = (at: Date | null): string => (at === null ? '–' : formatDuration(now.getTime() - at.getTime()));
  return {
    ...{ name: 'failing', rows, nothing: 'Nothing fails.' },
    columns: [NAME, STATE, { title: 'PROBLEM' }, { title: 'SINCE' }, { title: 'CODE', leastWidth: 8 }, ID],
    cells: rows.map((row) => [
      nameCell(row),
      stateCell(row.state),
      { text: row.problem },
      { text: since(row.sinceAt) },
      { text: row.code ?? '–', tone: 'quiet' },
      idCell(row),
    ]),
    advice: rows.map(({ name, message, action }) => `${name}: ${message} ${action}`),
  };
}

function agesReport(credentials: readonly CredentialSummary[], now: Date, sortBy: Aged): Report {
  const rows = agesOf(credentials, { now, sortBy });
  return {
    ...{ name: 'ages', rows, advice: [], nothing: 'There are no credentials.' },
    columns: [
      NAME,
      STATE,
      { title: 'SECRET' },
      { title: 'GRANT' },
      { title: 'CREDENTIAL' },
      { title: 'ROTATE BY' },
      ID,
    ],
    cells: rows.map((row) => [
      nameCell(row),
      stateCell(row.state),
      { text: formatDuration(row.secretAgeMs) },
      { text: row.grantAgeMs === null ? '–' : formatDuration(row.grantAgeMs) },
      { text: formatDuration(row.credentialAgeMs) },
      { text: row.rotateBy?.toISOString() ?? '–', tone: 'quiet' },
      idCell(row),
    ]),
  };
}

function nameCell({ name }: ReportSubject): Cell {
  return { text: printable(name), tone: 'strong' };
}

function idCell({ id }: ReportSubject): Cell {
  return { text: id, short: id.slice(0, 12), tone: 'quiet' };
}

function userText(user: CredentialUser | null): string {
  return user === null ? '–' : printable(`${user.kind} ${user.id}`.trim());
}
