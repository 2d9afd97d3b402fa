import type { IDataObject } from 'n8n-workflow';
import type { OperatorHandle } from '../client.ts';
import { ConfigurationError, ReauthorizationRequiredError, type CredentialError } from '../errors.ts';
import { systemClock } from '../ports.ts';
import { runPreflight, type PreflightResult, type PreflightRow } from '../reports/preflight-run.ts';
import { ItemError } from './errors.ts';
import { rowItem } from './output.ts';
import { selected } from './reports.ts';
import { textsFrom } from './texts.ts';

const MOST_NAMED = 10;

/** What the node asks for, as it was entered. */
export interface PreflightInput {
  readonly selection: unknown;
  /** Ids that were chosen or typed. */
  readonly chosen: unknown;
  readonly filters: unknown;
  readonly scopeId: unknown;
  readonly minutes: unknown;
  readonly refresh: boolean;
  readonly test: boolean;
  /** Whether one that is not alive is a failure of the item. */
  readonly fails: boolean;
  readonly signal?: AbortSignal;
}

/**
 * One item that says of each credential whether it will be usable, and why.
 *
 * @throws ItemError `ERR_PREFLIGHT_NOT_ALIVE` with the list
 * @throws ConfigurationError `ERR_CONFIG_MALFORMED`, also when nothing is selected: nobody shall take that for good news
 */
export async function preflightCheck(operator: OperatorHandle, input: PreflightInput): Promise<IDataObject> {
  const until = new Date(systemClock.now().getTime() + minutesOf(input.minutes) * 60_000);
  const ids = await idsOf(operator, input);
  if (ids.length === 0) throw malformed('No credential is selected, so nothing was checked.');
  const { refresh, test, signal } = input;
  const result = await runPreflight(operator, ids, { until, refresh, test, ...(signal && { signal }) });
  const item = resultItem(result);
  if (result.alive || !input.fails) return item;
  const dead = result.credentials.filter(({ alive }) => !alive);
  throw new ItemError(notAliveError(dead, ids.length, until), { description: dead.map(lineOf).join('\n'), item });
}

async function idsOf(operator: OperatorHandle, input: PreflightInput): Promise<string[]> {
  const { selection, chosen, filters, scopeId } = input;
  if (selection === 'list' || selection === 'ids') return textsFrom(chosen);
  if (selection === 'filter') return matching(operator, filters);
  if (selection !== 'workflow') throw malformed('The field "selection" is none that the node offers.');
  if (typeof scopeId !== 'string' || scopeId.trim() === '') throw malformed('The field "scopeId" is empty.');
  return matching(operator, { scopeId: scopeId.trim() });
}

/** What was revoked by its owner is meant to be dead, and is left out where nobody named it. */
async function matching(operator: OperatorHandle, filters: unknown): Promise<string[]> {
  return (await selected(operator, filters)).filter(({ state }) => state !== 'revoked.byUser').map(({ id }) => id);
}

function minutesOf(minutes: unknown): number {
  if (typeof minutes === 'number' && Number.isFinite(minutes) && minutes >= 0) return minutes;
  throw malformed('The field "minutes" is no number of minutes.');
}

function resultItem({ alive, until, credentials }: PreflightResult): IDataObject {
  return { alive, until: until.toISOString(), credentials: credentials.map(rowItem) };
}

function notAliveError(dead: readonly PreflightRow[], asked: number, until: Date): CredentialError {
  // Where n8n sends a failed item to another output, this sentence is all that it keeps.
  const names = dead.slice(0, MOST_NAMED).map(({ id, name, reason }) => `${name ?? id} (${reason})`);
  const others = dead.length > MOST_NAMED ? ` and ${dead.length - MOST_NAMED} more` : '';
  const message = `${dead.length} of ${asked} credentials will not be usable until ${until.toISOString()}: ${names.join(', ')}${others}.`;
  return new ReauthorizationRequiredError('ERR_PREFLIGHT_NOT_ALIVE', message);
}

function lineOf({ id, name, reason, endsAt, code, action }: PreflightRow): string {
  const when = endsAt === null ? '' : ` at ${endsAt.toISOString()}`;
  const tail = [code === null ? null : `[${code}]`, action].filter((part) => part !== null).join(' ');
  return `${name ?? 'unknown'} (${id}): ${reason}${when}. ${tail}`;
}

function malformed(message: string): ConfigurationError {
  return new ConfigurationError('ERR_CONFIG_MALFORMED', message);
}
