import type { IDataObject } from 'n8n-workflow';
import type { CredentialSummary, OperatorHandle } from '../client.ts';
import { ConfigurationError } from '../errors.ts';
import { isPlainObject } from '../json.ts';
import { systemClock } from '../ports.ts';
import { AGED, agesOf } from '../reports/ages.ts';
import { expiringWithin } from '../reports/expiring.ts';
import { failing } from '../reports/failing.ts';
import { unusedFor } from '../reports/unused.ts';
import type { CredentialUsage } from '../storage/ledger.ts';
import { filterFrom, listUpTo } from './operator.ts';
import { rowItem } from './output.ts';

const UNITS_MS = { minutes: 60_000, hours: 3_600_000, days: 86_400_000 } as const;
const USAGE_AT_ONCE = 1_000;

/** A span as amount and unit, in ms. @throws ConfigurationError `ERR_CONFIG_MALFORMED` */
export function durationFrom(amount: unknown, unit: unknown): number {
  const unitMs = unit === 'minutes' || unit === 'hours' || unit === 'days' ? UNITS_MS[unit] : null;
  if (unitMs !== null && typeof amount === 'number' && Number.isFinite(amount) && amount >= 0) return amount * unitMs;
  throw new ConfigurationError('ERR_CONFIG_MALFORMED', 'The field "amount" or "unit" is no span of time.');
}

export async function expiringReport(
  operator: OperatorHandle,
  filters: unknown,
  { withinMs }: { readonly withinMs: number },
): Promise<IDataObject[]> {
  const summaries = await selected(operator, filters);
  return expiringWithin(summaries, { now: systemClock.now(), withinMs }).map(rowItem);
}

export async function failingReport(operator: OperatorHandle, filters: unknown): Promise<IDataObject[]> {
  return failing(await selected(operator, filters)).map(rowItem);
}

export async function unusedReport(
  operator: OperatorHandle,
  filters: unknown,
  { forMs }: { readonly forMs: number },
): Promise<IDataObject[]> {
  const summaries = await selected(operator, filters);
  const usage = new Map<string, CredentialUsage>();
  for (let from = 0; from < summaries.length; from += USAGE_AT_ONCE) {
    const ids = summaries.slice(from, from + USAGE_AT_ONCE).map(({ id }) => id);
    for (const used of await operator.usage(ids)) usage.set(used.credentialId, used);
  }
  return unusedFor(summaries, usage, { now: systemClock.now(), forMs }).map(rowItem);
}

export async function agesReport(operator: OperatorHandle, filters: unknown, sortBy: unknown): Promise<IDataObject[]> {
  const aged = AGED.find((name) => name === sortBy);
  const summaries = await selected(operator, filters);
  return agesOf(summaries, { now: systemClock.now(), ...(aged && { sortBy: aged }) }).map(rowItem);
}

/** All that the filters let through, and that the access key may list. */
export async function selected(operator: OperatorHandle, filters: unknown): Promise<CredentialSummary[]> {
  return listUpTo(operator, filterFrom(isPlainObject(filters) ? filters : {}), Number.POSITIVE_INFINITY);
}
